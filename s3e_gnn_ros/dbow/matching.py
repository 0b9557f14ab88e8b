"""Correspondences of binary descriptors, and the fundamental matrix they agree with."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.dbow.parameters import Parameters
from s3e_gnn_ros.retrieval.hamming import DESCRIPTOR_BITS, distances_to_all, to_planes

_FAR = np.int32(DESCRIPTOR_BITS + 1)
_FLANN_INDEX_LSH = 6
_LSH = {
    'algorithm': _FLANN_INDEX_LSH,
    'table_number': 6,
    'key_size': 12,
    'multi_probe_level': 1,
}


def match_by_ratio(
    old: NDArray[np.uint8],
    current: NDArray[np.uint8],
    max_ratio: float,
    is_comparable: NDArray[np.bool_] | None = None,
) -> NDArray[np.intp]:
    """Match each old descriptor with its nearest current one, where that stands out.

    Args:
        old: (N, 32) uint8.
        current: (M, 32) uint8.
        max_ratio: largest distance relative to the second-best. Where there is no second, the
            best is taken, as DLoopDetector does.
        is_comparable: (N, M) which pairs are looked at; None: all.

    Returns:
        (P, 2) indices into ``old`` and ``current``; each current one occurs once, with the old one
        that is nearest to it.
    """
    if len(old) == 0 or len(current) == 0:
        return np.zeros((0, 2), dtype=np.intp)
    distance = distances_to_all(to_planes(old), to_planes(current)).astype(np.int32)  # (N, M)
    if is_comparable is not None:
        distance[~is_comparable] = _FAR
    rows = np.arange(len(old))
    nearest = distance.argmin(axis=1)
    first = distance[rows, nearest]
    distance[rows, nearest] = _FAR
    second = distance.min(axis=1)
    stands_out = (second == _FAR) | ((second > 0) & (first <= max_ratio * second))
    good = (first < _FAR) & stands_out
    return _unique(rows[good], nearest[good], first[good])


def match_with_flann(
    old: NDArray[np.uint8], current: NDArray[np.uint8], max_ratio: float
) -> NDArray[np.intp]:
    """Match as :func:`match_by_ratio`, with neighbours that are searched for approximately."""
    if len(old) == 0 or len(current) == 0:
        return np.zeros((0, 2), dtype=np.intp)
    found = cv2.FlannBasedMatcher(_LSH, {}).knnMatch(old, current, k=2)
    pairs = [near for near in found if len(near) == 2]
    rows = [(n[0].queryIdx, n[0].trainIdx, n[0].distance, n[1].distance) for n in pairs]
    row, column, first, second = np.array(rows, np.int32).reshape(-1, 4).T
    good = (second > 0) & (first <= max_ratio * second)
    # Where the search came upon one neighbour only, nobody knows whether it stands out.
    lone = np.array([near[0].queryIdx for near in found if len(near) == 1], dtype=np.intp)
    others = match_by_ratio(old[lone], current, max_ratio)
    bits = _hamming(old[lone[others[:, 0]]], current[others[:, 1]])
    return _unique(
        np.concatenate([row[good], lone[others[:, 0]]]).astype(np.intp),
        np.concatenate([column[good], others[:, 1]]).astype(np.intp),
        np.concatenate([first[good], bits]),
    )


def count_epipolar_inliers(
    old_px: NDArray[np.float32], current_px: NDArray[np.float32], parameters: Parameters
) -> int:
    """Find a fundamental matrix by RANSAC; returns how many matches (P, 2) agree with it.

    Matches of the same two pixels count once.
    """
    both = np.unique(np.hstack([old_px, current_px]).astype(np.float64), axis=0)  # (P', 4)
    if len(both) < parameters.min_f_points:
        return 0
    _, mask = cv2.findFundamentalMat(
        np.ascontiguousarray(both[:, :2]),
        np.ascontiguousarray(both[:, 2:]),
        cv2.FM_RANSAC,
        parameters.max_reprojection_error,
        parameters.ransac_probability,
        parameters.max_ransac_iterations,
    )
    return 0 if mask is None else int(np.count_nonzero(mask))


def _hamming(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the distance (N,) in bits of each row from its counterpart."""
    return np.asarray(np.unpackbits(one ^ other, axis=1).sum(axis=1), dtype=np.int32)


def _unique(
    old: NDArray[np.intp], current: NDArray[np.intp], distance: NDArray[np.int32]
) -> NDArray[np.intp]:
    """Keep, of the old ones (P,) that chose one current one, the nearest, or first of equals."""
    order = np.lexsort((old, distance, current))
    _, first = np.unique(current[order], return_index=True)
    kept = np.sort(order[first])
    return np.column_stack([old[kept], current[kept]])
