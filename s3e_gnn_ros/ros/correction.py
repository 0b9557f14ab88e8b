"""The correction of odometry: what it is, whether it still applies, and how it is followed.

A correction is that of the newest keyframe that has been solved, so its age says nothing: it stays
right while a robot is parked, and while no keyframe comes the drift since then is unknown, which
:func:`corrected_pose.corrected_covariance` accounts for. It is out of date, however old, once
odometry has begun anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.continuity import MAX_SPEED_M_PER_S, is_plausible_step
from s3e_gnn_ros.types import KeyframeKey

_MAX_AHEAD_NS = 1_000_000_000
"""A keyframe is not much newer than odometry, unless time has jumped back since."""


@dataclass(frozen=True, eq=False)
class Correction:
    """Where the pose graph puts the newest keyframe of the robot's own.

    Attributes:
        key: the keyframe.
        stamp_ns: its stamp.
        odom_frame: frame of its odometry.
        T_map_camera: (4, 4) corrected pose of the optical frame.
        T_odom_camera: (4, 4) the same by odometry.
        is_tied: whether the keyframe hangs together with the map. Where odometry began anew and
            no loop has led back yet, nobody knows where in the map it is.
        covariance: (6, 6) of T_map_camera, rotation [rad] first, perturbation on the right; None
            when the graph cannot tell.
    """

    key: KeyframeKey
    stamp_ns: int
    odom_frame: str
    T_map_camera: Pose
    T_odom_camera: Pose
    is_tied: bool = True
    covariance: NDArray[np.float64] | None = None

    @property
    def T_map_odom(self) -> Pose:
        """The correction itself (4, 4)."""
        return self.T_map_camera @ se3.inverse(self.T_odom_camera)


class Applicability:
    """Decides whether a correction belongs to the odometry that comes now.

    Odometry begins anew when its frame changes, when it jumps further than the robot can have
    moved, or when time jumps back. From then on corrections of what was known before, and of
    keyframes from before, are refused; so is at all times one of another odometry frame, and one
    of a piece of the graph that nothing ties to the map.

    Args:
        max_speed_m_per_s: nothing moves faster [m/s].
    """

    def __init__(self, max_speed_m_per_s: float = MAX_SPEED_M_PER_S) -> None:
        self._max_speed_m_per_s = max_speed_m_per_s
        self._last: tuple[int, Pose, str] | None = None
        self._since_ns: int | None = None  # the beginning, when it was seen
        self._known: KeyframeKey | None = None  # newest keyframe corrected so far
        self._outdated: KeyframeKey | None = None  # and this one at the beginning

    def set_speed(self, max_speed_m_per_s: float) -> None:
        """Judge by another greatest speed [m/s] from now on."""
        self._max_speed_m_per_s = max_speed_m_per_s

    def take_odometry(
        self, stamp_ns: int, T_odom_body: Pose, odom_frame: str, *, has_restarted: bool = False
    ) -> None:
        """Watch odometry; call it once per message, in order.

        Args:
            stamp_ns: of the message.
            T_odom_body: (4, 4) its pose.
            odom_frame: its frame.
            has_restarted: it was seen not to go on from the message before.
        """
        if has_restarted or self._begins_anew(stamp_ns, T_odom_body, odom_frame):
            self._since_ns, self._outdated = stamp_ns, self._known
        self._last = stamp_ns, T_odom_body, odom_frame

    def applies(self, correction: Correction | None) -> bool:
        """Judge the latest correction by the newest odometry."""
        if correction is None or self._last is None:
            return False
        self._known = correction.key
        stamp_ns, _, odom_frame = self._last
        return (
            correction.is_tied
            and clean_frame(correction.odom_frame) == clean_frame(odom_frame)
            and correction.stamp_ns <= stamp_ns + _MAX_AHEAD_NS
            and (self._since_ns is None or correction.stamp_ns >= self._since_ns)
            and (self._outdated is None or correction.key > self._outdated)
        )

    def _begins_anew(self, stamp_ns: int, T_odom_body: Pose, odom_frame: str) -> bool:
        if self._last is None:
            return False
        last_ns, T_last, last_frame = self._last
        elapsed_s = (stamp_ns - last_ns) / 1e9
        if elapsed_s <= 0 or clean_frame(odom_frame) != clean_frame(last_frame):
            return True
        return not is_plausible_step(elapsed_s, T_last, T_odom_body, self._max_speed_m_per_s)


class Follower:
    """Follows the correction at once, or smoothly.

    Smoothly, what remains of a correction shrinks by ``1 - 1/e`` within each time constant of
    odometry, whatever the rate of the messages. It shrinks where the robot is: its corrected pose
    moves straight to where it belongs, and does not swing around the distant origin of odometry.

    Args:
        time_s: the time constant [s]; None: at once.
    """

    def __init__(self, time_s: float | None) -> None:
        self._time_s = time_s
        self._T_map_odom: Pose | None = None
        self._stamp_ns = 0

    def set_time(self, time_s: float | None) -> None:
        """Follow by another time constant [s], or at once."""
        self._time_s = time_s

    def forget(self) -> None:
        """Take the next correction at once: there is nothing to go on from."""
        self._T_map_odom = None

    def follow(self, stamp_ns: int, T_odom_body: Pose, T_map_odom: Pose) -> Pose:
        """Return the correction (4, 4) to use at a stamp.

        Args:
            stamp_ns: of the odometry message.
            T_odom_body: (4, 4) its pose.
            T_map_odom: (4, 4) where to go.
        """
        if self._time_s is not None and self._T_map_odom is not None:
            elapsed_s = max(0.0, (stamp_ns - self._stamp_ns) / 1e9)
            share = -math.expm1(-elapsed_s / self._time_s)
            T_map_odom = approach(self._T_map_odom, T_map_odom, T_odom_body, share)
        self._T_map_odom, self._stamp_ns = T_map_odom, stamp_ns
        return T_map_odom


def approach(T_map_odom: Pose, T_goal: Pose, T_odom_body: Pose, share: float) -> Pose:
    """Move a correction towards another by a share in [0, 1] of the way.

    Args:
        T_map_odom: (4, 4) the correction so far.
        T_goal: (4, 4) where to go.
        T_odom_body: (4, 4) where the robot is: its corrected pose moves straight and turns by the
            shortest arc.
        share: of the way.
    """
    T_map_body = se3.interpolate(T_map_odom @ T_odom_body, T_goal @ T_odom_body, share)
    return T_map_body @ se3.inverse(T_odom_body)
