"""Snapshots of the pose graph as messages."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from visualization_msgs.msg import Marker

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.conversions import pose_from_message
from s3e_gnn_ros.ros.graph_messages import (
    EMPTY,
    GraphSnapshot,
    keyframe_poses_message,
    marker_message,
)
from s3e_gnn_ros.types import KeyframeKey

POSES = np.array([se3.expmap([0.1 * i, 0.2, 0.3, i, 2.0 * i, 0.5]) for i in range(4)])
SNAPSHOT = GraphSnapshot(
    [KeyframeKey(5, 0), KeyframeKey(5, 1), KeyframeKey(9, 0), KeyframeKey(9, 1)],
    np.array([10, 30, 20, 25]) * 100_000_000,
    POSES,
    odometry=np.array([[0, 1], [2, 3]]),
    closures=np.array([[0, 3], [1, 2]]),
    weights=np.array([0.25, 0.0], np.float32),
    rejected=np.array([[3, 1]]),
)


def test_poses_and_weights_of_all():
    message = keyframe_poses_message(SNAPSHOT, 'map')
    assert message.header.frame_id == 'map'
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (3, 0)
    assert list(message.sessions) == [5, 5, 9, 9]
    assert list(message.keyframe_ids) == [0, 1, 0, 1]
    poses = [pose_from_message(pose) for pose in message.t_map_camera]
    np.testing.assert_allclose(poses, POSES, atol=1e-12)
    assert list(message.closure_match_sessions) == [5, 5]
    assert list(message.closure_match_ids) == [0, 1]
    assert list(message.closure_query_sessions) == [9, 9]
    assert list(message.closure_query_ids) == [1, 0]
    assert list(message.closure_weights) == [0.25, 0.0]


def test_keyframes_that_nothing_ties_to_the_map_have_no_pose_in_it():
    loose = dataclasses.replace(SNAPSHOT, is_tied=np.array([True, True, False, True]))
    message = keyframe_poses_message(loose, 'map')
    assert list(zip(message.sessions, message.keyframe_ids, strict=True)) == [
        (5, 0),
        (5, 1),
        (9, 1),
    ]
    np.testing.assert_allclose(pose_from_message(message.t_map_camera[2]), POSES[3], atol=1e-12)
    assert len(message.closure_weights) == 2


def test_an_empty_graph_has_no_poses():
    message = keyframe_poses_message(EMPTY, 'map')
    assert len(message.sessions) == len(message.t_map_camera) == len(message.closure_weights) == 0


def test_closures_taken_out_have_a_colour_of_their_own():
    by_name = {marker.ns: marker for marker in marker_message(SNAPSHOT, 'map').markers}
    lines = {name: [(p.x, p.y, p.z) for p in marker.points] for name, marker in by_name.items()}
    places = [tuple(T[:3, 3]) for T in POSES]
    assert lines['odometry'] == [places[i] for i in (0, 1, 2, 3)]
    assert lines['closures'] == [places[0], places[3]]
    assert lines['taken_out'] == [places[1], places[2]]
    assert lines['rejected'] == [places[3], places[1]]
    colours = {(m.color.r, m.color.g, m.color.b) for m in by_name.values()}
    assert len(colours) == len({m.id for m in by_name.values()}) == 4


def test_nothing_taken_out_deletes_the_marker():
    (marker,) = (m for m in marker_message(EMPTY, 'map').markers if m.ns == 'taken_out')
    assert marker.action == Marker.DELETE
