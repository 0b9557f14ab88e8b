"""Which keypoints stand too close to a stronger one of their scale."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.completion import ORB_SIZE_PX

_RADIUS_PX = 10.0  # at the finest scale
_MAX_PAIRS = 1 << 18  # looked at together: bounds the memory
_APART = 1e6  # between two scales on the line that points are sorted along [px]


def find_crowded(
    points_px: NDArray[np.float32],
    sizes_px: NDArray[np.float32],
    responses: NDArray[np.float32],
    scales: NDArray[np.intp],
) -> NDArray[np.bool_]:
    """Tell which points have a stronger one of the same scale within 10 px, at that scale.

    Points are sorted by column, so that each is compared with its neighbours there only.

    Args:
        points_px: (N, 2), finite.
        sizes_px: (N,) diameter of the keypoints; the first of a scale decides for it.
        responses: (N,) strength.
        scales: (N,) number of each point's scale.

    Returns:
        (N,) bool.
    """
    _, first, lane = np.unique(scales, return_index=True, return_inverse=True)
    radius = (_RADIUS_PX * sizes_px[first] / ORB_SIZE_PX)[lane]  # (N,)
    along = lane * _APART + points_px[:, 0]
    order = np.argsort(along)
    x, y = points_px[order].T
    strength, radius, along = responses[order], radius[order], along[order]
    reach = np.searchsorted(along, along + 1.001 * radius, side='right') - np.arange(len(order))
    is_crowded = np.zeros(len(order), dtype=bool)
    for left, right in _pairs(reach - 1):
        near = (x[left] - x[right]) ** 2 + (y[left] - y[right]) ** 2 < radius[left] ** 2
        left, right = left[near], right[near]
        is_crowded[left[strength[left] < strength[right]]] = True
        is_crowded[right[strength[right] < strength[left]]] = True
    result = np.empty_like(is_crowded)
    result[order] = is_crowded
    return result


def _pairs(counts: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Pair each row with as many that follow it as ``counts`` (N,) says, in blocks of pairs."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(_MAX_PAIRS, total, _MAX_PAIRS), side='right')
    for rows in np.split(np.arange(len(counts)), cuts):
        left = np.repeat(rows, counts[rows])
        begins = ends[rows] - counts[rows]
        place = np.arange(len(left)) - np.repeat(begins - begins[:1], counts[rows])
        yield left, left + 1 + place
