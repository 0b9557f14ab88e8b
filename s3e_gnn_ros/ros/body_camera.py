"""Where the camera sits in the body whose pose odometry gives."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.data.messages import pose_from_message
from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.transform_tree import TransformTree


class BodyCamera:
    """Knows T_body_camera: live from the extrinsic topic, else the parameter, else TF.

    Poses of the camera's own frame, and all poses that are not of a body, are those of the
    camera: identity. A parameter left at the identity means unknown.

    Attributes:
        T_body_camera: (4, 4) as it was last used or told; None while it is unknown.

    Args:
        node: logs the warnings.
        config: the parameters.
        is_body: whether the poses are of a body at all.

    Raises:
        ConfigError: the parameter is no rigid transform.
    """

    def __init__(self, node: Node, config: NodeConfig, *, is_body: bool) -> None:
        values = np.array(config.T_body_camera)
        try:
            given = se3.pose_from_quat(values[:3], values[3:])
        except InputError as err:
            raise ConfigError(f'parameter node.T_body_camera: {err}') from err
        self.T_body_camera: Pose | None = None if np.allclose(given, np.eye(4)) else given
        self._is_body = is_body
        self._logger = node.get_logger()
        self._has_warned = False
        self._tree: TransformTree | None = None

    @property
    def is_unknown(self) -> bool:
        """Whether the poses are of a body in which nothing has placed the camera so far."""
        return self._is_body and self.T_body_camera is None

    def ask(self, tree: TransformTree) -> None:
        """Let TF tell what nobody else does."""
        self._tree = tree

    def on_extrinsic(self, message: Any) -> None:
        """Take T_body_camera as the front end refines it, from a nav_msgs/Odometry."""
        self.T_body_camera = pose_from_message(message.pose.pose)

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
        if self.T_body_camera is None:
            self.T_body_camera = self._from_tf(body_frame, camera_frame)
        return self.T_body_camera

    def _from_tf(self, body_frame: str, camera_frame: str) -> Pose | None:
        if self._tree is not None and body_frame and camera_frame:
            found = self._tree.newest(body_frame, camera_frame)
            if found is not None:
                return found
        self._warn_once(
            'waiting to learn where the camera sits in the body: neither node.T_body_camera, nor '
            'the extrinsic topic, nor TF says it so far'
        )
        return None

    def _warn_once(self, sentence: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._logger.warning(sentence)
