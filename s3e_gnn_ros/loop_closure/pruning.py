"""Which keyframes a map can do without: where they lie most densely, the older ones go."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

HEADING_SCALE_M = 1.0
"""A turn by 60 deg tells two views apart as one metre does."""

_APART_M = 1e6
_FIRST_LOOK = 8


def choose_pruned(
    poses: NDArray[np.float64],
    ages: NDArray[np.int64],
    num_drop: int,
    num_newest: int = 0,
    groups: NDArray[np.int64] | None = None,
) -> NDArray[np.intp]:
    """Choose keyframes to drop, so that the others still cover what was seen.

    Again and again, of the two views nearest to one another the older goes. Their distance is
    that of the cameras together with the angle between the optical axes, so that looking back
    from the same spot is another view.

    Args:
        poses: (N, 4, 4) of the cameras; those of a group share a frame.
        ages: (N,) any numbers that are higher for older keyframes.
        num_drop: how many to drop.
        num_newest: the keyframes with the lowest ages that stay in any case.
        groups: (N,) keyframes of different groups are far apart; all are of one when None.

    Returns:
        (n,) rows to drop, ascending; fewer than ``num_drop`` when no more may go.
    """
    num_drop = max(0, min(num_drop, len(poses) - num_newest))
    is_kept = np.zeros(len(poses), dtype=bool)
    is_kept[np.argsort(ages, kind='stable')[:num_newest]] = True
    groups = np.zeros(len(poses), dtype=np.int64) if groups is None else groups
    nearest = _Nearest(_view_points(poses, groups))
    dropped: list[int] = []
    while len(dropped) < num_drop:
        pair = nearest.closest_pair()
        if pair is None:
            break
        older, newer = sorted(pair, key=lambda row: (-ages[row], row))
        if not is_kept[older]:
            dropped.append(older)
            nearest.remove(older)
        elif not is_kept[newer]:  # cannot be, unless the newest have the age of others
            dropped.append(newer)
            nearest.remove(newer)
        else:
            nearest.part(*pair)
    return np.sort(np.array(dropped, dtype=np.intp))


def _view_points(poses: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return points (N, 7) that lie as far apart as views differ."""
    axes = HEADING_SCALE_M * poses[:, :3, 2]
    apart = _APART_M * np.unique(groups, return_inverse=True)[1]
    return np.column_stack([poses[:, :3, 3], axes, apart])


class _Nearest:
    """The closest pair of a set that shrinks.

    Each point waits in a heap at the distance of the nearest neighbour it had when last asked.
    Points only go, so that distance can only have grown: it is looked up anew when its turn comes.
    """

    def __init__(self, points: NDArray[np.float64]) -> None:
        self._points = points
        self._tree = KDTree(points) if len(points) else None
        self._alive = np.ones(len(points), dtype=bool)
        self._parted: dict[int, set[int]] = {}
        self._looked = np.full(len(points), _FIRST_LOOK)
        self._heap: list[tuple[float, int, int]] = []
        if self._tree is not None and len(points) > 1:
            distance, index = self._tree.query(points, k=min(3, len(points)))
            for row in range(len(points)):
                column = int(index[row, 0] == row)  # of equal points, it may not be the first
                self._heap.append((float(distance[row, column]), row, int(index[row, column])))
        heapq.heapify(self._heap)

    def closest_pair(self) -> tuple[int, int] | None:
        """Return the two nearest points; None when there are no two left."""
        while self._heap:
            _, row, other = self._heap[0]
            if self._alive[row] and self._alive[other] and not self._is_parted(row, other):
                return row, other
            heapq.heappop(self._heap)
            if self._alive[row]:
                self._look_again(row)
        return None

    def remove(self, row: int) -> None:
        """Take a point out."""
        self._alive[row] = False

    def part(self, row: int, other: int) -> None:
        """Never return these two again as a pair."""
        self._parted.setdefault(row, set()).add(other)
        self._parted.setdefault(other, set()).add(row)

    def _is_parted(self, row: int, other: int) -> bool:
        return other in self._parted.get(row, ())

    def _look_again(self, row: int) -> None:
        assert self._tree is not None  # the heap would be empty
        while True:
            count = min(int(self._looked[row]), len(self._points))
            distance, index = self._tree.query(self._points[row], k=count)
            for d, other in zip(distance.tolist(), index.tolist(), strict=True):
                if other != row and self._alive[other] and not self._is_parted(row, other):
                    heapq.heappush(self._heap, (d, row, other))
                    return
            if count == len(self._points):
                return
            self._looked[row] *= 2
