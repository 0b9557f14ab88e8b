"""Clocks that are set, stamps that are wrong, and a bag played in a loop with its /clock."""

from __future__ import annotations

import signal

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from faulty_robot import (
    CAMERA,
    LAP,
    START_NS,
    STEP_NS,
    Sensors,
    change,
    counters,
    drops,
    is_alive,
    said,
    settle,
)
from nav_msgs.msg import Odometry
from synthetic import make_frame, out_and_back

from s3e_gnn_ros.data.bag_writer import BagWriter
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.processes import Child, cli_command
from s3e_gnn_ros.ros.qos import reliable_qos

HOUR_NS = 3600 * 10**9


def has_graph_of(robot, number):
    """Whether the pose graph has so many keyframes, and has told of them."""
    status = robot.graph_status()
    return status is not None and status.is_idle and status.counters['keyframes'] == number


def test_stamps_that_are_wrong_and_clocks_that_are_set(robot, caller):
    sensors = Sensors(robot)
    child, graph = robot.start('loop_closure'), robot.start('pose_graph')
    corrected = caller.keep(Odometry, names.CORRECTED_ODOMETRY, reliable_qos(100))
    sensors.drive(6)
    settle(robot, sensors, child)
    for topic in ('odometry', 'image', 'depth'):
        for header in ({'stamp__sec': 1}, {'stamp__sec': 2_000_000_000}):
            wrong = {f'header__{name}': value for name, value in header.items()}
            sensors.send(**{topic: change(**wrong)})
    sensors.send(odometry=change(header__stamp__sec=0, header__stamp__nanosec=0))
    is_alive(robot, sensors, child)
    assert drops(robot)['wrong_stamp'] == 6
    assert drops(robot)['no_stamp'] == 1
    assert counters(robot)['sessions'] == 0

    sensors.offset_ns += HOUR_NS  # as when the time of the network comes
    before = counters(robot)['frames']
    is_alive(robot, sensors, child)
    assert counters(robot)['frames'] == before + LAP  # nothing was lost by it
    assert counters(robot)['time_jumps_ahead'] == 3
    assert counters(robot)['sessions'] == 0

    sensors.offset_ns -= 2 * HOUR_NS
    num_closures = len(robot.collector.closures)
    log = is_alive(robot, sensors, child)
    assert counters(robot)['frames'] == before + 2 * LAP
    assert counters(robot)['sessions'] == 1
    assert said(log, 'time jumped back') == 1
    robot.wait(lambda: len(robot.collector.closures) > num_closures, child)
    robot.wait(lambda: has_graph_of(robot, counters(robot)['keyframes']), graph)
    sessions = {key.session for key in robot.collector.pose_graph()[0]}
    assert len(sessions) == 2
    assert any(query.session != match.session for query, match in robot.collector.closures)
    # Corrections go on, of the new session: its keyframes are tied to the map by its closures.
    newest_ns = sensors.stamp_ns
    sensors.send()
    # Of this very stamp: those before, of later hours, are kept, too.
    robot.wait(lambda: caller.spin(0.1) or any(stamp(m) == newest_ns for m in corrected), graph)
    assert graph.returncode is None
    assert robot.graph_status().counters['odometry_breaks'] == 1


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.fixture
def bag(tmp_path):
    """Return a recording of one lap of a robot."""
    with BagWriter(tmp_path / 'lap', storage='sqlite3') as writer:
        for number, T in enumerate(out_and_back(LAP)):
            frame = make_frame(T, START_NS + number * STEP_NS, CAMERA)
            writer.write_odometry(frame.stamp_ns, T)
            writer.write_frame(frame)
    return tmp_path / 'lap'


def test_a_bag_in_a_loop_takes_its_clock_back(robot, bag, tmp_path):
    Sensors(robot)  # for its configuration
    remaps = [('-r', f'{name}:={topic}') for name, topic in robot.TOPICS.items()]
    arguments = [word for pair in remaps for word in pair] + ['-p', 'use_sim_time:=true']
    nodes = [
        robot.start(name, *arguments, is_remapped=True) for name in ('loop_closure', 'pose_graph')
    ]
    robot.wait(lambda: robot.num_subscribers('/odometry') == 2, nodes[0])
    robot.wait(lambda: robot.num_subscribers(robot.TOPICS['depth']) == 1, nodes[0])
    command = cli_command(
        ['play', str(bag), '--loop', '--rate', '2', '--wait-for-subscribers', '60']
    )
    with Child('play', command, folder=tmp_path) as player:
        robot.wait(
            lambda: (
                counters(robot)['sessions'] >= 2
                and {q.session for q, m in robot.collector.closures if q.session != m.session}
            ),
            player,
        )
        player.process.send_signal(signal.SIGINT)
        player.process.wait(30)
    # The clock stands still from here on: what is due by time has to come all the same.
    loop = {}

    def rests():
        before = dict(loop)
        loop.update(counters(robot))
        return before == loop and robot.loop_status().is_idle

    robot.wait(rests, nodes[0])
    assert set(drops(robot)) <= {'no_odometry', 'old_session', 'unsynchronised'}
    robot.wait(lambda: has_graph_of(robot, loop['keyframes']), nodes[1])
    assert len(robot.collector.pose_graph()[0]) == loop['keyframes']
    assert robot.graph_status().counters['odometry_breaks'] == loop['sessions']
    assert robot.graph_status().counters['closures'] == loop['closures']
    assert all(node.returncode is None for node in nodes)
