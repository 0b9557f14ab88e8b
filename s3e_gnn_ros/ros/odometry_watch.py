"""Tells odometry that goes on from odometry that began anew, and from poses that are wrong."""

from __future__ import annotations

from dataclasses import dataclass

from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.continuity import is_plausible_step

_CONFIRM_NS = 500_000_000
"""What does not fit to what came before must fit to itself for so long."""
_SILENCE_NS = 3_000_000_000
_SILENT_PERIODS = 5


@dataclass(frozen=True, eq=False)
class _Heard:
    stamp_ns: int
    T_odom_body: Pose
    frames: tuple[str, str]


class OdometryWatch:
    """Judges a stream of poses.

    A pose that does not fit is kept out. When those that follow fit to it, and none to what came
    before, for half a second, odometry has begun anew: a front end that lost track, relocalised
    or was started again. A single wrong pose, or a second publisher on the same topic, has no
    such consequence. After a silence the time since counts for nothing: odometry that comes back
    where it was goes on, and odometry that comes back elsewhere may be anything.

    Args:
        max_speed_m_per_s: nothing moves faster [m/s].
    """

    def __init__(self, max_speed_m_per_s: float) -> None:
        self._max_speed_m_per_s = max_speed_m_per_s
        self.clear()

    def set_speed(self, max_speed_m_per_s: float) -> None:
        """Judge by another greatest speed [m/s] from now on."""
        self._max_speed_m_per_s = max_speed_m_per_s

    def clear(self) -> None:
        """Begin again: stamps start anew."""
        self._last: _Heard | None = None
        self._period_ns = 0
        self._odd: _Heard | None = None  # the newest that did not fit
        self._odd_since_ns = 0

    def judge(self, stamp_ns: int, T_odom_body: Pose, odom_frame: str, body_frame: str) -> str:
        """Judge the next pose; stamps increase.

        Args:
            stamp_ns: of the pose.
            T_odom_body: (4, 4) the pose.
            odom_frame: its frame.
            body_frame: whose pose it is; empty where that is not said.

        Returns:
            Empty when odometry goes on with it; in what way it began anew, when it did.

        Raises:
            DropError: ``odometry_frame`` or ``odometry_jump``, for a pose to leave out.
        """
        new = _Heard(stamp_ns, T_odom_body, (clean_frame(odom_frame), clean_frame(body_frame)))
        last, odd = self._last, self._odd
        # The odd ones first: the longer they go on, the further may the robot have moved since.
        is_again_odd = odd is not None and self._fits(odd, new)
        if last is None or (not is_again_odd and self._goes_on(last, new)):
            self._accept(new)
            return ''
        difference = _difference(last, new)
        if not is_again_odd:
            self._odd_since_ns = stamp_ns
        elif stamp_ns - self._odd_since_ns >= _CONFIRM_NS:
            self._accept(new)
            return difference
        self._odd = new
        reason = 'odometry_jump' if new.frames == last.frames else 'odometry_frame'
        raise DropError(reason, f'{difference}; it is left out until that lasts')

    def _goes_on(self, last: _Heard, new: _Heard) -> bool:
        elapsed_ns = new.stamp_ns - last.stamp_ns
        is_silence = elapsed_ns > max(_SILENCE_NS, _SILENT_PERIODS * self._period_ns)
        # Of a single pose nobody can say what is a silence after it.
        return self._fits(last, new, 0 if is_silence and self._period_ns else elapsed_ns)

    def _fits(self, before: _Heard, after: _Heard, elapsed_ns: int | None = None) -> bool:
        if elapsed_ns is None:
            elapsed_ns = after.stamp_ns - before.stamp_ns
        return before.frames == after.frames and is_plausible_step(
            elapsed_ns / 1e9, before.T_odom_body, after.T_odom_body, self._max_speed_m_per_s
        )

    def _accept(self, new: _Heard) -> None:
        self._period_ns = 0 if self._last is None else new.stamp_ns - self._last.stamp_ns
        self._last, self._odd = new, None


def _difference(last: _Heard, new: _Heard) -> str:
    """Say what does not fit."""
    at = f'at {new.stamp_ns} ns'
    for what, before, after in zip(
        ('frame_id', 'child_frame_id'), last.frames, new.frames, strict=True
    ):
        if before != after:
            return f"odometry {at} has {what} '{after}' instead of '{before}'"
    x, y, z = new.T_odom_body[:3, 3]
    elapsed_s = (new.stamp_ns - last.stamp_ns) / 1e9
    return f'odometry {at} has jumped to ({x:.2f}, {y:.2f}, {z:.2f}) m within {elapsed_s:.2f} s'
