"""The player: bytes, timing, /clock, and what cannot be played."""

from __future__ import annotations

import json
import subprocess
import time

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry
from rclpy.executors import SingleThreadedExecutor
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from s3e_gnn_ros.data.bag_file import open_bag
from s3e_gnn_ros.ros.processes import child_environment, cli_command
from s3e_gnn_ros.ros.qos import reliable_qos

TOPICS = {'/camera/color/image_raw': Image, '/odometry': Odometry}


def play(*arguments, **options):
    return subprocess.run(
        cli_command(['play', *map(str, arguments)]),
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


@pytest.fixture
def listener(domain):
    """Return what came on each topic, as raw bytes with the time of arrival, and the executor."""
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('listener', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    heard = {topic: [] for topic in (*TOPICS, '/clock')}
    for topic, kind in {**TOPICS, '/clock': Clock}.items():
        node.create_subscription(
            kind,
            topic,
            lambda data, topic=topic: heard[topic].append((time.monotonic(), data)),
            reliable_qos(1000),
            raw=topic != '/clock',
        )
    yield heard, executor
    executor.shutdown()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_every_message_comes_byte_for_byte_in_time(recording, listener):
    heard, executor = listener
    command = ['play', recording, '--rate', '4', '--wait-for-subscribers', '30', '--json']
    command += ['--topics', *TOPICS]
    with subprocess.Popen(
        cli_command(list(map(str, command))),
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        while process.poll() is None:
            executor.spin_once(timeout_sec=0.1)
        report = json.loads(process.stdout.read())
    for _ in range(100):
        executor.spin_once(timeout_sec=0.01)
    with open_bag(recording) as bag:
        expected = {topic: [] for topic in TOPICS}
        for message in bag.messages(list(TOPICS)):
            expected[message.topic].append(message)
    for topic, messages in expected.items():
        assert report['published'][topic] == len(messages)
        assert [data for _, data in heard[topic]] == [bytes(m.data) for m in messages]
    assert report['is_acknowledged']
    assert report['without_subscriber'] == []
    # Never early: nothing arrives before its time (a loaded machine may be late).
    log_s = [(m.log_ns - expected['/odometry'][0].log_ns) / 1e9 for m in expected['/odometry']]
    arrival_s = [arrived_s for arrived_s, _ in heard['/odometry']]
    assert np.polyfit(log_s, arrival_s, 1)[0] > 0.9 / 4
    clock_ns = [c.clock.sec * 10**9 + c.clock.nanosec for _, c in heard['/clock']]
    assert clock_ns == sorted(clock_ns)
    assert clock_ns[-1] <= expected['/odometry'][-1].log_ns


def test_the_beginning_can_be_skipped(recording, domain):
    done = play(recording, '--rate', '50', '--start-offset', '2', '--json', '--no-clock')
    published = json.loads(done.stdout)['published']
    assert 0 < published['/camera/color/image_raw'] <= 52 - 18


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--rate', '0'], '--rate is 0.0 instead of more than 0'),
        (['--topics', '/nothing'], 'has no topic /nothing; it has /camera'),
        (['--start-offset', '1000'], 'start offset 1000.0 s lies beyond'),
    ],
)
def test_wrong_options_are_one_line_and_status_2(recording, domain, arguments, sentence):
    done = play(recording, *arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize('content', [None, b'', b'SQLite format 3\0 but not really'])
def test_an_unreadable_bag_is_one_line_and_status_2(tmp_path, domain, content):
    path = tmp_path / 'bag.db3'
    if content is not None:
        path.write_bytes(content)
    done = play(path)
    assert done.returncode == 2
    assert 'cannot read bag' in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
