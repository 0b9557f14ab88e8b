"""A standstill at 30 Hz, at the node's callbacks: nothing grows.

Fifteen minutes of it here; the hour with S3E_STANDSTILL_MINUTES=60.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from nav_msgs.msg import Odometry
from rclpy.parameter import Parameter
from synthetic import make_frame, out_and_back

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.frame_joiner import Picture
from s3e_gnn_ros.ros.loop_closure_node import LoopClosureNode

CAMERA = PinholeCamera(160, 120, 120.0, 120.0, 79.5, 59.5)
RATE_HZ = 30
NUM_FRAMES = 60 * int(os.environ.get('S3E_STANDSTILL_MINUTES', '15')) * RATE_HZ
SETTLED = NUM_FRAMES // 6
START_NS = 1_700_000_000_000_000_000
PARAMETERS = {
    'retrieval.method': 'bow',
    'features.num_features': 100,
    'map.name': 'still',
}


@pytest.fixture
def node(domain, tmp_path):
    context = rclpy.Context()
    rclpy.init(context=context)
    values = {**PARAMETERS, 'map.directory': str(tmp_path)}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node = LoopClosureNode(context=context, parameter_overrides=overrides)
    assert node.start()
    yield node
    node.close()
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def wait_until_idle(node):
    while node.role._worker.depth or node.role._worker.is_busy:
        time.sleep(0.001)


def resident_bytes():
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE')


def map_bytes(node, folder):
    """Return the size of the map when the node has come to rest and no garbage is left."""
    wait_until_idle(node)
    gc.collect()
    return sum(path.stat().st_size for path in folder.glob('still.s3emap*'))


class Sensors:
    """Gives the node messages as its subscriptions would, without DDS."""

    def __init__(self, node):
        self._node = node
        rng = np.random.default_rng(0)
        noise = (se3.expmap(rng.normal(0, [0.002] * 3 + [0.003] * 3)) for _ in range(500))
        self._noise = [conv.pose_to_message(T) for T in noise]
        frame = make_frame(out_and_back(3)[0], camera=CAMERA)
        self._image, self._depth = frame.image, frame.depth_m
        header = conv.make_header(START_NS, 'eye')
        node.role._inputs._images._take_camera(conv.camera_to_message(CAMERA, header))
        (self._take_odometry,) = (
            s.callback for s in node.subscriptions if s.topic_name == '/odometry'
        )

    def show(self, number, T_odom_camera=None):
        """Give one picture and its odometry, which jitters by millimetres."""
        stamp_ns = START_NS + number * 1_000_000_000 // RATE_HZ
        pose = self._noise[number % len(self._noise)]
        if T_odom_camera is not None:
            pose = conv.pose_to_message(T_odom_camera)
        odometry = Odometry(header=conv.make_header(stamp_ns, 'odom'))
        odometry.pose.pose = pose
        self._take_odometry(odometry)
        self._node.role._inputs._take_picture(Picture(stamp_ns, self._image, self._depth, 'eye'))


def test_a_standstill_adds_nothing(node, tmp_path, record_testsuite_property):
    sensors = Sensors(node)
    for number in range(SETTLED):
        sensors.show(number)
    num_bytes = map_bytes(node, tmp_path)
    num_blocks, memory_bytes = sys.getallocatedblocks(), resident_bytes()
    for number in range(SETTLED, NUM_FRAMES):
        sensors.show(number)
    assert map_bytes(node, tmp_path) == num_bytes
    blocks, grown_bytes = sys.getallocatedblocks() - num_blocks, resident_bytes() - memory_bytes
    counters = node.statistics.counters()
    assert counters['frames'] == NUM_FRAMES
    assert counters['keyframes'] == 1
    assert not any(name.startswith(('drops.', 'relocalisation.')) for name in counters)
    with MapStore.open(tmp_path / 'still.s3emap', read_only=True) as store:
        assert store.num_keyframes == 1
    record_testsuite_property('grown_bytes', grown_bytes)
    # One object per frame would be 22,500 blocks, and one pose per frame 5 MB.
    assert blocks < 5000
    assert grown_bytes < 3_000_000


def test_moving_on_adds_again(node):
    sensors = Sensors(node)
    for number in range(100):
        sensors.show(number)
    sensors.show(100, se3.make_pose(None, (0.5, 0.0, 0.0)))
    wait_until_idle(node)
    assert node.statistics.counters()['keyframes'] == 2
