"""Any stream of poses as nav_msgs/Odometry: the one type the rest of the package knows.

What is handed on follows REP 105 and the message's own comments: pose of ``child_frame_id`` in
``header.frame_id``, twist in the axes of ``child_frame_id``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import pose_from_message
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.conversions import make_header, pose_to_message
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.odometry_buffer import Lookup
from s3e_gnn_ros.ros.tf_listener import TfListener

ODOMETRY = 'odometry'
POSE = 'pose'
_DEFAULT_ODOM_FRAME = 'odom'
_NEW_START_NS = 1_000_000_000
_WARN_PERIOD_S = 5.0
VINS_WORLD = 'world'
VINS_BODY = 'body'


def subscribe_odometry(
    node: Node,
    config: NodeConfig,
    inputs: Inputs,
    use: Callable[[Odometry], None],
    listener: TfListener | None = None,
) -> None:
    """Subscribe to the pose stream that ``node.pose_type`` names.

    The topic is ``odometry`` for nav_msgs/Odometry, ``pose`` for poses; TF has its own.

    Args:
        node: owns the subscription, and logs.
        config: type, frames, and whose conventions the messages follow.
        inputs: how to subscribe.
        use: called with each pose as odometry.
        listener: to TF; one is made when it is needed and not given.

    Raises:
        ConfigError: TF is asked for, and tf2_msgs is not installed.
    """
    body = config.base_frame if config.body_frame_pose else ''
    if config.pose_type == 'tf':
        listener = listener or TfListener(inputs, config.max_odometry_gap_s, is_optional=False)
        _TfOdometry(node, config, listener, inputs.intake.guarded(ODOMETRY, use))
    elif config.pose_type == 'pose':
        inputs.subscribe(PoseStamped, POSE, lambda m: use(odometry_from_pose(m, body)))
    elif config.pose_type == 'pose_with_covariance':
        inputs.subscribe(
            PoseWithCovarianceStamped,
            POSE,
            lambda m: use(odometry_from_pose_with_covariance(m, body)),
        )
    elif config.host == 'vins':
        inputs.subscribe(Odometry, ODOMETRY, lambda m: use(odometry_from_vins(m)))
    else:
        inputs.subscribe(Odometry, ODOMETRY, use)


def odometry_from_pose(message: PoseStamped, body_frame: str) -> Odometry:
    """Return a pose as odometry of a frame; nothing is said of its twist."""
    out = Odometry(header=message.header, child_frame_id=body_frame)
    out.pose.pose = message.pose
    return out


def odometry_from_pose_with_covariance(
    message: PoseWithCovarianceStamped, body_frame: str
) -> Odometry:
    """Return a pose with its covariance as odometry of a frame; nothing is said of its twist."""
    return Odometry(header=message.header, child_frame_id=body_frame, pose=message.pose)


def odometry_from_transform(
    T_odom_base: Pose, stamp_ns: int, odom_frame: str, base_frame: str
) -> Odometry:
    """Return a transform (4, 4) as odometry."""
    out = Odometry(header=make_header(stamp_ns, odom_frame), child_frame_id=base_frame)
    out.pose.pose = pose_to_message(T_odom_base)
    return out


def odometry_from_vins(message: Odometry) -> Odometry:
    """Return VINS's odometry with the twist in the body's axes, where the message has it.

    VINS leaves the velocity in the axes of the world, and calls the body 'world' as well.

    Raises:
        DropError: the pose is not finite or its quaternion not of unit length.
    """
    R_world_body = pose_from_message(message.pose.pose)[:3, :3]
    linear = message.twist.twist.linear
    out = Odometry(header=message.header, pose=message.pose)
    given = message.child_frame_id
    out.child_frame_id = VINS_BODY if given in ('', message.header.frame_id) else given
    velocity = R_world_body.T @ np.array([linear.x, linear.y, linear.z])
    v = out.twist.twist.linear
    v.x, v.y, v.z = velocity.tolist()
    return out


class _TfOdometry:
    """Hands on the pose of one frame in another whenever TF knows a newer one."""

    def __init__(
        self, node: Node, config: NodeConfig, listener: TfListener, use: Callable[[Any], None]
    ) -> None:
        if not listener.is_available:
            raise ConfigError("node.pose_type is 'tf', but tf2_msgs is not installed")
        self._tree = listener.tree
        self._logger = node.get_logger()
        self._odom_frame = config.odom_frame or _DEFAULT_ODOM_FRAME
        self._base_frame = config.base_frame
        self._use = use
        self._last_ns: int | None = None
        listener.on_change(self._advance)

    def _advance(self) -> None:
        stamp_ns = self._tree.newest_ns(self._odom_frame, self._base_frame)
        if stamp_ns is None:
            self._logger.warning(
                f"TF does not say so far how '{self._base_frame}' moves in '{self._odom_frame}'",
                throttle_duration_sec=_WARN_PERIOD_S,
            )
            return
        is_again = self._last_ns is not None and (
            self._last_ns - _NEW_START_NS <= stamp_ns <= self._last_ns
        )
        T = self._tree.at(self._odom_frame, self._base_frame, stamp_ns)
        if is_again or T is None or isinstance(T, Lookup):
            return
        self._last_ns = stamp_ns
        self._use(odometry_from_transform(T, stamp_ns, self._odom_frame, self._base_frame))
