"""Re-ranks each query's best candidates by two-view geometry, which needs no depth."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import VerificationConfig
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import JUNK
from s3e_gnn_ros.loop_closure.matching import join_matches, match_descriptors

ExtraMatches = Callable[[Item, Item], NDArray[np.intp]]
"""Gives further matches (P, 2): indices of features of the query and of the match."""

NUM_RERANKED = 5
_MIN_MATCHES = 8  # of a fundamental matrix
_MAX_ERROR_PX = 3.0
_CONFIDENCE = 0.999
_MAX_ITERATIONS = 1000


class OrbMatches:
    """Matches of ORB descriptors that choose each other; each pair of images is tried once.

    Args:
        config: thresholds.
    """

    def __init__(self, config: VerificationConfig) -> None:
        self._config = config
        self._known: dict[tuple[int, int], tuple[NDArray[np.intp], Item, Item]] = {}

    def __call__(self, query: Item, match: Item) -> NDArray[np.intp]:
        """Return the matches (P, 2) as indices of features."""
        key = (id(query), id(match))
        if key not in self._known:
            rows = match_descriptors(
                query.features.descriptors,
                match.features.descriptors,
                self._config.max_hamming,
                self._config.match_ratio,
            )
            self._known[key] = (rows, query, match)  # with the items: ids of dead ones return
        return self._known[key][0]


class Reranker:
    """Scores pairs by the inliers of a fundamental matrix; remembers each pair it has tried.

    ORB matches, and beside them what a method has learned to match, then ``USAC_MAGSAC``
    (Barath et al. 2020).

    Args:
        orb_matches: may be shared by the rerankers of several methods.
        extra_matches: those of one method; None for a method that has none.
    """

    def __init__(self, orb_matches: OrbMatches, extra_matches: ExtraMatches | None = None) -> None:
        self._orb_matches = orb_matches
        self._extra_matches = extra_matches
        self._known: dict[tuple[int, int], tuple[int, Item, Item]] = {}

    def rerank(
        self,
        similarity: NDArray[np.floating],
        relevance: NDArray[np.int8],
        queries: list[Item],
        database: list[Item],
    ) -> NDArray[np.float64]:
        """Return (Q, N) in which the 5 best candidates of each query have their inliers.

        Among equal inliers the more similar comes first. All other candidates follow below 0 in
        their old order. Junk has left the ranking before.
        """
        old = np.where(relevance == JUNK, -np.inf, similarity)
        order = np.argsort(-old, axis=1, kind='stable')
        places = np.empty_like(order)
        np.put_along_axis(places, order, np.arange(old.shape[1])[None], axis=1)
        new = -1.0 - places.astype(np.float64)
        for row, query in enumerate(queries):
            for column in order[row, :NUM_RERANKED]:
                if relevance[row, column] != JUNK:
                    tie_break = 0.5 / (1.0 + np.exp(-float(similarity[row, column])))
                    new[row, column] = self.num_inliers(query, database[column]) + tie_break
        return new

    def num_inliers(self, query: Item, match: Item) -> int:
        """Count the matches that agree with one fundamental matrix."""
        key = (id(query), id(match))
        if key not in self._known:
            self._known[key] = (self._count(query, match), query, match)
        return self._known[key][0]

    def _count(self, query: Item, match: Item) -> int:
        rows = self._orb_matches(query, match)
        num_orb = len(rows)
        if self._extra_matches is not None:
            rows = join_matches(rows, self._extra_matches(query, match))
        points = query.features.points_px[rows[:, 0]], match.features.points_px[rows[:, 1]]
        return count_inliers(np.hstack(points).astype(np.float64), num_orb)


def count_inliers(matches_px: NDArray[np.float64], num_orb: int | None = None) -> int:
    """Count the matches that agree with a fundamental matrix.

    Learned matches never speak for a pair alone: they count only beside as many inliers of ORB as
    a fundamental matrix needs.

    Args:
        matches_px: (P, 4) x y in the query's and x y in the match's image.
        num_orb: the first so many are ORB's, the others learned; None: all are ORB's.

    Returns:
        Their number; 0 for fewer than 8 matches.
    """
    if len(matches_px) < _MIN_MATCHES:
        return 0
    cv2.setRNGSeed(0)
    try:
        _, mask = cv2.findFundamentalMat(
            np.ascontiguousarray(matches_px[:, :2]),
            np.ascontiguousarray(matches_px[:, 2:]),
            cv2.USAC_MAGSAC,
            _MAX_ERROR_PX,
            _CONFIDENCE,
            _MAX_ITERATIONS,
        )
    except cv2.error:  # a degenerate sample, such as all matches in one place
        return 0
    if mask is None:
        return 0
    of_orb = int(np.count_nonzero(mask[:num_orb]))
    return int(np.count_nonzero(mask)) if of_orb >= _MIN_MATCHES else of_orb
