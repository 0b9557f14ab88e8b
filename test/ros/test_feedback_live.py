"""An estimator beside the nodes: it hears of loops, refines one, and the pose graph follows."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from host_rig import T_BODY_CAMERA, HostRig, cloud_message, odometry_message
from nav_msgs.msg import Odometry
from sensor_msgs.msg import PointCloud

from s3e_gnn_ros import msg
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.g2o import read_g2o
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.qos import reliable_qos
from s3e_gnn_ros.types import KeyframeKey

_DELAY = 2
_MAX_ERROR_NORMALISED = 4.0 / 260.0
"""Four pixels: what verification lets pass."""


class EstimatorRig(HostRig):
    """Publishes what VINS publishes, and takes what it is told."""

    def __init__(self, robot, recording):
        super().__init__(robot, recording)
        self.told, self.placed = [], []
        self.host = {
            'keyframe_pose': self.publisher('keyframe_pose', Odometry),
            'keyframe_points': self.publisher('keyframe_points', PointCloud),
            'extrinsic': self.publisher('extrinsic', Odometry),
            'answer': self.publisher(names.RELO_RELATIVE_POSE, Odometry),
        }
        subscribe = robot.collector._node.create_subscription
        subscribe(PointCloud, names.MATCH_POINTS, self.told.append, reliable_qos(100))
        subscribe(msg.KeyframePoses, names.KEYFRAME_POSES, self.placed.append, reliable_qos(100))

    def drive(self):
        """Publish everything; every other image is a keyframe, told of two images later."""
        for i in range(len(self.frames)):
            self.send_picture(i, with_depth=True)
            message = odometry_message(self.stamps[i], self.T_odom_body(i), 'world')
            self.robot.publishers['odometry'].publish(message)
            if i == 0:
                self.send_until(self.send_extrinsic, 'received.extrinsic', 1)
            if i >= _DELAY and i % 2 == 0:
                self.send_keyframe(i - _DELAY)
        self.wait_for((len(self.frames) - _DELAY + 1) // 2)

    def send_extrinsic(self):
        message = odometry_message(self.stamps[0], T_BODY_CAMERA, 'world')
        self.host['extrinsic'].publish(message)

    def send_keyframe(self, i):
        corners = self.corners(i)
        normalised = self.camera.normalise(corners.points_px)
        pose = odometry_message(self.stamps[i], self.T_odom_body(i), 'world')
        self.host['keyframe_pose'].publish(pose)
        cloud = cloud_message(self.stamps[i], corners, normalised=normalised)
        self.host['keyframe_points'].publish(cloud)

    def T_world_body(self, stamp_ns):
        """Return the true pose of the body."""
        frame = self.frames[self.stamps.index(stamp_ns)]
        return frame.T_world_camera @ se3.inverse(T_BODY_CAMERA)

    def old_keyframe(self, message):
        """Return the keyframe that has seen all points of a message, of those it closed with."""
        points = np.array([(p.x, p.y) for p in message.points])
        index = int(message.channels[0].values[7])
        queries = [k for k in self.robot.keyframes if k.keyframe_id == index]
        matches = {
            closure.match_id
            for closure in self.robot.collector.closures.values()
            if closure.query_id == index
        }
        found = []
        for keyframe in self.robot.keyframes:
            seen = keyframe.features.points_normalised
            nearest = np.abs(seen[None] - points[:, None]).max(axis=2).min(axis=1)
            if keyframe.keyframe_id in matches and nearest.max() < 1e-6:
                found.append(keyframe)
        assert len(found) == len(queries) == 1
        return found[0], queries[0]


@pytest.fixture
def rig(robot, recording):
    return EstimatorRig(robot, recording)


def test_the_estimator_is_told_and_its_answers_reach_the_pose_graph(rig, tmp_path):
    rig.start('node.host:=vins', 'node.feedback:=true')
    rig.drive()
    assert len(rig.told) >= 3
    assert len(rig.told) == rig.counters()['feedback.sent']
    for message in rig.told:
        check_points(rig, message)
        check_pose(rig, message)
    before, _ = rig.robot.collector.pose_graph()
    refined = answer(rig, rig.told)
    wait_for_replaced(rig, len(refined))
    poses, g2o = rig.robot.collector.pose_graph()
    (tmp_path / 'graph.g2o').write_text(g2o)
    check_closures(rig, refined, list(poses), read_g2o(tmp_path / 'graph.g2o'))
    moved_m = [se3.translation_m(se3.inverse(before[key]) @ poses[key]) for key in poses]
    assert max(moved_m) > 1e-4
    drops = {k: n for k, n in rig.counters().items() if k.startswith('drops.')}
    assert not drops


def check_points(rig, message):
    """Each number is a feature of the current keyframe, and stands where the old one saw it."""
    old, current = rig.old_keyframe(message)
    assert conv.stamp_to_ns(message.header.stamp) == current.stamp_ns
    ids = [int(p.z) for p in message.points]
    assert len(ids) >= 8
    assert ids == sorted(set(ids))
    corners = rig.corners(rig.stamps.index(current.stamp_ns))
    rows = [corners.ids.tolist().index(number) for number in ids]
    T_old_current = se3.inverse(rig.T_world_body(old.stamp_ns)) @ rig.T_world_body(
        current.stamp_ns
    )
    T_match_query = se3.inverse(T_BODY_CAMERA) @ T_old_current @ T_BODY_CAMERA
    expected = se3.transform_points(T_match_query, corners.landmarks_m[rows])
    found = np.array([(p.x, p.y) for p in message.points])
    error = np.abs(expected[:, :2] / expected[:, 2:] - found).max(axis=1)
    assert np.median(error) < _MAX_ERROR_NORMALISED


def check_pose(rig, message):
    """The old keyframe's pose is that of the body: as once corrected, or before, by odometry."""
    old, _ = rig.old_keyframe(message)
    T_map_camera = [old.T_odom_camera]
    for placed in rig.placed:
        if old.keyframe_id in placed.keyframe_ids:
            row = list(placed.keyframe_ids).index(old.keyframe_id)
            T_map_camera.append(conv.pose_from_message(placed.t_map_camera[row]))
    expected = np.array(T_map_camera) @ se3.inverse(T_BODY_CAMERA)
    x, y, z, qw, qx, qy, qz, _ = message.channels[0].values
    found = se3.pose_from_quat((x, y, z), (qx, qy, qz, qw))
    assert np.abs(expected - found).max(axis=(1, 2)).min() < 1e-6


