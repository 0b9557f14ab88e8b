"""VINS as it publishes: keyframes of the body, two frames late, with one channel per keypoint."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from host_rig import T_BODY_CAMERA, HostRig, cloud_message, odometry_message, through_double
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros import conversions as conv

T_ROUGH = T_BODY_CAMERA @ se3.expmap([0.02, 0.0, -0.01, 0.03, 0.0, 0.01])
"""The extrinsic before the estimator has refined it."""
VELOCITY_WORLD = np.array([0.3, -0.2, 0.1])
_DELAY = 2
_REFINED_AT = 21
_STEP = 3


class VinsRig(HostRig):
    """Publishes what VINS publishes."""

    def __init__(self, robot, recording):
        super().__init__(robot, recording)
        self.host = {
            'keyframe_pose': self.publisher('keyframe_pose', Odometry),
            'keyframe_points': self.publisher('keyframe_points', PointCloud),
            'extrinsic': self.publisher('extrinsic', Odometry),
        }

    def extrinsic(self, i):
        return T_BODY_CAMERA if i >= _REFINED_AT else T_ROUGH

    def send_odometry(self, i):
        message = odometry_message(self.stamps[i], self.T_odom_body(i), 'world', 'world')
        v = message.twist.twist.linear
        v.x, v.y, v.z = VELOCITY_WORLD.tolist()  # in the axes of the world, as VINS has it
        self.robot.publishers['odometry'].publish(message)

    def send_extrinsic(self, i):
        T = self.extrinsic(i)
        num_before = self.counters()['received.extrinsic']
        message = odometry_message(self.stamps[i], T, 'world')
        self.send_until(
            lambda: self.host['extrinsic'].publish(message), 'received.extrinsic', num_before + 1
        )

    def send_keyframe(self, i):
        # VINS-Mono keeps the stamp as it was, VINS-Fusion and its ports do not.
        stamp_ns = self.stamps[i] if i < _REFINED_AT else through_double(self.stamps[i])
        T_world_body = self.frames[i].T_odom_camera @ se3.inverse(self.extrinsic(i))
        corners = self.corners(i)
        normalised = self.camera.normalise(corners.points_px)
        self.host['keyframe_pose'].publish(odometry_message(stamp_ns, T_world_body, 'world'))
        self.host['keyframe_points'].publish(
            cloud_message(stamp_ns, corners, normalised=normalised)
        )


@pytest.fixture
def rig(robot, recording):
    return VinsRig(robot, recording)


def test_its_keyframes_close_loops_with_its_own_landmarks(rig):
    rig.start('node.host:=vins', 'node.use_depth:=false')
    chosen = list(range(0, len(rig.frames) - _DELAY, _STEP))
    assert through_double(rig.stamps[21]) != rig.stamps[21]
    for i in range(len(rig.frames)):
        rig.send_picture(i, with_depth=False)
        if i + 1 < len(rig.frames):
            rig.send_odometry(i)
        late = i - _DELAY
        if late == 0:
            rig.send_extrinsic(0)
        if late == _REFINED_AT:
            rig.robot.wait(lambda: len(rig.robot.keyframes) == _REFINED_AT // _STEP)
            rig.send_extrinsic(late)
        if late in chosen:
            rig.send_keyframe(late)
            rig.keep_pace('keyframe_points', 1 + late // _STEP)
    rig.wait_for(len(chosen))
    rig.check_keyframes(chosen)
    check_points(rig, chosen)
    rig.check_closures(0.5, 8.0)  # without depth, what is seen from afar is not as sure
    rig.check_map('world')
    check_corrected_twist(rig)


def check_points(rig, chosen):
    """Each keypoint keeps its number, and the host's landmark stands in the camera's frame."""
    for keyframe, i in zip(rig.robot.keyframes, chosen, strict=True):
        corners = rig.corners(i)
        rows = {tuple(px): row for row, px in enumerate(keyframe.features.points_px.tolist())}
        found = [rows.get(tuple(px)) for px in corners.points_px.astype(np.float32).tolist()]
        known = [n for n, row in enumerate(found) if row is not None]
        assert len(known) > 30, f'image {i}, {rig.counters()}'
        landmarks = keyframe.features.landmarks_m[[found[n] for n in known]]
        np.testing.assert_allclose(landmarks, corners.landmarks_m[known], rtol=0, atol=2e-5)


def check_corrected_twist(rig):
    """The corrected odometry has its velocity in the body's axes, as the message demands."""
    rig.send_odometry(len(rig.frames) - 1)  # the first after everything has been solved
    rig.robot.wait(
        lambda: (
            rig.corrected and conv.stamp_to_ns(rig.corrected[-1].header.stamp) == rig.stamps[-1]
        )
    )
    corrected = rig.corrected[-1]
    i = rig.stamps.index(conv.stamp_to_ns(corrected.header.stamp))
    v = corrected.twist.twist.linear
    expected = rig.T_odom_body(i)[:3, :3].T @ VELOCITY_WORLD
    np.testing.assert_allclose([v.x, v.y, v.z], expected, rtol=0, atol=1e-9)
    assert (corrected.header.frame_id, corrected.child_frame_id) == ('map', 'body')
