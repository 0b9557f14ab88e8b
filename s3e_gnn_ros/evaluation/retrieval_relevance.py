"""Which pairs of a query and a database image are right, wrong, or neither.

Pairs in between leave the ranking before anything is counted (the junk rule of the Oxford and
Paris buildings: Philbin et al. 2007), and so do pairs a query may not be matched with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POSITIVE, NEGATIVE, JUNK = 1, 0, -1

MIN_POSITIVE_OVERLAP = 0.4
MAX_NEGATIVE_OVERLAP = 0.05
MIN_GAP = 15


def overlap_relevance(
    overlap: NDArray[np.floating], min_positive: float = MIN_POSITIVE_OVERLAP
) -> NDArray[np.int8]:
    """Judge all pairs of keyframes by the overlap of their views.

    Args:
        overlap: (N, N) directed: share of the view of i that j sees as well.
        min_positive: right when both directions reach it; wrong when both stay below 0.05.

    Returns:
        (N, N) int8 of POSITIVE, NEGATIVE and JUNK.
    """
    both, either = np.minimum(overlap, overlap.T), np.maximum(overlap, overlap.T)
    relevance = np.full(overlap.shape, JUNK, dtype=np.int8)
    relevance[both >= min_positive] = POSITIVE
    relevance[either < MAX_NEGATIVE_OVERLAP] = NEGATIVE
    return relevance


def bar_recent(relevance: NDArray[np.int8], min_gap: int = MIN_GAP) -> NDArray[np.int8]:
    """Return (N, N) in which query i is left with the matches j <= i - min_gap."""
    rows, columns = np.indices(relevance.shape)
    return np.where(columns <= rows - min_gap, relevance, np.int8(JUNK)).astype(np.int8)


def bar_where(relevance: NDArray[np.int8], is_barred: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Return the relevance without the barred pairs, both (Q, N)."""
    return np.where(is_barred, np.int8(JUNK), relevance).astype(np.int8)


def add_distractors(relevance: NDArray[np.int8], num: int) -> NDArray[np.int8]:
    """Append ``num`` images that are wrong for each query that has a candidate at all: (Q, N+M).

    The first queries of a drive, which have no older keyframe to match, stay silent.
    """
    asks = (relevance != JUNK).any(axis=1, keepdims=True)
    wrong = np.where(asks, np.int8(NEGATIVE), np.int8(JUNK)).astype(np.int8)
    return np.hstack([relevance, np.repeat(wrong, num, axis=1)])


def rotations_deg(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles (N, N) by which each two of the poses (N, 4, 4) are rotated."""
    R = poses[:, :3, :3].reshape(len(poses), 9)
    # trace(R_a^T R_b) is the sum of the products of their elements.
    return np.asarray(np.degrees(np.arccos(np.clip((R @ R.T - 1) / 2, -1.0, 1.0))))


def view_angles_deg(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angles (N, N) between the optical axes of poses (N, 4, 4): yaw for a robot."""
    axes = poses[:, :3, 2]
    return np.asarray(np.degrees(np.arccos(np.clip(axes @ axes.T, -1.0, 1.0))))
