"""The topics of odometry or of a front end's keyframes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import PointCloud

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import check_frame, pose_from_message, stamp_ns
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros.body_camera import BodyCamera
from s3e_gnn_ros.ros.frame_joiner import FrameJoiner, Picture, PosedFrame
from s3e_gnn_ros.ros.host_keyframes import HostKeyframe, HostKeyframeJoiner, points_from_message
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.odometry_buffer import OdometryBuffer
from s3e_gnn_ros.types import Frame


class OdometrySource:
    """Gives every picture the pose that odometry has at its stamp.

    Args:
        node: for TF.
        config: synchronisation and frames.
        inputs: how to subscribe.
        on_pose: called after each new pose.
    """

    def __init__(
        self, node: Node, config: NodeConfig, inputs: Inputs, on_pose: Callable[[], None]
    ) -> None:
        self._config = config
        self._on_pose = on_pose
        self._body_camera = BodyCamera(node, config)
        self._buffer = OdometryBuffer(config.max_odometry_gap_s)
        self._joiner = FrameJoiner(self._buffer, config.sync_queue_size, inputs.intake.drop)
        self._odom_frame = config.odom_frame
        self._body_frame = ''
        inputs.subscribe(Odometry, 'odometry', self._take_odometry)
        if config.body_frame_pose:
            inputs.subscribe(Odometry, 'extrinsic', self._body_camera.on_extrinsic, is_timed=False)

    def clear(self) -> None:
        """Forget poses and pictures."""
        self._buffer.clear()
        self._joiner.clear()

    def add_picture(self, picture: Picture) -> None:
        """Let a picture wait for its pose."""
        self._joiner.add(picture)

    def ready(self, camera: PinholeCamera | None) -> Iterator[PosedFrame]:
        """Yield the frames that are complete by now."""
        picture = self._joiner.first
        if picture is None or camera is None or not self._buffer:
            return
        T_body_camera = self._body_camera.in_body(self._body_frame, picture.camera_frame)
        if T_body_camera is not None:
            yield from self._joiner.ready(camera, T_body_camera, self._odom_frame)

    def _take_odometry(self, message: Odometry) -> None:
        pose = pose_from_message(message.pose.pose)
        self._buffer.add(stamp_ns(message.header.stamp), pose)
        self._odom_frame = self._config.odom_frame or message.header.frame_id
        self._body_frame = message.child_frame_id
        self._on_pose()


class HostSource:
    """Gives the pictures that the front end made keyframes, with its pose and keypoints.

    Args:
        node: for TF.
        config: synchronisation and frames.
        inputs: how to subscribe.
        on_pose: called after each new pose or set of keypoints.
    """

    def __init__(
        self, node: Node, config: NodeConfig, inputs: Inputs, on_pose: Callable[[], None]
    ) -> None:
        self._config = config
        self._inputs = inputs
        self._on_pose = on_pose
        self._body_camera = BodyCamera(node, config)
        self._joiner = HostKeyframeJoiner(config.sync_queue_size, inputs.intake.drop)
        self._body_frame = ''
        inputs.subscribe(Odometry, 'keyframe_pose', self._take_pose)
        inputs.subscribe(PointCloud, 'keyframe_points', self._take_points)
        if config.body_frame_pose:
            inputs.subscribe(Odometry, 'extrinsic', self._body_camera.on_extrinsic, is_timed=False)

    def clear(self) -> None:
        """Forget poses, keypoints and pictures."""
        self._joiner.clear()

    def add_picture(self, picture: Picture) -> None:
        """Let a picture wait for its pose."""
        self._joiner.add_picture(picture)

    def ready(self, camera: PinholeCamera | None) -> Iterator[PosedFrame]:
        """Yield the keyframes that are complete by now."""
        if camera is None:
            return
        wait = self._inputs.has_publisher('keyframe_points')
        for keyframe in self._joiner.ready(wait_for_points=wait):
            try:
                yield self._posed(keyframe, camera)
            except DropError as err:
                self._inputs.intake.drop(err.reason, str(err))

    def _posed(self, keyframe: HostKeyframe, camera: PinholeCamera) -> PosedFrame:
        picture = keyframe.picture
        T_body_camera = self._body_camera.in_body(self._body_frame, picture.camera_frame)
        if T_body_camera is None:
            raise DropError('no_extrinsic', f'the pose of {picture.camera_frame} is not known yet')
        check_frame(picture.image, camera, picture.depth_m)
        frame = Frame(
            picture.stamp_ns,
            picture.image,
            camera,
            picture.depth_m,
            keyframe.T_odom_body @ T_body_camera,
        )
        odom_frame = self._config.odom_frame or keyframe.odom_frame
        return PosedFrame(frame, odom_frame, picture.camera_frame, keyframe.points)

    def _take_pose(self, message: Odometry) -> None:
        pose = pose_from_message(message.pose.pose)
        self._body_frame = message.child_frame_id
        self._joiner.add_pose(stamp_ns(message.header.stamp), pose, message.header.frame_id)
        self._on_pose()

    def _take_points(self, message: PointCloud) -> None:
        self._joiner.add_points(stamp_ns(message.header.stamp), points_from_message(message))
        self._on_pose()
