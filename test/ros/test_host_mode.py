"""A front end such as VINS-Mono chooses the keyframes; its poses are of the body."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import Point32
from nav_msgs.msg import Odometry
from sensor_msgs.msg import ChannelFloat32, PointCloud

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv

CAMERA = PinholeCamera(160, 120, 130.0, 130.0, 79.5, 59.5)
T_BODY_CAMERA = se3.expmap([0.1, -0.2, 0.3, 0.05, 0.02, -0.01])
T_WORLD_BODY = [se3.expmap([0, 0.01 * i, 0, 0.3 * i, 0, 0]) for i in range(8)]
START_NS = 1_700_000_000_000_000_000


def pose_message(stamp_ns, T):
    message = Odometry(header=conv.make_header(stamp_ns, 'world'))
    message.pose.pose = conv.pose_to_message(T)
    return message


def points_message(stamp_ns, points_px):
    message = PointCloud(header=conv.make_header(stamp_ns, 'world'))
    for number, (u, v) in enumerate(points_px):
        message.points.append(Point32(x=1.0, y=2.0, z=3.0))
        values = [0.0, 0.0, float(u), float(v), float(1000 + number)]
        message.channels.append(ChannelFloat32(values=values))
    return message


def test_keyframes_have_the_camera_pose_and_the_hosts_points(robot):
    node = robot.start(
        'loop_closure',
        *('-p', 'node.keyframe_source:=host', '-p', 'node.body_frame_pose:=true'),
        *('-p', 'node.use_depth:=false'),
    )
    host = robot.host_publishers()
    robot.wait(lambda: all(p.get_subscription_count() for p in host.values()), node)
    rng = np.random.default_rng(0)
    picture = np.kron(rng.integers(0, 256, (30, 40)), np.ones((4, 4))).astype(np.uint8)
    points_px = rng.integers(35, 85, (20, 2))

    def knows_extrinsic():
        host['extrinsic'].publish(pose_message(0, T_BODY_CAMERA))
        return robot.loop_status().counters['received.extrinsic'] > 0

    robot.wait(knows_extrinsic, node)
    stamps = [START_NS + i * 100_000_000 for i in range(8)]
    for i, stamp_ns in enumerate(stamps):
        header = conv.make_header(stamp_ns, 'eye')
        robot.publishers['camera_info'].publish(conv.camera_to_message(CAMERA, header))
        robot.publishers['image'].publish(conv.image_to_message(picture, header))
        if i >= 2 and i % 2 == 0:  # every other frame is a keyframe, and it comes two later
            host['keyframe_points'].publish(points_message(stamps[i - 2], points_px))
            host['keyframe_pose'].publish(pose_message(stamps[i - 2], T_WORLD_BODY[i - 2]))
    robot.wait(lambda: len(robot.keyframes) == 3, node)
    assert [k.stamp_ns for k in robot.keyframes] == [stamps[i] for i in (0, 2, 4)]
    for keyframe, i in zip(robot.keyframes, (0, 2, 4), strict=True):
        expected = T_WORLD_BODY[i] @ T_BODY_CAMERA
        np.testing.assert_allclose(keyframe.T_odom_camera, expected, atol=1e-9)
        found = {tuple(point) for point in keyframe.features.points_px.tolist()}
        assert found >= {(float(u), float(v)) for u, v in points_px}
    assert node.returncode is None
