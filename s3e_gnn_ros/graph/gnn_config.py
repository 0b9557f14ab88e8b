"""What a GNN is made of and how its graph is built; stored with its weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s3e_gnn_ros.errors import ConfigError

FORMS = ('improved', 'paper')
NUM_LAYERS = 3

_MIN = {
    'embedding_dim': 1,
    'edge_dim': 1,
    'window': 1,
    'max_covisible': 0,
    'covisible_window': 0,
    'max_loops': 0,
}
_POSITIVE = ('logit_scale', 'query_scale', 'eta')


@dataclass(frozen=True)
class GNNConfig:
    """Architecture of a GNN, its similarity and the bounds of its graph.

    Attributes:
        form: 'paper': as the paper writes it. 'improved': the GNN averages embeddings with those
            it trusts, see :mod:`s3e_gnn_ros.graph.gnn`.
        embedding_dim: D of the encoder, and K, the width of the reference graph.
        edge_dim: width of the edge features after their projection (improved).
        logit_scale: a, how far an embedding of unit length reaches as logits, at the start of
            training (improved).
        query_scale: b, factor on the logits of the query, at the start of training (improved).
        eta: of Eq. 2, above 0.
        path_weight: what a query keyframe counts beside the next, at the start of training, see
            :mod:`s3e_gnn_ros.graph.path`; 0: the newest alone counts (improved).
        window: W, successive keyframes of a query.
        max_covisible: most covisibility edges of a keyframe.
        covisible_window: keyframes of late among which a new one looks for covisible ones.
        min_covisible_similarity: cosine of two embeddings from which they count as covisible.
        max_loops: most loop edges of a keyframe.

    Raises:
        ConfigError: a value is out of range.
    """

    form: str = 'improved'
    embedding_dim: int = 256
    edge_dim: int = 32
    logit_scale: float = 2.0
    query_scale: float = 1.0
    eta: float = 1.0
    path_weight: float = 0.4
    window: int = 5
    max_covisible: int = 6
    covisible_window: int = 10
    min_covisible_similarity: float = 0.3
    max_loops: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.form not in FORMS:
            raise ConfigError(f'form of the GNN is {self.form!r} instead of one of {FORMS}')
        for name, minimum in _MIN.items():
            value = getattr(self, name)
            if type(value) is not int or value < minimum:
                raise ConfigError(
                    f'{name} of the GNN is {value!r} instead of a whole number of at least '
                    f'{minimum}'
                )
        for name in _POSITIVE:
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0.0 < value < math.inf:
                raise ConfigError(f'{name} of the GNN is {value!r} instead of a number above 0')
        if type(self.path_weight) not in (int, float) or not 0.0 <= self.path_weight < 1.0:
            raise ConfigError(
                f'path_weight of the GNN is {self.path_weight!r} instead of a number from 0 to 1'
            )
        similarity = self.min_covisible_similarity
        if type(similarity) not in (int, float) or not -1.0 <= similarity <= 1.0:
            raise ConfigError(
                f'min_covisible_similarity of the GNN is {similarity!r} instead of a number '
                'from -1 to 1'
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values that :meth:`from_dict` reads."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GNNConfig:
        """Read what :meth:`to_dict` wrote.

        Raises:
            ConfigError: an unknown name or a value out of range.
        """
        unknown = sorted(set(values) - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise ConfigError(f"unknown name '{unknown[0]}' in the configuration of a GNN")
        return cls(**values)
