"""A rendered recording told as a host system would tell it, and what must come out of the nodes.

ROS is imported inside, so that tests without it can be skipped.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from s3e_gnn_ros.config import KeyframeConfig
from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector
from s3e_gnn_ros.types import KeyframeKey

CAMERA_FRAME = 'camera_color_optical_frame'
T_BODY_CAMERA = se3.expmap([0.1, -1.4, 0.3, 0.05, 0.02, -0.01])
KEYFRAMES = KeyframeConfig(min_translation_m=0.15, min_rotation_deg=10.0, min_interval_s=0.0)
"""As NODE_CONFIG of the fixture ``robot``."""
_NUM_CORNERS = 150
_SETTLE_S = 20.0
_BURST = 4
_FIRST_ID = 1000


def through_double(stamp_ns: int) -> int:
    """Return a stamp as VINS-Fusion gives it back: kept as seconds in a double, then cut."""
    seconds = stamp_ns / 1e9
    return int(seconds) * 1_000_000_000 + int((seconds - int(seconds)) * 1e9)


def odometry_message(stamp_ns: int, T: np.ndarray, frame_id: str, child_frame_id: str = '') -> Any:
    """Return a nav_msgs/Odometry of a pose."""
    from nav_msgs.msg import Odometry

    from s3e_gnn_ros.ros import conversions as conv

    header = conv.make_header(stamp_ns, frame_id)
    message = Odometry(header=header, child_frame_id=child_frame_id)
    message.pose.pose = conv.pose_to_message(T)
    return message


def cloud_message(stamp_ns: int, corners: Any, **values: Any) -> Any:
    """Return keypoints in VINS's layout: one channel per point.

    Args:
        stamp_ns: of the keyframe.
        corners: as :meth:`HostRig.corners` returns them.
        values: ``normalised`` (N, 2), zero unless given; ``depth_mm`` (N,), a sixth value.
    """
    from geometry_msgs.msg import Point32
    from sensor_msgs.msg import ChannelFloat32, PointCloud

    from s3e_gnn_ros.ros import conversions as conv

    N = len(corners.points_px)
    columns = [values.get('normalised', np.zeros((N, 2))), corners.points_px, corners.ids[:, None]]
    if 'depth_mm' in values:
        columns.append(values['depth_mm'][:, None])
    message = PointCloud(header=conv.make_header(stamp_ns, 'world'))
    message.points = [Point32(x=x, y=y, z=z) for x, y, z in corners.landmarks_odom.tolist()]
    message.channels = [ChannelFloat32(values=row) for row in np.column_stack(columns).tolist()]
    return message


class HostRig:
    """Publishes a recording by and by, and judges what the nodes make of it.

    Args:
        robot: the fixture.
        recording: a bag.
    """

    def __init__(self, robot: Any, recording: Path) -> None:
        self.robot = robot
        self.frames = list(open_recording(recording).frames())
        self.paths: list = []
        self.transforms: list = []
        self.corrected: list = []
        self._nodes: list = []
        self._publishers: list = []

    @property
    def stamps(self) -> list[int]:
        """Stamps of the images [ns]."""
        return [frame.stamp_ns for frame in self.frames]

    @property
    def camera(self) -> PinholeCamera:
        """The camera of all images."""
        return self.frames[0].camera

    def T_odom_body(self, i: int, T_body_camera: np.ndarray = T_BODY_CAMERA) -> np.ndarray:
        """Return the pose of the body at an image, of the recording's drifting odometry."""
        return self.frames[i].T_odom_camera @ se3.inverse(T_body_camera)

    def publisher(self, name: str, message_class: type, topic: str = '') -> Any:
        """Create a publisher; nodes started later are waited for on it by its name."""
        from s3e_gnn_ros.ros.qos import reliable_qos

        publisher = self.robot._node.create_publisher(
            message_class, topic or name, reliable_qos(500)
        )
        self.robot.publishers[name] = publisher
        self._publishers.append(publisher)
        return publisher

    def start(self, *parameters: str, topic: str = 'odometry') -> None:
        """Start both nodes, and wait until they hear everything that is published here."""
        arguments = [word for parameter in parameters for word in ('-p', parameter)]
        self._listen()
        pictures = 'image' if 'node.use_depth:=false' in parameters else 'depth'
        for name, listens_to in (('loop_closure', pictures), ('pose_graph', topic)):
            self._nodes.append(self.robot.start(name, *arguments, topic=listens_to))
        self.robot.wait(
            lambda: all(publisher.get_subscription_count() for publisher in self._publishers),
            self._nodes[0],
        )

    def _listen(self) -> None:
        from geometry_msgs.msg import TransformStamped
        from nav_msgs.msg import Odometry, Path

        from s3e_gnn_ros.ros import map_to_odom, names
        from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos

        subscribe = self.robot.collector._node.create_subscription
        subscribe(Path, names.PATH, self.paths.append, latched_qos(1))
        reliable = reliable_qos(500)
        subscribe(Odometry, names.CORRECTED_ODOMETRY, self.corrected.append, reliable)
        if map_to_odom.TFMessage is None:
            topic = names.MAP_TO_ODOM
            subscribe(TransformStamped, topic, self.transforms.append, latched_qos(1))
            return
        subscribe(
            map_to_odom.TFMessage, '/tf', lambda m: self.transforms.extend(m.transforms), reliable
        )

    def send_picture(self, i: int, *, with_depth: bool, with_camera: bool = True) -> None:
        """Publish an image, and what its camera says beside."""
        from s3e_gnn_ros.ros import conversions as conv

        frame = self.frames[i]
        header = conv.make_header(frame.stamp_ns, CAMERA_FRAME)
        if with_camera:
            info = conv.camera_to_message(frame.camera, header)
            self.robot.publishers['camera_info'].publish(info)
        self.robot.publishers['image'].publish(conv.image_to_message(frame.image, header))
        if with_depth:
            self.robot.publishers['depth'].publish(conv.depth_to_message(frame.depth_m, header))

    def send_until(self, send: Any, counter: str, value: int) -> None:
        """Publish again and again until the loop closure node has counted as much."""

        def has_counted() -> bool:
            if self.counters()[counter] >= value:
                return True
            send()
            return False

        self.robot.wait(has_counted, self._nodes[0])

    def keep_pace(self, topic: str, num_sent: int) -> None:
        """Wait now and then until the node has taken as many messages.

        Reliable delivery keeps the order of a topic, but not that between topics: one whose
        packets must be sent again lags behind, by more frames than a node waits for when all are
        sent at once.
        """
        if num_sent % _BURST == 0:
            counter = f'received.{topic}'
            self.robot.wait(lambda: self.counters()[counter] >= num_sent, self._nodes[0])

    def counters(self) -> Any:
        """Return what the loop closure node has counted."""
        return self.robot.loop_status().counters

    def corners(self, i: int) -> SimpleNamespace:
        """Return what a front end would track: pixels, ids, landmarks in the odometry frame."""
        frame = self.frames[i]
        found = cv2.goodFeaturesToTrack(frame.image, _NUM_CORNERS, 0.01, 8)[:, 0]
        inner = (found > 40).all(axis=1) & (found < np.array((280, 200))).all(axis=1)
        points_px = found[inner]
        columns, rows = np.round(points_px).astype(int).T
        z = frame.depth_m[rows, columns].astype(np.float64)
        landmarks_m = np.column_stack([frame.camera.normalise(points_px), np.ones(len(z))])
        landmarks_m *= z[:, None]
        return SimpleNamespace(
            points_px=points_px,
            ids=_FIRST_ID + np.arange(len(points_px)),
            landmarks_m=landmarks_m,
            landmarks_odom=se3.transform_points(frame.T_odom_camera, landmarks_m),
        )

    def moving_frames(self) -> list[int]:
        """Return which images become keyframes when those are chosen by motion."""
        selector = KeyframeSelector(KEYFRAMES)
        return [
            i
            for i, frame in enumerate(self.frames)
            if selector.is_keyframe(frame.stamp_ns, frame.T_odom_camera)
        ]

    def wait_for(self, num_keyframes: int) -> None:
        """Wait until both nodes have dealt with everything."""
        robot = self.robot

        def is_done() -> bool:
            loop, graph = robot.loop_status(), robot.graph_status()
            mine = len(robot.keyframes), len(robot.collector.closures)
            return (
                loop.is_idle
                and graph.is_idle
                and loop.counters['keyframes'] == graph.counters['keyframes'] == num_keyframes
                and loop.counters['closures'] == graph.counters['closures']
                and mine == (num_keyframes, loop.counters['closures'])
                and bool(self.paths)
                and len(self.paths[-1].poses) == num_keyframes
            )

        try:
            robot.wait(is_done, self._nodes[0])
        except AssertionError as err:
            raise AssertionError(f'{err}; pose graph: {robot.graph_status()}') from err

    def check_keyframes(self, chosen: list[int], T_odom_camera: list | None = None) -> None:
        """Demand exactly these images as keyframes, with their poses to a micron.

        Args:
            chosen: numbers of the images.
            T_odom_camera: their poses; those of the recording when None.
        """
        keyframes = self.robot.keyframes
        assert [k.stamp_ns for k in keyframes] == [self.stamps[i] for i in chosen]
        expected = T_odom_camera or [self.frames[i].T_odom_camera for i in chosen]
        found = [k.T_odom_camera for k in keyframes]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
        drops = {k: n for k, n in self.counters().items() if k.startswith('drops.')}
        assert not drops

    def check_closures(self, worst_m: float = 0.06, worst_deg: float = 1.5) -> None:
        """Demand closures, and that each says how the camera really moved.

        Args:
            worst_m: largest error of any [m]; half of all are within 0.1 m in any case.
            worst_deg: the same of the rotation [deg].
        """
        closures = list(self.robot.collector.closures.values())
        truth = {frame.stamp_ns: frame.T_world_camera for frame in self.frames}
        assert len(closures) >= 3
        errors = []
        for closure in closures:
            T_world_match = truth[closure.match_stamp_ns]
            expected = se3.inverse(T_world_match) @ truth[closure.query_stamp_ns]
            error = se3.inverse(expected) @ closure.T_match_query
            errors.append((se3.translation_m(error), se3.rotation_angle_deg(error)))
        assert np.median(errors, axis=0)[0] < 0.1
        np.testing.assert_array_less(np.max(errors, axis=0), (worst_m, worst_deg))

    def check_map(self, odom_frame: str) -> None:
        """Demand path and transform in the map's frame, in agreement, and nearer to the truth."""
        keyframes = self.robot.keyframes
        T_odom_camera = np.array([k.T_odom_camera for k in keyframes])
        end_s = time.monotonic() + _SETTLE_S
        while True:  # the transform follows the last change of the graph by and by
            poses, _ = self.robot.collector.pose_graph()
            keys = [KeyframeKey(k.session, k.keyframe_id) for k in keyframes]
            T_map_camera = np.array([poses[key] for key in keys])
            try:
                self._check_path(T_map_camera)
                T_map_odom = T_map_camera[-1] @ se3.inverse(T_odom_camera[-1])
                self._check_transform(T_map_odom, odom_frame)
                break
            except AssertionError:
                if time.monotonic() > end_s:
                    raise
            self.robot.collector.spin(0.2)
        truth = {frame.stamp_ns: frame.T_world_camera for frame in self.frames}
        T_world_camera = np.array([truth[k.stamp_ns] for k in keyframes])
        drift, left = (
            se3.translation_m(se3.inverse(_return(T)) @ _return(T_world_camera))
            for T in (T_odom_camera, T_map_camera)
        )
        assert left < drift / 4, f'{left:.3f} m of {drift:.3f} m are left'
        assert drift > 0.2

    def _check_path(self, T_map_camera: np.ndarray) -> None:
        from s3e_gnn_ros.ros import conversions as conv

        path = self.paths[-1]
        assert path.header.frame_id == 'map'
        assert {pose.header.frame_id for pose in path.poses} == {'map'}
        stamps = [conv.stamp_to_ns(pose.header.stamp) for pose in path.poses]
        assert stamps == [k.stamp_ns for k in self.robot.keyframes]
        found = [conv.pose_from_message(pose.pose) for pose in path.poses]
        np.testing.assert_allclose(found, T_map_camera, rtol=0, atol=1e-6)

    def _check_transform(self, T_map_odom: np.ndarray, odom_frame: str) -> None:
        from s3e_gnn_ros.ros import conversions as conv

        mine = [t for t in self.transforms if t.header.frame_id == 'map']
        assert mine
        assert {t.child_frame_id for t in mine} == {odom_frame}
        translation, rotation = mine[-1].transform.translation, mine[-1].transform.rotation
        found = se3.pose_from_quat(
            (translation.x, translation.y, translation.z),
            (rotation.x, rotation.y, rotation.z, rotation.w),
        )
        np.testing.assert_allclose(found, T_map_odom, rtol=0, atol=1e-6)
        stamp_ns = conv.stamp_to_ns(mine[-1].header.stamp)
        assert stamp_ns >= through_double(self.robot.keyframes[-1].stamp_ns)


def _return(poses: np.ndarray) -> np.ndarray:
    """Return the motion from the first pose to the last (4, 4)."""
    return se3.inverse(poses[0]) @ poses[-1]
