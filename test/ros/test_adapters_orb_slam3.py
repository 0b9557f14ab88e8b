"""ORB-SLAM3's wrappers as they publish: a pose of the camera in 'map', and maybe keypoints."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from geometry_msgs.msg import PoseStamped
from host_rig import HostRig, cloud_message
from sensor_msgs.msg import PointCloud

from s3e_gnn_ros.ros import conversions as conv


class OrbSlam3Rig(HostRig):
    """Publishes what a wrapper of ORB-SLAM3 publishes."""

    def __init__(self, robot, recording):
        super().__init__(robot, recording)
        self.poses = self.publisher('pose', PoseStamped)
        self.keypoints = self.publisher('keypoints', PointCloud)

    def send_pose(self, i):
        message = PoseStamped(header=conv.make_header(self.stamps[i], 'map'))
        message.pose = conv.pose_to_message(self.frames[i].T_odom_camera)
        self.poses.publish(message)

    def send_keypoints(self, i):
        corners = self.corners(i)
        normalised = self.camera.normalise(corners.points_px)
        corners.landmarks_odom[::2] = np.nan  # not triangulated yet
        self.keypoints.publish(cloud_message(self.stamps[i], corners, normalised=normalised))


def test_poses_make_keyframes_and_its_keypoints_are_used(robot, recording):
    rig = OrbSlam3Rig(robot, recording)
    rig.start(
        *('node.host:=orb_slam3', 'node.pose_type:=pose', 'node.odom_frame:=odom'), topic='pose'
    )
    for i in range(len(rig.frames)):
        rig.send_picture(i, with_depth=True)
        rig.send_pose(i)
        rig.send_keypoints(i)
        rig.keep_pace('keypoints', i + 1)
    chosen = rig.moving_frames()
    rig.wait_for(len(chosen))
    rig.check_keyframes(chosen)
    rig.check_closures()
    rig.check_map('odom')
    for keyframe, i in zip(robot.keyframes, chosen, strict=True):
        corners = rig.corners(i)
        found = {tuple(px) for px in keyframe.features.points_px.tolist()}
        known = [tuple(px) in found for px in corners.points_px.astype(np.float32).tolist()]
        assert sum(known) > 30, f'image {i}, {rig.counters()}'
