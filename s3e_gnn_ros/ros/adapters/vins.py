"""VINS-Mono, VINS-RGBD, VINS-Fusion and their ROS 2 ports: they choose the keyframes.

``keyframe_pose`` is T_world_body of the IMU, about two frames after the image of its stamp;
``keyframe_points`` (theirs: ``keyframe_point``) has its keypoints and landmarks in the world;
``extrinsic`` is T_body_camera, refined as the estimator runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nav_msgs.msg import Odometry
from rclpy.node import Node
from sensor_msgs.msg import PointCloud

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.adapters.host import Host, posed_frame
from s3e_gnn_ros.ros.adapters.host_points import MAX_EXACT_ID, HostCloud, cloud_from_message
from s3e_gnn_ros.ros.adapters.keyframe_joiner import JoinedKeyframe, KeyframeJoiner
from s3e_gnn_ros.ros.body_camera import BodyCamera
from s3e_gnn_ros.ros.frame_joiner import Picture, PosedFrame
from s3e_gnn_ros.ros.inputs import Inputs

POSE = 'keyframe_pose'
POINTS = 'keyframe_points'
EXTRINSIC = 'extrinsic'


def vins_keyframe(
    joined: JoinedKeyframe,
    camera: PinholeCamera,
    T_body_camera: Pose,
    cloud: HostCloud | None,
    odom_frame: str = '',
) -> PosedFrame:
    """Make a frame of what VINS says of a stamp.

    Args:
        joined: its pose and picture.
        camera: intrinsics.
        T_body_camera: extrinsic (4, 4), which the landmarks were made with as well.
        cloud: keypoints, or None.
        odom_frame: replaces the name the messages give to their frame, which is 'world'.

    Raises:
        DropError: image, depth and camera are not of one size.
    """
    T_odom_camera = joined.T_odom_body @ T_body_camera
    points = None if cloud is None else cloud.in_camera(camera, T_odom_camera)
    odom_frame = odom_frame or joined.odom_frame
    return posed_frame(joined.picture, camera, T_odom_camera, odom_frame, points)


class VinsHost(Host):
    """Joins pose, keypoints and picture by their stamps; see :class:`Host`."""

    chooses_keyframes = True
    part_topics: tuple[str, ...] = (POINTS,)

    def __init__(
        self, node: Node, config: NodeConfig, inputs: Inputs, on_message: Callable[[], None]
    ) -> None:
        super().__init__(node, config, inputs, on_message)
        self._body_camera = BodyCamera(node, config, is_body=True)
        self._camera_frame = ''
        drop = inputs.intake.drop
        self._joiner = KeyframeJoiner(config.sync_queue_size, self.part_topics, drop)
        is_sparse = self.chooses_keyframes
        inputs.subscribe(Odometry, POSE, self._take_pose, is_sparse=is_sparse)
        inputs.subscribe(PointCloud, POINTS, self._take_points, is_sparse=is_sparse)
        inputs.subscribe(
            Odometry,
            EXTRINSIC,
            self._take_extrinsic,
            is_timed=False,
            is_optional=not self._body_camera.is_unknown,
        )

    @property
    def T_body_camera(self) -> Pose | None:
        """The camera (4, 4) in the IMU, as it was last told."""
        return self._body_camera.T_body_camera

    def _forget(self) -> None:
        self._joiner.clear()

    def add_picture(self, picture: Picture) -> None:
        """Let a picture wait for its pose."""
        self._camera_frame = picture.camera_frame
        self._joiner.add_picture(picture)

    def ready(self, camera: PinholeCamera | None) -> Iterator[PosedFrame]:
        """Yield the keyframes that are complete by now, in order of stamps."""
        if camera is None or not self._joiner.has_pose:
            return
        # They say their child frame is 'world', or nothing: TF cannot be asked about it.
        T_body_camera = self._body_camera.in_body('', self._camera_frame)
        if T_body_camera is None:
            return
        for joined in self._joiner.ready(self._parts_to_come()):
            try:
                yield self._frame(joined, camera, T_body_camera)
            except DropError as err:
                self._inputs.intake.drop(err.reason, str(err))

    def _parts_to_come(self) -> list[str]:
        return [POINTS] if self._inputs.has_publisher(POINTS) else []

    def _frame(
        self, joined: JoinedKeyframe, camera: PinholeCamera, T_body_camera: Pose
    ) -> PosedFrame:
        cloud = joined.parts.get(POINTS)
        return vins_keyframe(joined, camera, T_body_camera, cloud, self._config.odom_frame)

    def _take_pose(self, message: Odometry) -> None:
        pose = self._pose(message)
        self._joiner.add_pose(stamp_ns(message.header.stamp), pose, message.header.frame_id)
        self._on_message()

    def _take_points(self, message: PointCloud) -> None:
        cloud = cloud_from_message(message)
        if cloud.num_inexact_ids:
            self._inputs.intake.drop(
                'feature_ids',
                f'{cloud.num_inexact_ids} track numbers beyond {MAX_EXACT_ID} got lost in a '
                'float32; their keypoints are used without',
            )
        self._joiner.add_part(POINTS, stamp_ns(message.header.stamp), cloud)
        self._on_message()

    def _take_extrinsic(self, message: Odometry) -> None:
        self._body_camera.on_extrinsic(message)
        self._on_message()
