"""Graduated non-convexity: which loop closures the whole graph believes.

Source: Yang, Antonante, Tzoumas, Carlone, "Graduated Non-Convexity for Robust Spatial Perception",
RA-L 2020, with truncated least squares, its Eqs. 12 to 14. Odometry and anchors are known inliers.

Differs from gtsam.GncLMOptimizer, which solves to convergence from the *first* guess in each round
while it holds the interpreter lock: here a round takes a few steps from where the last one ended,
and the lock is free between rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.pose_graph.batch import minimise, poses_of
from s3e_gnn_ros.pose_graph.loops import Loops

_MU_FACTOR = 1.4
_MAX_ROUNDS = 100
_STEPS_PER_ROUND = 2
_NEGLIGIBLE = 1e-6
_DECIDED = 1e-3


@dataclass(frozen=True, eq=False)
class GncResult:
    """What became of the closures.

    Attributes:
        weights: (K,) in [0, 1]; 0 where a closure contradicts the rest.
        values: gtsam.Values optimised with these weights.
        num_rounds: rounds taken.
    """

    weights: NDArray[np.float64]
    values: Any
    num_rounds: int


def gnc(
    base: Any, loops: Loops, initial: Any, threshold: float, pinned: NDArray[np.bool_]
) -> GncResult:
    """Find the closures that agree with one another and with odometry.

    Args:
        base: gtsam.NonlinearFactorGraph of all that is believed: odometry and anchors.
        loops: K closures to judge.
        initial: gtsam.Values to start from.
        threshold: chi2 beyond which a closure counts as wrong.
        pinned: (K,) closures believed whatever their residual.

    Raises:
        RuntimeError: gtsam cannot solve the graph.
    """
    weights = np.ones(len(loops))
    values = minimise(weighted(base, loops, weights), initial)
    mu = _first_mu(loops.squared_residuals(poses_of(values))[~pinned], threshold)
    for num_rounds in range(_MAX_ROUNDS):  # noqa: B007
        residuals = loops.squared_residuals(poses_of(values))
        weights = np.where(pinned, 1.0, tls_weights(residuals, threshold, mu))
        values = minimise(weighted(base, loops, weights), values, _STEPS_PER_ROUND)
        if mu == np.inf or ((weights < _DECIDED) | (weights > 1 - _DECIDED)).all():
            break
        mu *= _MU_FACTOR
    weights = (weights > 0.5).astype(np.float64)
    values = minimise(weighted(base, loops, weights), values)
    return GncResult(weights, values, num_rounds)


def tls_weights(
    residuals: NDArray[np.float64], threshold: float, mu: float
) -> NDArray[np.float64]:
    """Return the weights (K,) of truncated least squares (Eq. 14) for chi2 residuals (K,).

    Args:
        residuals: chi2 of each closure.
        threshold: chi2 beyond which a closure counts as wrong.
        mu: how far from convex: near 0 convex, infinite the truncated square itself.
    """
    if mu == np.inf:
        return (residuals <= threshold).astype(np.float64)
    least, most = mu / (mu + 1) * threshold, (mu + 1) / mu * threshold
    between = np.sqrt(threshold * mu * (mu + 1) / np.maximum(residuals, least)) - mu
    return np.where(residuals >= most, 0.0, np.where(residuals <= least, 1.0, between))


def weighted(base: Any, loops: Loops, weights: NDArray[np.float64]) -> Any:
    """Return a graph of what is believed and of the closures of some weight."""
    graph = gtsam.NonlinearFactorGraph(base)
    for row in np.flatnonzero(weights > _NEGLIGIBLE).tolist():
        graph.add(loops.factor(row, float(weights[row])))
    return graph


def _first_mu(residuals: NDArray[np.float64], threshold: float) -> float:
    """Return the mu at which even the largest residual is within the convex part."""
    largest = float(residuals.max(initial=0.0))
    return threshold / (2 * largest - threshold) if 2 * largest > threshold else np.inf
