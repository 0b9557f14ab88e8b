"""Whether odometry went on between two poses, or began anew."""

from __future__ import annotations

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose

MAX_SPEED_M_PER_S = 10.0
_MAX_STEP_M = 1.0
_MAX_TURN_DEG = 60.0
_MAX_TURN_DEG_PER_S = 360.0


def is_plausible_step(
    elapsed_s: float,
    T_odom_before: Pose,
    T_odom_after: Pose,
    max_speed_m_per_s: float = MAX_SPEED_M_PER_S,
) -> bool:
    """Tell whether a camera can have moved so far in so short a time.

    A front end that lost track and started again at its origin jumps; tied by odometry as if
    nothing had happened, the map would be wrong by the whole jump and nobody would know. A metre
    and 60 degrees are granted whatever the time: stamps jitter, and front ends correct themselves.

    Args:
        elapsed_s: time between the two poses [s].
        T_odom_before: (4, 4) pose of the optical frame in the odometry frame.
        T_odom_after: (4, 4) pose after it.
        max_speed_m_per_s: nothing moves faster [m/s].
    """
    step = se3.inverse(T_odom_before) @ T_odom_after
    max_turn_deg = _MAX_TURN_DEG + _MAX_TURN_DEG_PER_S * elapsed_s
    return (
        se3.translation_m(step) <= _MAX_STEP_M + max_speed_m_per_s * elapsed_s
        and se3.rotation_angle_deg(step) <= max_turn_deg
    )
