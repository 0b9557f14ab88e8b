"""OpenVINS as it publishes: every image, intrinsics without a size, tracks out of sight."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from host_rig import T_BODY_CAMERA, HostRig, cloud_message, odometry_message, through_double
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, PointCloud

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.adapters.host_points import HostCloud
from s3e_gnn_ros.ros.adapters.openvins import (
    loop_camera,
    points_from_sparse_depth,
    tracked_now,
)

CAMERA = PinholeCamera(640, 480, 600.0, 610.0, 322.0, 238.0, (0.1, -0.05, 0.001, 0.002))


def intrinsics(camera, factor=1.0):
    """Return loop_intrinsics: no size, neither R nor P."""
    k = [camera.fx * factor, 0.0, camera.cx * factor, 0.0, camera.fy * factor]
    message = CameraInfo(distortion_model='plumb_bob', k=[*k, camera.cy * factor, 0.0, 0.0, 1.0])
    message.d = [*camera.distortion, *[0.0] * (4 - len(camera.distortion))]
    return message


@pytest.mark.parametrize(('factor', 'expected'), [(1.0, 1), (0.5, 2)])
def test_intrinsics_get_the_size_of_the_image(factor, expected):
    camera, scale = loop_camera(intrinsics(CAMERA, factor), 640, 480)
    assert scale == expected  # of the halved image where the estimator downsamples
    assert camera == CAMERA


def test_intrinsics_without_focal_length_are_dropped():
    with pytest.raises(DropError, match='focal length'):
        loop_camera(CameraInfo(d=[0.0] * 4), 640, 480)


def test_a_track_that_is_out_of_sight_has_no_pixel():
    points_px = np.array([[0, 0], [5, 0], [0, 5], [0, 0]], np.float32)
    ids = np.arange(4)
    cloud = HostCloud(points_px, np.ones((4, 3)), ids, np.full(4, np.nan))
    assert tracked_now(cloud).feature_ids.tolist() == [1, 2]


def test_the_sparse_depth_gives_keypoints_without_numbers():
    depth_m = np.zeros((480, 640), np.float32)
    depth_m[100, 200], depth_m[300, 50] = 2.0, 4.5
    points = points_from_sparse_depth(depth_m, CAMERA)
    assert points.points_px.tolist() == [[200.5, 100.5], [50.5, 300.5]]
    assert points.landmarks_m[:, 2].tolist() == [2.0, 4.5]
    np.testing.assert_allclose(CAMERA.project(points.landmarks_m), points.points_px, atol=1e-3)
    assert points.feature_ids.tolist() == [-1, -1]


class OpenVinsRig(HostRig):
    """Publishes what OpenVINS publishes; the image driver has no camera_info."""

    def __init__(self, robot, recording):
        super().__init__(robot, recording)
        self.host = {
            'pose': self.publisher('keyframe_pose', Odometry),
            'feats': self.publisher('keyframe_points', PointCloud),
            'extrinsic': self.publisher('extrinsic', Odometry),
            'intrinsics': self.publisher('intrinsics', CameraInfo),
        }

    def send_estimate(self, i):
        stamp_ns = through_double(self.stamps[i])
        corners = self.corners(i)
        unseen = SimpleNamespace(  # tracks that the window still holds
            points_px=np.vstack([corners.points_px, np.zeros((20, 2))]),
            ids=np.append(corners.ids, 9000 + np.arange(20)),
            landmarks_odom=np.vstack([corners.landmarks_odom, np.ones((20, 3))]),
        )
        info = intrinsics(self.camera)
        info.header = conv.make_header(stamp_ns, 'cam0')
        self.host['pose'].publish(odometry_message(stamp_ns, self.T_odom_body(i), 'global'))
        self.host['extrinsic'].publish(odometry_message(stamp_ns, T_BODY_CAMERA, 'imu'))
        self.host['intrinsics'].publish(info)
        self.host['feats'].publish(cloud_message(stamp_ns, unseen))
        odometry = odometry_message(stamp_ns, self.T_odom_body(i), 'global', 'imu')
        self.robot.publishers['odometry'].publish(odometry)


def test_every_image_has_a_pose_and_keyframes_are_chosen_here(robot, recording):
    rig = OpenVinsRig(robot, recording)
    rig.start('node.host:=openvins', 'node.use_depth:=false')
    for i in range(len(rig.frames)):
        rig.send_picture(i, with_depth=False, with_camera=False)
        rig.send_estimate(i)
        rig.keep_pace('keyframe_points', i + 1)
    chosen = rig.moving_frames()
    assert 10 < len(chosen) < len(rig.frames)
    rig.wait_for(len(chosen))
    rig.check_keyframes(chosen)
    rig.check_closures(0.5, 8.0)  # without depth, what is seen from afar is not as sure
    rig.check_map('global')
    for keyframe, i in zip(robot.keyframes, chosen, strict=True):
        landmarks = keyframe.features.landmarks_m
        known = {tuple(px) for px in rig.corners(i).points_px.astype(np.float32).tolist()}
        rows = [
            n for n, px in enumerate(keyframe.features.points_px.tolist()) if tuple(px) in known
        ]
        assert len(rows) > 30
        # The pixels of the landmarks are where the tracks were, as x_norm and y_norm are zero.
        seen_px = rig.camera.project(landmarks[rows])
        np.testing.assert_allclose(seen_px, keyframe.features.points_px[rows], atol=0.01)
