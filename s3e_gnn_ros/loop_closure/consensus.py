"""Which of several estimates of one pose agree, and what they say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose


@dataclass(frozen=True, eq=False)
class Estimate:
    """A pose of the query as one keyframe of the map has it.

    Attributes:
        T_map_query: (4, 4).
        covariance: (6, 6) rotation first, perturbation on the right.
    """

    T_map_query: Pose
    covariance: NDArray[np.float64]


def agrees(T_a: Pose, T_b: Pose, max_distance_m: float, max_angle_deg: float) -> bool:
    """Return whether two poses (4, 4) are the same but for these tolerances."""
    difference = se3.inverse(T_a) @ T_b
    return (
        se3.translation_m(difference) <= max_distance_m
        and se3.rotation_angle_deg(difference) <= max_angle_deg
    )


def fuse_estimates(estimates: Sequence[Estimate]) -> tuple[Pose, NDArray[np.float64]]:
    """Weigh estimates that agree by what they know; to first order around the first.

    Neighbouring keyframes share errors of map and calibration, so that many do not know more
    than one of them: the covariance is the fused one times their number.

    Returns:
        T_map_query (4, 4) and its covariance (6, 6), rotation first, perturbation on the right.
    """
    T_first = estimates[0].T_map_query
    information, pull = np.zeros((6, 6)), np.zeros(6)
    for estimate in estimates:
        weight = np.linalg.inv(estimate.covariance)
        information += weight
        pull += weight @ se3.logmap(se3.inverse(T_first) @ estimate.T_map_query)
    covariance = np.linalg.inv(information)
    T = T_first @ se3.expmap(covariance @ pull)
    return T, len(estimates) * (covariance + covariance.T) / 2
