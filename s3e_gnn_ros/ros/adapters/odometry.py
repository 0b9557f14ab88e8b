"""Any odometry: a topic of poses, or TF. Keyframes are chosen by motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nav_msgs.msg import Odometry
from rclpy.node import Node

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.adapters.host import Host
from s3e_gnn_ros.ros.adapters.pose_input import subscribe_odometry
from s3e_gnn_ros.ros.body_camera import BodyCamera
from s3e_gnn_ros.ros.frame_joiner import FrameJoiner, Picture, PosedFrame
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.odometry_buffer import OdometryBuffer
from s3e_gnn_ros.ros.tf_listener import TfListener

_POSES_PER_PICTURE = 100
"""An IMU's rate over that of a slow camera, with room to spare."""


class OdometryHost(Host):
    """Gives every picture the pose that odometry has at its stamp; see :class:`Host`.

    The poses are of the camera, unless ``node.body_frame_pose`` is set or TF gives them.
    """

    def __init__(
        self, node: Node, config: NodeConfig, inputs: Inputs, on_message: Callable[[], None]
    ) -> None:
        super().__init__(node, config, inputs, on_message)
        is_tf = config.pose_type == 'tf'
        self._body_camera = BodyCamera(node, config, is_body=config.body_frame_pose or is_tf)
        self._T_body_camera: Pose | None = None
        capacity = _POSES_PER_PICTURE * config.sync_queue_size
        self._buffer = OdometryBuffer(config.max_odometry_gap_s, capacity=capacity)
        self._joiner = FrameJoiner(self._buffer, config.sync_queue_size, inputs.intake.drop)
        self._odom_frame = config.odom_frame
        self._body_frame = ''
        listener = None
        if is_tf or self._body_camera.is_unknown:
            gap_s = config.max_odometry_gap_s
            listener = TfListener(inputs, gap_s, is_optional=not is_tf)
            self._body_camera.ask(listener.tree)
        subscribe_odometry(node, config, inputs, self._take_odometry, listener)
        if config.body_frame_pose:
            inputs.subscribe(
                Odometry, 'extrinsic', self._take_extrinsic, is_timed=False, is_optional=True
            )

    @property
    def T_body_camera(self) -> Pose | None:
        """The camera (4, 4) in the frame whose pose odometry gives, as it was last used."""
        return self._T_body_camera

    def _forget(self) -> None:
        self._buffer.clear()
        self._joiner.clear()

    def add_picture(self, picture: Picture) -> None:
        """Let a picture wait for its pose."""
        self._joiner.add(picture)

    def ready(self, camera: PinholeCamera | None) -> Iterator[PosedFrame]:
        """Yield the frames that are complete by now, in order of stamps."""
        picture = self._joiner.first
        if picture is None or camera is None or not self._buffer:
            return
        T_body_camera = self._body_camera.in_body(self._body_frame, picture.camera_frame)
        if T_body_camera is not None:
            self._T_body_camera = T_body_camera
            yield from self._joiner.ready(camera, T_body_camera, self._odom_frame)

    def _take_odometry(self, message: Odometry) -> None:
        pose = self._pose(message)
        self._buffer.add(stamp_ns(message.header.stamp), pose)
        self._odom_frame = self._config.odom_frame or message.header.frame_id
        self._body_frame = message.child_frame_id
        self._on_message()

    def _take_extrinsic(self, message: Odometry) -> None:
        self._body_camera.on_extrinsic(message)
        self._on_message()
