"""Matching of local descriptors between two keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import VerificationConfig
from s3e_gnn_ros.loop_closure.view import PatchDescriptors, View


@dataclass(frozen=True, eq=False)
class Matches:
    """Features of two keyframes that look alike.

    Attributes:
        pairs: (P, 2) indices into the features of query and match: ORB's first, then the others.
        num_orb: how many of them ORB descriptors gave.
        num_learned: how many the encoder's gave; None where a keyframe has none.
    """

    pairs: NDArray[np.intp]
    num_orb: int
    num_learned: int | None = None

    def __len__(self) -> int:
        """Return P."""
        return len(self.pairs)


def match_views(query: View, match: View, config: VerificationConfig) -> Matches:
    """Match ORB descriptors, and beside them the encoder's where both keyframes have them."""
    pairs = match_descriptors(
        query.features.descriptors,
        match.features.descriptors,
        config.max_hamming,
        config.match_ratio,
    )
    num_orb = len(pairs)
    if not config.use_patches or query.patches is None or match.patches is None:
        return Matches(pairs, num_orb)
    learned = match_patches(query.patches, match.patches, config.min_patch_similarity)
    pairs = join_matches(pairs, learned)
    return Matches(pairs, num_orb, len(pairs) - num_orb)


def most_matched(matches: Sequence[Matches], num: int) -> list[int]:
    """Return the places of the ``num`` with the most matches, most first; equals keep their order.

    Of several keyframes that retrieval finds similar, these are verified most surely, and their
    poses are the most exact.
    """
    order = sorted(range(len(matches)), key=lambda place: -len(matches[place]))
    return order[:num]


def match_descriptors(
    query: NDArray[np.uint8], match: NDArray[np.uint8], max_hamming: int, ratio: float
) -> NDArray[np.intp]:
    """Match binary descriptors that choose each other and stand out.

    Args:
        query: (N, 32) uint8.
        match: (M, 32) uint8.
        max_hamming: largest distance of a match, in bits.
        ratio: largest distance relative to the second-best in ``match``.

    Returns:
        (P, 2) indices into ``query`` and ``match``.
    """
    if len(query) < 2 or len(match) < 2:
        return np.zeros((0, 2), dtype=np.intp)
    distance, neighbour = _nearest(query, match, 2)
    good = (distance[:, 0] <= max_hamming) & (distance[:, 0] <= ratio * distance[:, 1])
    rows, best = np.flatnonzero(good), neighbour[good, 0]
    if len(rows) == 0:
        return np.zeros((0, 2), dtype=np.intp)
    # Only the few that stand out are asked whether they are chosen in return.
    _, back = _nearest(match[best], query, 1)
    mutual = back[:, 0] == rows
    return np.column_stack([rows[mutual], best[mutual]])


def match_patches(
    query: PatchDescriptors, match: PatchDescriptors, min_similarity: float
) -> NDArray[np.intp]:
    """Match the encoder's local descriptors that choose each other.

    Args:
        query: patches of the query.
        match: patches of the match.
        min_similarity: least cosine of a match.

    Returns:
        (P, 2) indices into the features of ``query`` and ``match``. Patches that complete an
        image of little texture belong to no feature and take no part.
    """
    if len(query.feature_index) == 0 or len(match.feature_index) == 0:
        return np.zeros((0, 2), dtype=np.intp)
    similarity = query.descriptors.astype(np.float32) @ match.descriptors.astype(np.float32).T
    best = similarity.argmax(axis=1)  # (n,)
    rows = np.arange(len(best))
    is_good = similarity.argmax(axis=0)[best] == rows
    is_good &= similarity[rows, best] >= min_similarity
    return np.column_stack(
        [query.feature_index[rows[is_good]], match.feature_index[best[is_good]]]
    )


def join_matches(first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.intp]:
    """Append the matches of ``second`` (P, 2) whose two features ``first`` leaves free."""
    is_free = ~np.isin(second[:, 0], first[:, 0]) & ~np.isin(second[:, 1], first[:, 1])
    return np.concatenate([first, second[is_free]])


def _nearest(
    a: NDArray[np.uint8], b: NDArray[np.uint8], k: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return Hamming distances and indices (N, k) of the k nearest of b (M, 32) to a (N, 32)."""
    distance, index = cv2.batchDistance(a, b, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=k)
    return np.asarray(distance), np.asarray(index)
