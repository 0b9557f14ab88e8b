"""Either node may be killed and started again: the other goes on, and nothing is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('no_shared_memory', 'short_lease')


def settled(robot, num_before=0):
    """Return counters of both nodes once all that was played is in the pose graph.

    Args:
        robot: the fixture.
        num_before: keyframes there of an earlier loop closure node.
    """

    def done():
        loop, graph = robot.loop_status(), robot.graph_status()
        return (
            loop is not None
            and graph is not None
            and loop.is_idle
            and graph.is_idle
            and loop.counters['keyframes'] == loop.counters['keyframes_chosen'] > 0
            and graph.counters['keyframes'] >= loop.counters['keyframes'] + num_before
            and graph.counters['closures'] >= loop.counters['closures']
        )

    robot.wait(done)
    return robot.loop_status().counters, robot.graph_status().counters


def received(robot, frames):
    """Wait until the loop closure node has taken in a number of frames, and rests."""

    def done():
        status = robot.loop_status()
        return status is not None and status.counters['frames'] >= frames and status.is_idle

    robot.wait(done)


def edit(caller, closure):
    """Take a closure out by hand."""
    from s3e_gnn_ros import srv

    answer = caller.call(
        srv.EditClosure,
        'pose_graph/edit_closure',
        action=srv.EditClosure.Request.REMOVE,
        query_session=closure.query_session,
        query_id=closure.query_id,
        match_session=closure.match_session,
        match_id=closure.match_id,
    )
    assert answer.success, answer.message


def test_a_restarted_back_end_recovers_everything(robot, caller, recording):
    loop_node = robot.start('loop_closure')
    first = robot.start('pose_graph')
    robot.play(recording, 0, 30)
    received(robot, 30)
    settled(robot)
    removed = next(iter(robot.collector.closures.values()))
    edit(caller, removed)
    robot.kill(first)
    robot.play(recording, 30, 45)  # nobody is there to hear of these keyframes
    received(robot, 45)
    robot.start('pose_graph')
    robot.play(recording, 45, 53)
    received(robot, 52)
    loop, graph = settled(robot)
    assert loop_node.returncode is None
    assert loop['closures'] > 3
    assert graph['keyframes'] == loop['keyframes']
    assert graph['closures'] == loop['closures']
    assert graph['odometry_breaks'] == 0
    poses, g2o = robot.collector.pose_graph()
    assert [key.keyframe_id for key in poses] == list(range(loop['keyframes']))
    # What a person has taken out stays out.
    assert g2o.count('EDGE_SE3:QUAT') == loop['keyframes'] - 1 + loop['closures'] - 1


def test_a_restarted_loop_closure_node_goes_on_in_a_new_session(robot, recording):
    first = robot.start('loop_closure')
    graph_node = robot.start('pose_graph')
    robot.play(recording, 0, 12)
    received(robot, 12)
    before, _ = settled(robot)
    robot.kill(first)
    robot.start('loop_closure')
    robot.play(recording, 12, 53)
    received(robot, 40)
    loop, graph = settled(robot, before['keyframes'])
    assert graph_node.returncode is None
    assert graph['keyframes'] == before['keyframes'] + loop['keyframes']
    # Odometry ran on: the two sessions hang together.
    assert graph['odometry_breaks'] == 0
    poses, _ = robot.collector.pose_graph()
    sessions = [key.session for key in poses]
    assert len(set(sessions)) == 2
    assert sessions == sorted(sessions)
    assert loop['closures'] > 0
    # Keyframes lie where the camera went, and not on top of each other in two pieces.
    steps = np.diff([T[:3, 3] for T in poses.values()], axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 0.6
