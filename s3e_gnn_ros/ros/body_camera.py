"""Where the camera sits in the body whose pose odometry gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.time import Time

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.data.messages import pose_from_message
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose

try:
    import tf2_ros
except ImportError:
    tf2_ros = None


class BodyCamera:
    """Knows T_body_camera: live from the extrinsic topic, else the parameter, else TF.

    Poses of the camera's own frame, and all poses without ``node.body_frame_pose``, are those of
    the camera: identity. With it, a parameter left at the identity means unknown: then the
    extrinsic topic must tell, or TF where tf2_ros is installed.

    Args:
        node: owns the TF listener.
        config: the parameters.

    Raises:
        ConfigError: the parameter is no rigid transform.
    """

    def __init__(self, node: Node, config: NodeConfig) -> None:
        values = np.array(config.T_body_camera)
        try:
            given = se3.pose_from_quat(values[:3], values[3:])
        except InputError as err:
            raise ConfigError(f'parameter node.T_body_camera: {err}') from err
        self._is_body = config.body_frame_pose
        self._T_body_camera: Pose | None = None if np.allclose(given, np.eye(4)) else given
        self._logger = node.get_logger()
        self._has_warned = False
        self._tf: Any = None
        if self._is_body and self._T_body_camera is None and tf2_ros is not None:
            self._tf = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._tf, node)

    def on_extrinsic(self, message: Any) -> None:
        """Take T_body_camera as the front end refines it, from a nav_msgs/Odometry."""
        self._T_body_camera = pose_from_message(message.pose.pose)

    def in_body(self, body_frame: str, camera_frame: str) -> Pose | None:
        """Return T_body_camera (4, 4), or None while it is unknown."""
        if body_frame and clean_frame(body_frame) == clean_frame(camera_frame):
            return np.eye(4)
        if not self._is_body:
            if body_frame and camera_frame:
                self._warn_once(
                    f"odometry is of '{body_frame}', images are of '{camera_frame}', and "
                    'node.body_frame_pose is false: its pose is taken as that of the camera'
                )
            return np.eye(4)
        if self._T_body_camera is None:
            self._T_body_camera = self._from_tf(body_frame, camera_frame)
        return self._T_body_camera

    def _from_tf(self, body_frame: str, camera_frame: str) -> Pose | None:
        if self._tf is not None and body_frame and camera_frame:
            try:
                found = self._tf.lookup_transform(body_frame, camera_frame, Time())
            except tf2_ros.TransformException:
                pass
            else:
                return pose_from_message(found.transform)
        self._warn_once(
            'waiting to learn where the camera sits in the body: neither node.T_body_camera, nor '
            'the extrinsic topic, nor TF says it so far'
        )
        return None

    def _warn_once(self, sentence: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._logger.warning(sentence)
