"""Re-ranks each query's best candidates by two-view geometry, which needs no depth."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import VerificationConfig
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import JUNK
from s3e_gnn_ros.loop_closure.matching import match_descriptors

ExtraMatches = Callable[[Item, Item], NDArray[np.floating]]
"""Gives further matches (P, 4), x y in the query's and x y in the match's image [px]."""

NUM_RERANKED = 5
_MIN_MATCHES = 8  # of a fundamental matrix
_MAX_ERROR_PX = 3.0
_CONFIDENCE = 0.999
_MAX_ITERATIONS = 1000


class Reranker:
    """Scores pairs by the inliers of a fundamental matrix; remembers each pair it has tried.

    ORB matches that choose each other, then ``USAC_MAGSAC`` (Barath et al. 2020).

    Args:
        config: thresholds of the descriptor matches.
        extra_matches: learned matches that are tried together with ORB's.
    """

    def __init__(
        self, config: VerificationConfig, extra_matches: ExtraMatches | None = None
    ) -> None:
        self._config = config
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
            count = count_inliers(self._matches(query, match))
            self._known[key] = (count, query, match)  # with the items: ids of dead ones return
        return self._known[key][0]

    def _matches(self, query: Item, match: Item) -> NDArray[np.float64]:
        a, b = query.features, match.features
        rows = match_descriptors(
            a.descriptors, b.descriptors, self._config.max_hamming, self._config.match_ratio
        )
        pairs = np.hstack([a.points_px[rows[:, 0]], b.points_px[rows[:, 1]]])
        if self._extra_matches is not None:
            pairs = np.vstack([pairs, self._extra_matches(query, match)])
        return np.asarray(pairs, np.float64)


def count_inliers(matches_px: NDArray[np.float64]) -> int:
    """Count the matches (P, 4) that agree with a fundamental matrix; 0 for fewer than 8."""
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
    return 0 if mask is None else int(np.count_nonzero(mask))
