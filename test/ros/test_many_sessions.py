"""Several runs and several robots in one map."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from nav_msgs.msg import Odometry
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.data.bag_file import open_bag
from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.conversions import pose_from_message, pose_to_message
from s3e_gnn_ros.ros.qos import reliable_qos
from s3e_gnn_ros.types import KeyframeKey

START_NS = 1_700_000_000_000_000_000
LATER_S = 3600


def parameters(**values):
    out = ['-p', 'retrieval.method:=bow']
    for name, value in values.items():
        out += ['-p', f'{name.replace("__", ".")}:={value}']
    return out


def settled(robot, num_loaded=0):
    """Wait until both nodes have everything and rest; returns their counters."""

    def done():
        loop, graph = robot.loop_status(), robot.graph_status()
        if loop is None or graph is None or not (loop.is_idle and graph.is_idle):
            return False
        num_keyframes = loop.counters['keyframes'] + num_loaded
        return (
            loop.counters['keyframes'] == loop.counters['keyframes_chosen'] > 0
            and graph.counters['keyframes'] >= num_keyframes
            and graph.counters['closures'] >= loop.counters['closures']
        )

    robot.wait(done)
    return robot.loop_status().counters, robot.graph_status().counters


def played(robot, recording, first, last):
    robot.play(recording, first, last)
    robot.wait(lambda: robot.loop_status().counters['frames'] >= last - first)


def taken(robot, caller, messages, number):
    """Wait until as many messages have come, and show that no more do."""
    robot.wait(lambda: (caller.spin(0.1), len(messages) >= number)[1])
    caller.spin(1.0)
    assert len(messages) == number
    return list(messages)


def play_elsewhere(robot, recording, first, last, T_new_odom):
    """Play frames of a later run: an hour on, and its odometry begins somewhere else."""
    kinds = {'image': Image, 'depth': Image, 'camera_info': CameraInfo, 'odometry': Odometry}
    topics = {topic: name for name, topic in robot.TOPICS.items()}
    start_ns = START_NS + first * 100_000_000 - 20_000_000
    with open_bag(recording) as bag:
        for raw in bag.messages(list(topics)):
            if not start_ns <= raw.log_ns < start_ns + (last - first) * 100_000_000:
                continue
            name = topics[raw.topic]
            message = deserialize_message(bytes(raw.data), kinds[name])
            message.header.stamp.sec += LATER_S
            if name == 'odometry':
                T = T_new_odom @ pose_from_message(message.pose.pose)
                message.pose.pose = pose_to_message(T)
            robot.publishers[name].publish(message)


def truth_of(recording, stamps_ns):
    """Return T_world_camera (4, 4) by stamp."""
    truth = {f.stamp_ns: f.T_world_camera for f in open_recording(recording).frames()}
    truth.update({stamp + LATER_S * 10**9: T for stamp, T in truth.items()})
    return [truth[stamp] for stamp in stamps_ns]


def stamps_of(caller):
    history = caller.call(srv.GetKeyFrames, names.GET_KEYFRAMES).keyframes
    return {
        KeyframeKey(k.session, k.keyframe_id): k.header.stamp.sec * 10**9 + k.header.stamp.nanosec
        for k in history
    }


def test_a_second_run_is_placed_in_the_map_of_the_first(
    robot, caller, recording, tmp_path, record_testsuite_property
):
    place = {'map__directory': tmp_path}
    nodes = [
        robot.start('loop_closure', *parameters(map__name='first', **place)),
        robot.start('pose_graph'),
    ]
    played(robot, recording, 0, 27)
    settled(robot)
    first_poses, _ = robot.collector.pose_graph()

    def has_poses():
        with MapStore.open(tmp_path / 'first.s3emap', read_only=True) as store:
            T = store.rows().T_map_camera
        return len(T) == len(first_poses) and np.isfinite(T).all()

    robot.wait(has_poses)  # the back end's poses come into the file
    for node in nodes:
        robot.stop(node)

    robot.start(
        'loop_closure',
        *parameters(map__name='second', map__load='first', map__base_map='fixed', **place),
    )
    robot.start('pose_graph')
    T_new_odom = se3.expmap([0.3, -0.5, 1.0, 4.0, -2.0, 0.7])
    play_elsewhere(robot, recording, 26, 52, T_new_odom)
    robot.wait(lambda: robot.loop_status().counters['frames'] >= 26)
    loop, graph = settled(robot, len(first_poses))
    assert loop['keyframes_loaded'] == len(first_poses)
    assert graph['keyframes'] == len(first_poses) + loop['keyframes']
    poses, _ = robot.collector.pose_graph()
    for key, T in first_poses.items():
        np.testing.assert_allclose(poses[key], T, atol=1e-3)  # a fixed map stays
    second = [key for key in poses if key not in first_poses]
    assert len(second) == loop['keyframes'] > 8

    stamps = stamps_of(caller)
    truth = dict(zip(poses, truth_of(recording, [stamps[key] for key in poses]), strict=True))
    start = next(iter(first_poses))
    T_map_world = first_poses[start] @ se3.inverse(truth[start])
    errors = [se3.inverse(T_map_world @ truth[key]) @ poses[key] for key in second]
    ate_m = np.sqrt(np.mean([se3.translation_m(T) ** 2 for T in errors]))
    record_testsuite_property('ate_m', ate_m)
    assert ate_m < 0.05
    assert max(se3.rotation_angle_deg(T) for T in errors) < 2.0

    with MapStore.open(tmp_path / 'second.s3emap', read_only=True) as store:
        assert set(store.rows().keys) == set(poses)  # one file holds both
        between = [c for c in store.closures() if c.query_session != c.match_session]
    assert len(between) > 5
    answer = caller.call(
        srv.MergeMaps, names.MERGE_MAPS, name='first', other='second', out='second'
    )
    assert not answer.success  # it is being written


def test_two_maps_are_merged_and_exported(robot, caller, recording, tmp_path):
    place = {'map__directory': tmp_path}
    num_keyframes = 0
    for name, (first, last) in {'out': (0, 26), 'back': (26, 52)}.items():
        node = robot.start('loop_closure', *parameters(map__name=name, **place))
        played(robot, recording, first, last)
        robot.wait(lambda: robot.loop_status().is_idle)
        num_keyframes += robot.loop_status().counters['keyframes']
        # The node's last messages have to come while it lives.
        robot.wait(lambda: len(robot.keyframes) >= num_keyframes)  # noqa: B023
        robot.stop(node)
    robot.start('loop_closure', *parameters(**place))
    merged = caller.call(
        srv.MergeMaps, names.MERGE_MAPS, limit_s=90.0, name='out', other='back', out='both'
    )
    assert merged.success, merged.message
    assert merged.num_new_closures > 5
    assert merged.num_keyframes == len(robot.keyframes)
    loaded = caller.call(srv.LoadMap, names.LOAD_MAP, name='both')
    assert loaded.num_keyframes == merged.num_keyframes
    assert loaded.num_closures >= merged.num_new_closures
    for form, out in (('tum', 'both.txt'), ('g2o', 'both.g2o'), ('vins', 'vins')):
        answer = caller.call(
            srv.ExportMap, names.EXPORT_MAP, limit_s=60.0, name='both', format=form, out=out
        )
        assert answer.success, answer.message
    assert len((tmp_path / 'both.txt').read_text().splitlines()) == merged.num_keyframes
    assert (tmp_path / 'both.g2o').read_text().count('VERTEX_SE3') == merged.num_keyframes
    imported = caller.call(
        srv.ImportMap, names.IMPORT_MAP, limit_s=60.0, folder='vins', name='from_vins'
    )
    assert imported.success, imported.message
    assert imported.num_keyframes == merged.num_keyframes


def test_keyframes_of_another_robot_join_the_map(robot, caller, recording, tmp_path):
    heard = caller.keep(msg.KeyFrame, names.KEYFRAME, reliable_qos(1000))
    other = robot.start('loop_closure', *parameters(node__robot_id='bee'))
    robot.wait(lambda: caller.node.count_publishers(names.KEYFRAME) == 1)
    played(robot, recording, 0, 26)
    robot.wait(lambda: robot.loop_status().is_idle)
    of_bee = taken(robot, caller, heard, robot.loop_status().counters['keyframes'])
    assert len(of_bee) > 10
    assert {k.robot_id for k in of_bee} == {'bee'}
    robot.stop(other)

    heard.clear()
    robot.start(
        'loop_closure',
        *parameters(node__robot_id='ant', map__directory=tmp_path, map__name='ant'),
    )
    robot.start('pose_graph', '-p', 'node.robot_id:=ant')
    robot.wait(lambda: caller.node.count_publishers(names.KEYFRAME) == 1)
    external = caller.node.create_publisher(
        msg.KeyFrame, names.EXTERNAL_KEYFRAME, reliable_qos(1000)
    )
    robot.wait(lambda: external.get_subscription_count() == 1)
    played(robot, recording, 26, 52)
    robot.wait(lambda: robot.loop_status().is_idle)
    of_ant = taken(robot, caller, heard, robot.loop_status().counters['keyframes'])
    for message in (*of_bee, *of_ant, *of_bee):  # all come back, and some twice
        external.publish(message)

    def has_all():
        status = robot.loop_status()
        received = status.counters['received.external_keyframe']
        return received == len(of_bee) * 2 + len(of_ant) and status.is_idle

    robot.wait(has_all)
    taken(robot, caller, heard, len(of_ant) + len(of_bee))  # and nothing goes round in circles
    assert {k.robot_id for k in heard[len(of_ant) :]} == {'bee'}
    history = caller.call(srv.GetKeyFrames, names.GET_KEYFRAMES)
    assert len(history.keyframes) == len(heard)
    between = [c for c in history.closures if c.query_robot_id != c.match_robot_id]
    assert len(between) > 5
    assert {(c.query_robot_id, c.match_robot_id) for c in between} == {('bee', 'ant')}
    with MapStore.open(tmp_path / 'ant.s3emap', read_only=True) as store:
        assert {(row.robot_id, row.num_keyframes) for row in store.sessions()} == {
            ('ant', len(of_ant)),
            ('bee', len(of_bee)),
        }
        assert len(store.closures()) == len(history.closures)

    def is_one_graph():
        counters = robot.graph_status().counters
        return counters['keyframes'] == len(heard) and robot.graph_status().is_idle

    robot.wait(is_one_graph)
    poses, _ = robot.collector.pose_graph()
    stamps = stamps_of(caller)
    truth = dict(zip(poses, truth_of(recording, [stamps[key] for key in poses]), strict=True))
    session = of_bee[0].session
    bee = next(key for key in poses if key.session == session)
    ant = next(key for key in poses if key.session != session)
    T_ant_bee = se3.inverse(poses[ant]) @ poses[bee]
    error = se3.inverse(se3.inverse(truth[ant]) @ truth[bee]) @ T_ant_bee
    assert se3.translation_m(error) < 0.1
