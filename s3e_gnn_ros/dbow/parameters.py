"""Settings of the loop detector, with DLoopDetector's names and defaults."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from s3e_gnn_ros.config import RetrievalConfig
from s3e_gnn_ros.errors import ConfigError


class GeometricalCheck(Enum):
    """How a candidate is verified."""

    EXHAUSTIVE = 'exhaustive'
    """Fundamental matrix; every feature is compared with every other."""

    DI = 'di'
    """Fundamental matrix; only features under one node of the vocabulary are compared. 's3e' has
    no vocabulary and compares all."""

    FLANN = 'flann'
    """Fundamental matrix; neighbours are searched for approximately."""

    NONE = 'none'
    """No check: what is temporally consistent is a loop."""

    POSE = 'pose'
    """Not DLoopDetector's: the verification of this package (PnP both ways, depth), which also
    gives the pose. It needs camera and depth; images without are checked as EXHAUSTIVE."""


@dataclass(frozen=True)
class Parameters:
    """Settings of a :class:`LoopDetector`.

    Attributes:
        image_rows: height of the images [px]; 0: any.
        image_cols: width of the images [px]; 0: any.
        use_nss: compare scores with that of the image before it (normalised similarity).
        alpha: least score, a share of that one with ``use_nss``.
        k: so many consistent queries must come before the one that is accepted.
        geom_check: how a candidate is verified.
        di_levels: levels that DI goes up in the vocabulary.
        dislocal: the last entries that cannot match.
        max_db_results: results of the database that are looked at.
        min_nss_factor: score to the image before, below which scores mean nothing.
        min_matches_per_group: least length of an island of results.
        max_intragroup_gap: results this far apart, or further, belong to two islands.
        max_distance_between_groups: largest gap between islands of successive queries.
        max_distance_between_queries: largest gap between queries that can be consistent.
        min_f_points: least number of inliers of the fundamental matrix.
        max_ransac_iterations: of the fundamental matrix.
        ransac_probability: of having found it.
        max_reprojection_error: distance of an inlier from its epipolar line [px].
        max_neighbor_ratio: best over second-best descriptor distance.

    Raises:
        ConfigError: a value is out of range.
    """

    image_rows: int = 0
    image_cols: int = 0
    use_nss: bool = True
    alpha: float = 0.3
    k: int = 3
    geom_check: GeometricalCheck = GeometricalCheck.DI
    di_levels: int = 0
    dislocal: int = 20
    max_db_results: int = 50
    min_nss_factor: float = 0.005
    min_matches_per_group: int = 1
    max_intragroup_gap: int = 3
    max_distance_between_groups: int = 3
    max_distance_between_queries: int = 2
    min_f_points: int = 12
    max_ransac_iterations: int = 500
    ransac_probability: float = 0.99
    max_reprojection_error: float = 2.0
    max_neighbor_ratio: float = 0.6

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f'{name} is {value} instead of {low} to {high}')

    @classmethod
    def at_frequency(cls, frequency_hz: float = 1.0, **values: Any) -> Parameters:
        """Choose the numbers of images by how many come per second, as DLoopDetector does.

        Args:
            frequency_hz: images per second.
            values: any attribute, for a value of one's own.

        Raises:
            ConfigError: a value is out of range.
        """
        if not 0.0 < frequency_hz <= 1e6:
            raise ConfigError(f'frequency_hz is {frequency_hz} instead of above 0')
        scaled = {name: int(number * frequency_hz) for name, number in _PER_HZ.items()}
        return cls(**{**scaled, **values})

    @classmethod
    def from_config(cls, config: RetrievalConfig, **values: Any) -> Parameters:
        """Take over what the configuration tree knows: ``dislocal`` and ``min_nss_factor``.

        Raises:
            ConfigError: a value is out of range.
        """
        known = {'dislocal': config.min_keyframe_gap, 'min_nss_factor': config.min_nss_factor}
        return cls(**{**known, **values})


_PER_HZ = {
    'dislocal': 20,
    'max_db_results': 50,
    'min_matches_per_group': 1,
    'max_intragroup_gap': 3,
    'max_distance_between_groups': 3,
    'max_distance_between_queries': 2,
}

_MANY = 10**9
_RANGES: dict[str, tuple[float, float]] = {
    'image_rows': (0, 10**6),
    'image_cols': (0, 10**6),
    'alpha': (0.0, 1e6),
    'k': (0, _MANY),
    'di_levels': (0, 64),
    'min_nss_factor': (0.0, 1.0),
    'min_f_points': (8, _MANY),
    'max_ransac_iterations': (1, _MANY),
    'ransac_probability': (0.01, 0.999999),
    'max_reprojection_error': (0.01, 1000.0),
    'max_neighbor_ratio': (0.01, 1.0),
    **dict.fromkeys(_PER_HZ, (0, _MANY)),
}
