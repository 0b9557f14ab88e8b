"""The latest odometry, and what it says about a moment."""

from __future__ import annotations

from bisect import bisect_left
from enum import Enum

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose

CAPACITY_S = 60.0
"""Poses older than this before the newest are forgotten."""
CAPACITY = 20_000
"""And so are the oldest of more than about as many: a minute of an IMU's rate."""
_PRUNE_EVERY = 256


class Lookup(Enum):
    """Why there is no pose at a stamp."""

    TOO_EARLY_TO_TELL = 'odometry has not come as far as the stamp'
    BEFORE_ODOMETRY = 'odometry began later'
    IN_GAP = 'its neighbours lie too far apart'


class OdometryBuffer:
    """Poses by stamp, answering as :meth:`geometry.trajectory.Trajectory.at` does.

    An answer is given only once it cannot change any more, so that it does not depend on which
    message came first: an exact stamp gives that pose; otherwise both neighbours must be there.

    Args:
        max_gap_s: neighbours further apart than this are not interpolated between [s].
        capacity_s: poses older than this before the newest are forgotten [s].
        capacity: poses kept, however close together; up to 256 more until they are forgotten.
    """

    def __init__(
        self, max_gap_s: float, capacity_s: float = CAPACITY_S, capacity: int = CAPACITY
    ) -> None:
        self._max_gap_ns = max_gap_s * 1e9
        self._capacity_ns = int(capacity_s * 1e9)
        self._capacity = capacity
        self._stamps_ns: list[int] = []
        self._poses: list[Pose] = []

    def __len__(self) -> int:
        """Return the number of poses."""
        return len(self._stamps_ns)

    @property
    def newest_ns(self) -> int | None:
        """Stamp of the newest pose, or None."""
        return self._stamps_ns[-1] if self._stamps_ns else None

    def clear(self) -> None:
        """Forget everything."""
        self._stamps_ns.clear()
        self._poses.clear()

    def add(self, stamp_ns: int, T_odom_body: Pose) -> bool:
        """Append a pose (4, 4); returns False, and ignores it, unless it is the newest."""
        if self._stamps_ns and stamp_ns <= self._stamps_ns[-1]:
            return False
        self._stamps_ns.append(stamp_ns)
        self._poses.append(T_odom_body)
        if len(self._stamps_ns) % _PRUNE_EVERY == 0:
            first = bisect_left(self._stamps_ns, stamp_ns - self._capacity_ns)
            first = max(first, len(self._stamps_ns) - self._capacity)
            del self._stamps_ns[:first], self._poses[:first]
        return True

    def at(self, stamp_ns: int, T_body_camera: Pose) -> Pose | Lookup:
        """Return T_odom_camera (4, 4) at a stamp, or why there is none.

        Both neighbours are moved to the camera before interpolating: a camera off the body's
        centre runs straight, not the body.
        """
        stamps = self._stamps_ns
        i = bisect_left(stamps, stamp_ns)
        if i == len(stamps):
            return Lookup.TOO_EARLY_TO_TELL
        if stamps[i] == stamp_ns:
            return self._poses[i] @ T_body_camera
        if i == 0:
            return Lookup.BEFORE_ODOMETRY
        before, after = stamps[i - 1], stamps[i]
        if after - before > self._max_gap_ns:
            return Lookup.IN_GAP
        fraction = (stamp_ns - before) / (after - before)
        return se3.interpolate(
            self._poses[i - 1] @ T_body_camera, self._poses[i] @ T_body_camera, fraction
        )
