"""Whether odometry went on between two keyframes, or began anew."""

from __future__ import annotations

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose

_MAX_STEP_M = 1.0
_MAX_SPEED_M_PER_S = 10.0


def is_plausible_step(elapsed_s: float, T_odom_before: Pose, T_odom_after: Pose) -> bool:
    """Tell whether a camera can have moved so far in so short a time.

    A front end that lost track and started again at its origin jumps; tied by odometry as if
    nothing had happened, the map would be wrong by the whole jump and nobody would know.

    Args:
        elapsed_s: time between the two poses [s].
        T_odom_before: (4, 4) pose of the optical frame in the odometry frame.
        T_odom_after: (4, 4) pose after it.
    """
    step = se3.inverse(T_odom_before) @ T_odom_after
    return se3.translation_m(step) <= _MAX_STEP_M + _MAX_SPEED_M_PER_S * elapsed_s
