"""Whether the front end still knows where the camera is."""

from __future__ import annotations

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.continuity import MAX_SPEED_M_PER_S, is_plausible_step


class TrackingWatch:
    """Tracking is lost when odometry falls silent, and when it jumps.

    Silence ends with the next pose. A jump is a front end that began again somewhere: what it says
    from then on fits together, but not to what it said before, until the place is known again.
    Times are stamps, so that a recording played at any speed is judged alike.

    Args:
        timeout_s: images this much newer than all odometry find tracking lost [s]; 0: never.
        max_speed_m_per_s: nothing moves faster [m/s].
        is_sparse: poses come of keyframes only, which a camera that stands still has none of:
            silence is that of :meth:`hear` alone, once it has been called.
    """

    def __init__(
        self,
        timeout_s: float,
        max_speed_m_per_s: float = MAX_SPEED_M_PER_S,
        *,
        is_sparse: bool = False,
    ) -> None:
        self.set_timeout(timeout_s)
        self._max_speed_m_per_s = max_speed_m_per_s
        self._is_sparse = is_sparse
        self._heard_ns: int | None = None
        self._last: tuple[int, Pose, str] | None = None
        self._jumped_ns: int | None = None

    def set_timeout(self, timeout_s: float) -> None:
        """Find tracking lost after another time [s] from now on; 0: never."""
        self._timeout_ns = int(timeout_s * 1e9)

    def set_speed(self, max_speed_m_per_s: float) -> None:
        """Judge by another greatest speed [m/s] from now on."""
        self._max_speed_m_per_s = max_speed_m_per_s

    def clear(self) -> None:
        """Begin again: stamps start anew."""
        self._heard_ns = self._last = self._jumped_ns = None

    def hear(self, stamp_ns: int) -> None:
        """Note that odometry speaks of a moment."""
        self._heard_ns = stamp_ns if self._heard_ns is None else max(self._heard_ns, stamp_ns)

    def take_pose(self, stamp_ns: int, T_odom_camera: Pose, odom_frame: str) -> None:
        """Compare a pose (4, 4) with the one before."""
        if not self._is_sparse:
            self.hear(stamp_ns)
        if self._last is not None and stamp_ns > self._last[0]:
            before_ns, T_before, frame_before = self._last
            elapsed_s = (stamp_ns - before_ns) / 1e9
            if odom_frame != frame_before or not is_plausible_step(
                elapsed_s, T_before, T_odom_camera, self._max_speed_m_per_s
            ):
                self.note_jump(stamp_ns)
        self._last = stamp_ns, T_odom_camera, odom_frame

    def note_jump(self, stamp_ns: int) -> None:
        """Note that odometry began anew, however it was found out."""
        self._jumped_ns = stamp_ns

    def located(self, stamp_ns: int) -> None:
        """Note that the place of an image is known; a jump after it still counts."""
        if self._jumped_ns is not None and self._jumped_ns <= stamp_ns:
            self._jumped_ns = None

    def is_lost(self, stamp_ns: int) -> bool:
        """Whether tracking is lost as an image of this stamp comes."""
        if self._timeout_ns == 0:
            return False
        if self._heard_ns is None and not self._is_sparse:
            self._heard_ns = stamp_ns  # the first image waits for odometry as long as any other
        is_silent = self._heard_ns is not None and stamp_ns - self._heard_ns > self._timeout_ns
        return is_silent or self._jumped_ns is not None
