"""What VINS-Mono's estimator and its loop node say to each other: pure functions, no node."""

from __future__ import annotations

import math

import numpy as np
from geometry_msgs.msg import Point32
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from sensor_msgs.msg import ChannelFloat32, PointCloud

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.conversions import make_header, pose_from_message

MAX_INDEX = 1 << 24
"""Numbers from here on do not survive the float32 of these messages."""


def match_points_message(
    stamp_ns: int,
    index: int,
    points_old: NDArray[np.float64],
    feature_ids: NDArray[np.int64],
    T_world_old: Pose,
) -> PointCloud:
    """Build match_points: which of its features the estimator saw before, and from where.

    The estimator walks through its features and these points at once, both by increasing track
    number, and takes each point once: so they are sorted here, and a number that comes twice is
    sent once.

    Args:
        stamp_ns: of the current keyframe's image, exactly: the estimator looks for it.
        index: number of the current keyframe, which the answer repeats.
        points_old: (N, 2) where the older keyframe saw the features, undistorted, on z = 1.
        feature_ids: (N,) the estimator's track numbers.
        T_world_old: (4, 4) corrected pose of the body at the older keyframe [m].
    """
    ids, rows = np.unique(feature_ids, return_index=True)
    message = PointCloud(header=make_header(stamp_ns, ''))
    message.points = [
        Point32(x=x, y=y, z=float(number))
        for (x, y), number in zip(points_old[rows].tolist(), ids.tolist(), strict=True)
    ]
    qx, qy, qz, qw = se3.quat_xyzw(T_world_old).tolist()
    values = [*T_world_old[:3, 3].tolist(), qw, qx, qy, qz, float(index)]
    message.channels = [ChannelFloat32(values=values)]
    return message


def relo_pose_from_message(message: Odometry) -> tuple[int, Pose]:
    """Return the keyframe's index and T_old_current (4, 4) of the body, of a relo_relative_pose.

    Raises:
        InputError: the pose is not finite, or no unit quaternion.
        DropError: ``relo_pose``, when the index is no number of a keyframe.
    """
    index = message.twist.twist.linear.y
    if not (0 <= index < MAX_INDEX and index == int(index)):
        raise DropError('relo_pose', f'relo_relative_pose speaks of keyframe {index}')
    return int(index), pose_from_message(message.pose.pose)


def relative_yaw_deg(T_world_current: Pose, T_old_current: Pose) -> float:
    """Return by how much the body has turned about the vertical since the older keyframe [deg].

    It is the difference of the two yaws (of yaw, pitch, roll) in the world, in [-180, 180), as
    VINS-Mono takes it; the world's z points up.

    Args:
        T_world_current: (4, 4) pose of the body now.
        T_old_current: (4, 4) the same in the body at the older keyframe.
    """
    T_world_old = T_world_current @ se3.inverse(T_old_current)
    return (_yaw_deg(T_world_current) - _yaw_deg(T_world_old) + 180.0) % 360.0 - 180.0


def _yaw_deg(T: Pose) -> float:
    return math.degrees(math.atan2(T[1, 0], T[0, 0]))