def answer(rig, told):
    """Answer all with the truth; returns old and current keyframe of each.

    One by one: nobody repeats an answer that is lost in a burst.
    """
    pairs = []
    for message in told:
        old, current = rig.old_keyframe(message)
        T_old = rig.T_world_body(old.stamp_ns)
        T_old_current = se3.inverse(T_old) @ rig.T_world_body(current.stamp_ns)
        reply = odometry_message(current.stamp_ns, T_old_current, 'world')
        reply.twist.twist.linear.y = float(message.channels[0].values[7])
        rig.host['answer'].publish(reply)
        pairs.append((old, current))
        rig.robot.wait(lambda: rig.counters()['feedback.refined'] == len(pairs), rig._nodes[0])
    return pairs


def wait_for_replaced(rig, number):
    def is_done():
        status = rig.robot.graph_status()
        return status.counters['closures_replaced'] == number and status.is_idle

    rig.robot.wait(is_done, rig._nodes[1], limit_s=30)
    assert rig.counters()['feedback.refined'] == number


def check_closures(rig, refined, keys, graph):
    """The refined pose, between the cameras, is the closure: as published and in the graph."""
    edges = {
        tuple(pair): T for pair, T in zip(graph.edge_ids.tolist(), graph.edge_poses, strict=True)
    }
    for old, current in refined:
        T_old_current = se3.inverse(rig.T_world_body(old.stamp_ns)) @ rig.T_world_body(
            current.stamp_ns
        )
        expected = se3.inverse(T_BODY_CAMERA) @ T_old_current @ T_BODY_CAMERA
        match, query = (KeyframeKey(k.session, k.keyframe_id) for k in (old, current))
        closure = rig.robot.collector.closures[query, match]
        np.testing.assert_allclose(closure.T_match_query, expected, rtol=0, atol=1e-6)
        edge = edges[keys.index(match), keys.index(query)]
        np.testing.assert_allclose(edge, expected, rtol=0, atol=1e-6)
