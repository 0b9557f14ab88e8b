"""Thresholds that change while the nodes run, by the services that ``ros2 param`` calls."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from lifecycle_manager import Manager
from rcl_interfaces.srv import DescribeParameters

from s3e_gnn_ros.config import leaves


def wait_for_frames(robot, number):
    """Wait until the node has seen so many frames, and rests."""

    def done():
        status = robot.loop_status()
        return status.counters['frames'] >= number and status.is_idle

    robot.wait(done)
    return robot.loop_status().counters


def test_a_change_shows_in_what_the_node_does(robot, caller, recording):
    robot.start('loop_closure', '-p', 'retrieval.method:=bow')
    manager = Manager(caller, 'loop_closure_node')
    robot.play(recording, 0, 34)
    before = wait_for_frames(robot, 34)
    assert before['closures'] > 0
    # A whole number for a float, which ROS alone would refuse.
    changes = {'verification__min_inlier_area': 1, 'keyframes__min_translation_m': 0.25}
    assert manager.set_atomically(**changes).successful
    assert manager.get('verification.min_inlier_area', 'keyframes.min_translation_m') == [1, 0.25]
    robot.play(recording, 34, 44)
    changed = wait_for_frames(robot, 44)
    assert changed['closures'] == before['closures']
    assert changed['status.INLIERS_TOO_CONCENTRATED'] > before['status.INLIERS_TOO_CONCENTRATED']
    # A metre in steps of 0.25 m instead of 0.15 m.
    assert 3 <= changed['keyframes'] - before['keyframes'] <= 4
    assert manager.set(verification__min_inlier_area=0.02)[0].successful
    robot.play(recording, 44, 52)
    assert wait_for_frames(robot, 52)['closures'] > before['closures']


def test_a_change_that_cannot_be_is_refused_with_a_reason_and_changes_nothing(robot, caller):
    robot.start('loop_closure', '-p', 'retrieval.method:=bow')
    manager = Manager(caller, 'loop_closure_node')
    names = ('verification.min_inliers', 'retrieval.min_similarity', 'node.queue_size')
    before = manager.get(*names)
    results = manager.set(
        verification__min_inliers=3, retrieval__min_similarity=2, node__queue_size=7
    )
    assert [result.reason for result in results] == [
        'verification.min_inliers is 3 instead of at least 4',
        'retrieval.min_similarity is 2.0 instead of at most 1.0',
        'node.queue_size takes effect when the node is configured: deactivate the node, clean it '
        'up, set node.queue_size, then configure',
    ]
    refused = manager.set_atomically(verification__min_inliers=30, retrieval__min_similarity=-1.0)
    assert not refused.successful
    assert refused.reason == 'retrieval.min_similarity is -1.0 instead of at least 0.0'
    assert manager.get(*names) == before
    unknown = manager.set(verification__min_inlierz=30)[0]
    assert unknown.reason == "there is no parameter 'verification.min_inlierz'"
    robot.wait(lambda: robot.loop_status().is_idle)


def test_the_pose_graph_is_built_anew_with_another_noise(robot, caller, recording):
    robot.start('loop_closure', '-p', 'retrieval.method:=bow')
    node = robot.start('pose_graph')
    manager = Manager(caller, 'pose_graph_node')
    robot.play(recording, 0, 52)
    counters = wait_for_frames(robot, 52)
    assert counters['closures'] > 0

    def is_complete():
        status = robot.graph_status()
        return status.is_idle and all(
            status.counters[name] == counters[name] for name in ('keyframes', 'closures')
        )

    def poses():
        robot.wait(is_complete, node)
        return robot.collector.pose_graph()[0]

    before = poses()
    assert manager.set(pose_graph__odometry_min_sigma_m=0.5)[0].successful
    changed = poses()
    assert changed.keys() == before.keys()
    assert max(np.abs(changed[key] - before[key]).max() for key in before) > 1e-4
    assert manager.set(pose_graph__odometry_min_sigma_m=0.015)[0].successful
    again = poses()
    for key, pose in before.items():
        np.testing.assert_allclose(again[key], pose, atol=1e-3)


def test_descriptors_have_range_and_description_of_every_parameter(robot, caller):
    robot.start('pose_graph')
    names = [leaf.name for leaf in leaves()]
    answer = caller.call(DescribeParameters, 'pose_graph_node/describe_parameters', names=names)
    for leaf, descriptor in zip(leaves(), answer.descriptors, strict=True):
        assert descriptor.name == leaf.name
        assert descriptor.description == leaf.description
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        if leaf.minimum is not None:
            assert ranges[0].from_value == leaf.minimum
        if leaf.maximum is not None:
            assert ranges[0].to_value == leaf.maximum
        assert all(each.step == 0 for each in ranges)
