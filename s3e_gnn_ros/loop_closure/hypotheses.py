"""Where an image may have been taken, and how much of it speaks for each place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import VerificationConfig
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.consensus import Estimate, agrees
from s3e_gnn_ros.loop_closure.map_matches import MapMatches, pool_matches
from s3e_gnn_ros.loop_closure.verification import Verification
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.types import KeyframeKey

MATCH_RADIUS = 1.5
"""Matches so many inlier thresholds off still count: the map has errors of its own."""

_MAX_HYPOTHESES = 6


@dataclass(frozen=True, eq=False)
class Tried:
    """A candidate after its verification, accepted or not.

    Attributes:
        key: the keyframe.
        similarity: of retrieval.
        view: its view.
        T_map_match: its pose (4, 4) in the map.
        verification: what came of it.
    """

    key: KeyframeKey
    similarity: float
    view: View
    T_map_match: Pose
    verification: Verification

    @property
    def estimate(self) -> Estimate | None:
        """The query's pose by this keyframe; None where it was rejected."""
        found = self.verification
        if found.T_match_query is None or found.covariance is None:
            return None
        return Estimate(self.T_map_match @ found.T_match_query, found.covariance)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A pose of the query.

    Attributes:
        T_map_query: (4, 4).
        information: (6, 6) of the matches, rotation first, perturbation on the right; None where
            only landmarks of the query itself are known.
        pairs: (n, 2) matches that speak for it: row of the tried keyframe, feature of the query.
        sources: rows of the tried keyframes that do, most matches first.
    """

    T_map_query: Pose
    information: NDArray[np.float64] | None
    pairs: NDArray[np.intp]
    sources: list[int]

    @property
    def features(self) -> NDArray[np.intp]:
        """Features of the query (m,) that speak for it: to see one point thrice says it once."""
        return np.unique(self.pairs[:, 1])

    def num_beside(self, other: Hypothesis) -> int:
        """Return how many features speak for it by matches that the other cannot explain.

        Two poses a little apart share their matches. At two places that look alike the same
        features match other landmarks.
        """
        theirs = {tuple(pair) for pair in other.pairs.tolist()}
        return len({pair[1] for pair in self.pairs.tolist() if tuple(pair) not in theirs})


def find_hypotheses(
    query: View, tried: Sequence[Tried], config: VerificationConfig
) -> list[Hypothesis]:
    """Return poses that differ from each other, the one that explains most of the image first.

    A pose that one keyframe suggests is tested on the matches with all: a view that shares a
    little with each of several keyframes is located by what they show together.

    Args:
        query: the image.
        tried: the candidates.
        config: inlier threshold, RANSAC, and from where on two poses disagree.
    """
    pool = pool_matches(query, [(t.view, t.T_map_match, t.verification.matches) for t in tried])
    found: list[Hypothesis] = []
    for T in _seeds(pool, tried, config):
        if len(found) == _MAX_HYPOTHESES:
            break
        # One that leads to a known pose need not be followed.
        if not any(_same(T, other.T_map_query, config) for other in found):
            refined = _follow(T, pool, tried, config)
            if not any(_same(refined.T_map_query, other.T_map_query, config) for other in found):
                found.append(refined)
    return sorted(found, key=lambda each: -len(each.features))


def _seeds(pool: MapMatches, tried: Sequence[Tried], config: VerificationConfig) -> list[Pose]:
    """Return T_map_query (4, 4) as single keyframes have it, that of most inliers first."""
    seeds = [each.estimate.T_map_query for each in tried if each.estimate is not None]
    for row in range(len(tried)):
        T = pool.seed(row, config.max_reprojection_error_px, config.ransac_iterations)
        if T is not None:
            seeds.append(T)
    radius_px = 2 * MATCH_RADIUS * config.max_reprojection_error_px
    return sorted(seeds, key=lambda T: -int(pool.inliers(T, radius_px).sum()))


def _follow(
    T: Pose, pool: MapMatches, tried: Sequence[Tried], config: VerificationConfig
) -> Hypothesis:
    """Fit a seed to all matches near it, and gather what speaks for it then."""
    radius_px = MATCH_RADIUS * config.max_reprojection_error_px
    refined = pool.refine(T, radius_px)
    T = T if refined is None else refined.T_map_query
    is_inlier = pool.inliers(T, radius_px)
    pairs = [np.column_stack([pool.source[is_inlier], pool.feature[is_inlier]])]
    for row, each in enumerate(tried):
        if each.estimate is not None and _same(T, each.estimate.T_map_query, config):
            own = each.verification.matches[each.verification.is_inlier, 0]
            pairs.append(np.column_stack([np.full(len(own), row), own]))
    every = np.unique(np.concatenate(pairs), axis=0)
    counts = np.bincount(every[:, 0], minlength=len(tried))
    order = np.argsort(-counts, kind='stable')
    return Hypothesis(
        T_map_query=T,
        information=None if refined is None else refined.information,
        pairs=every,
        sources=[int(row) for row in order if counts[row] > 0],
    )


def _same(T_a: Pose, T_b: Pose, config: VerificationConfig) -> bool:
    return agrees(T_a, T_b, config.max_disagreement_m, config.max_disagreement_deg)
