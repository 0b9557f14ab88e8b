"""The nodes through all their states, by the services that ``ros2 lifecycle`` calls."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from lifecycle_manager import (
    ACTIVATE,
    ACTIVE_SHUTDOWN,
    CLEANUP,
    CONFIGURE,
    DEACTIVATE,
    INACTIVE_SHUTDOWN,
    UNCONFIGURED_SHUTDOWN,
    Manager,
)

from s3e_gnn_ros import srv
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.processes import Child, ros_arguments


@pytest.fixture
def start(robot, caller, tmp_path):
    """Return a function that starts a node which waits for a manager, and gives both."""
    children = []

    def make(name, **parameters):
        arguments = ros_arguments(
            tmp_path / 'config.yaml',
            parameters={
                'node.autostart': False,
                **{key.replace('__', '.'): value for key, value in parameters.items()},
            },
        )
        command = [sys.executable, '-m', f's3e_gnn_ros.ros.{name}_node', *arguments]
        child = Child(f'managed_{name}', command, folder=tmp_path)
        children.append(child)
        return child, Manager(caller, f'{name}_node')

    yield make
    for child in children:
        child.stop()


def threads_of(child):
    return len(list(Path(f'/proc/{child.process.pid}/task').iterdir()))


def listeners(robot):
    return {robot.publishers[name].get_subscription_count() for name in ('image', 'depth')}


def play(robot, recording, first, last):
    """Play frames to the active node, and wait until it rests; returns its counters."""
    robot.wait(lambda: listeners(robot) == {1})
    robot.collector.spin(0.5)  # it has been found, but may not have found everybody yet
    robot.wait(lambda: robot.loop_status() is not None)
    before = robot.loop_status().counters['frames']
    robot.play(recording, first, last)

    def done():
        status = robot.loop_status()
        return status.counters['frames'] >= before + last - first and status.is_idle

    robot.wait(done)
    return robot.loop_status().counters


def test_a_node_that_is_managed_goes_through_its_states(start, robot, caller, recording, tmp_path):
    maps = tmp_path / 'maps'
    parameters = {'map__directory': str(maps), 'map__name': 'home', 'retrieval__method': 'bow'}
    child, manager = start('loop_closure', **parameters)
    assert manager.state() == 'unconfigured'
    assert robot.loop_status().is_idle  # statistics can be had in every state
    assert not maps.exists()
    assert not manager.change(ACTIVATE)

    assert manager.change(CONFIGURE)
    assert manager.state() == 'inactive'
    assert (maps / 'home.s3emap').exists()
    assert listeners(robot) == {0}

    assert manager.change(ACTIVATE)
    counters = play(robot, recording, 0, 26)
    num_keyframes = counters['keyframes']
    assert num_keyframes == counters['map.stored'] > 10

    assert manager.change(DEACTIVATE)
    robot.wait(lambda: listeners(robot) == {0})
    robot.play(recording, 26, 30)
    assert robot.loop_status().counters['received.image'] == counters['received.image']
    # What only reads still answers; what changes the map does not.
    assert len(caller.call(srv.GetKeyFrames, names.GET_KEYFRAMES).keyframes) == num_keyframes
    saved = caller.call(srv.SaveMap, names.SAVE_MAP, name='copy')
    assert saved.success, saved.message
    assert saved.num_keyframes == num_keyframes
    refused = caller.call(
        srv.RemoveKeyframes, names.REMOVE_KEYFRAMES, sessions=[1], keyframe_ids=[0]
    )
    assert refused.message == 'loop_closure_node is inactive'

    assert manager.change(ACTIVATE)
    counters = play(robot, recording, 26, 52)
    assert counters['closures'] > 0  # with what was seen before: the map is the same
    assert counters['keyframes'] > num_keyframes
    assert (
        len(caller.call(srv.GetKeyFrames, names.GET_KEYFRAMES).keyframes)
        == (counters['keyframes'])
    )

    assert manager.change(ACTIVE_SHUTDOWN)
    assert manager.state() == 'finalized'
    with MapStore.open(maps / 'home.s3emap', read_only=True) as store:
        assert store.num_keyframes == counters['keyframes']
        assert len(store.closures()) == counters['closures']
    child.process.send_signal(signal.SIGINT)
    assert child.process.wait(30) == 0


def test_another_configuration_follows_a_cleanup_and_nothing_is_left(start, robot, recording):
    child, manager = start('loop_closure', retrieval__method='bow')
    manager.state()
    at_rest = threads_of(child)
    seen = []
    for method in ('bow', 's3e', 'bow', 's3e'):
        assert all(result.successful for result in manager.set(retrieval__method=method))
        assert manager.change(CONFIGURE)
        assert manager.change(ACTIVATE)
        counters = play(robot, recording, 0, 12)
        assert 3 < counters['keyframes'] < 10  # of this configuration, not of all of them
        seen.append(robot.keyframes[-1].encoding is not None)
        assert manager.change(DEACTIVATE)
        assert manager.change(CLEANUP)
        assert manager.state() == 'unconfigured'
        robot.wait(lambda: listeners(robot) == {0})
        if method == 's3e' and at_rest is not None:
            num_threads = threads_of(child)  # torch keeps some of its own once it was used
            at_rest = None
    assert seen == [False, True, False, True]
    assert threads_of(child) == num_threads


def test_a_configuration_that_is_refused_can_be_mended(start, robot, caller, tmp_path):
    child, manager = start('loop_closure', retrieval__weights=str(tmp_path / 'none.safetensors'))
    assert not manager.change(CONFIGURE)
    assert manager.state() == 'unconfigured'
    errors = [line for line in child.log.read_text().splitlines() if 'none.safetensors' in line]
    assert len(errors) == 1
    assert 'Traceback' not in child.log.read_text()
    assert robot.loop_status().is_idle
    assert manager.set(retrieval__weights='')[0].successful
    assert manager.change(CONFIGURE)
    assert manager.change(INACTIVE_SHUTDOWN)
    answer = caller.call(srv.ListMaps, names.LIST_MAPS)
    assert answer.names == []


def test_the_back_end_takes_up_what_it_has_missed_while_inactive(start, robot, recording):
    node = robot.start('loop_closure', '-p', 'retrieval.method:=bow')
    child, manager = start('pose_graph')
    assert manager.change(CONFIGURE)
    assert manager.change(ACTIVATE)
    num_first = play(robot, recording, 0, 20)['keyframes']
    robot.wait(lambda: robot.graph_status().counters['keyframes'] == num_first, child)
    robot.wait(lambda: robot.graph_status().is_idle, child)
    before, _ = robot.collector.pose_graph()

    assert manager.change(DEACTIVATE)
    counters = play(robot, recording, 20, 52)
    assert counters['closures'] > 0
    poses, _ = robot.collector.pose_graph()
    assert poses.keys() == before.keys()
    for key, pose in poses.items():
        np.testing.assert_array_equal(pose, before[key])

    assert manager.change(ACTIVATE)
    wanted = {name: counters[name] for name in ('keyframes', 'closures')}

    def has_all():
        status = robot.graph_status()
        return (
            status is not None
            and status.is_idle
            and wanted == {n: status.counters[n] for n in wanted}
        )

    robot.wait(has_all, child)
    poses, _ = robot.collector.pose_graph()
    assert len(poses) == wanted['keyframes']
    node.check_alive()


@pytest.mark.parametrize(
    ('transitions', 'shutdown'),
    [
        ((), UNCONFIGURED_SHUTDOWN),
        ((CONFIGURE,), INACTIVE_SHUTDOWN),
        ((CONFIGURE, ACTIVATE), ACTIVE_SHUTDOWN),
    ],
)
def test_shutdown_is_possible_from_every_state(start, robot, transitions, shutdown):
    child, manager = start('pose_graph')
    for transition in transitions:
        assert manager.change(transition)
    assert manager.change(shutdown)
    assert manager.state() == 'finalized'
    robot.wait(lambda: robot.graph_status() is not None, child)  # found, and answers
    assert robot.graph_status().is_idle
    child.process.send_signal(signal.SIGINT)
    assert child.process.wait(30) == 0


def test_the_database_node_offers_its_services_while_it_is_active(start, caller):
    child, manager = start('database', retrieval__method='bow')
    assert manager.change(CONFIGURE)
    query = caller.node.create_client(srv.QueryDatabase, names.QUERY_DATABASE)
    assert not query.wait_for_service(0.5)
    assert manager.change(ACTIVATE)
    assert query.wait_for_service(20)
    refused = manager.set(verification__min_inliers=50)[0]
    assert 'takes effect when the node is configured' in refused.reason
    assert manager.change(DEACTIVATE)
    assert manager.change(CLEANUP)
    child.check_alive()
