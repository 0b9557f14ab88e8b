"""A day of keyframes in both nodes: memory stays flat once the map has its full size.

A robot drives round the same corner again and again, one keyframe a second; messages are bad now
and then, and odometry begins anew. The day, with a table of memory over keyframes:

    S3E_SOAK_KEYFRAMES=86400 S3E_SOAK_CSV=soak.csv pytest test/ros/test_soak.py
"""

from __future__ import annotations

import csv
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
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from synthetic import make_frame, out_and_back

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import (
    conversions as conv,
)
from s3e_gnn_ros.ros import (
    graph_inputs,
    graph_worker,
    loop_outputs,
    other_publishers,
    statistics,
)
from s3e_gnn_ros.ros.loop_closure_node import LoopClosureNode
from s3e_gnn_ros.ros.pose_graph_node import PoseGraphNode

NUM_KEYFRAMES = int(os.environ.get('S3E_SOAK_KEYFRAMES', '480'))
IS_SHORT = NUM_KEYFRAMES < 20_000
SETTLED = 200 if IS_SHORT else 12_000
"""Keyframes after which whatever is kept on purpose is full."""
MAX_BLOCKS = 4.0
MAX_BYTES = 12_000.0 if IS_SHORT else 600.0
"""Growth per keyframe: one of its messages kept by mistake is 30 blocks, its image 19 kB."""
MAX_KEYFRAMES = 40 if IS_SHORT else 100
NUM_FRAMES = 30
RESTART_EVERY = 100 if IS_SHORT else 1000
LIMIT_S = 600.0
CAMERA = PinholeCamera(160, 120, 120.0, 120.0, 79.5, 59.5)
START_NS = 1_700_000_000_000_000_000
PARAMETERS = {
    'retrieval.method': 'bow',
    'retrieval.min_time_gap_s': 5.0,
    'retrieval.min_keyframe_gap': 5,
    'retrieval.max_candidates': 1,
    'keyframes.min_translation_m': 0.0001,
    'keyframes.min_interval_s': 0.0,
    'features.num_features': 120,
    'verification.refine_with_depth': False,
    'verification.ransac_iterations': 50,
    'verification.max_sigma_m': 0.2,
    'map.name': 'day',
    'node.solver_process': False,  # so that its memory counts, too
    'map.max_keyframes': MAX_KEYFRAMES,
}


class Building:
    """Both nodes in one executor, and what a robot's sensors say in a corner of a building."""

    def __init__(self, folder):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        values = {**PARAMETERS, 'map.directory': str(folder)}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.loop, self.graph = (
            kind(context=self._context, parameter_overrides=overrides)
            for kind in (LoopClosureNode, PoseGraphNode)
        )
        assert all(node.start() for node in (self.loop, self.graph))
        self._executor = SingleThreadedExecutor(context=self._context)
        for node in (self.loop, self.graph):
            self._executor.add_node(node)
        self._use = {
            node: {s.topic_name: s.callback for s in node.subscriptions}
            for node in (self.loop, self.graph)
        }
        rng = np.random.default_rng(0)
        self._frames = [make_frame(T, camera=CAMERA) for T in out_and_back(NUM_FRAMES)]
        self._noise = [se3.expmap(rng.normal(0, 0.001, 6)) for _ in range(97)]
        self._T_map_odom = np.eye(4)

    def close(self):
        self._executor.shutdown()
        for node in (self.loop, self.graph):
            node.close()
            node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def see(self, number):
        """Let the messages of one second come, as the middleware would hand them over."""
        if number % RESTART_EVERY == RESTART_EVERY - 1:
            self._T_map_odom = se3.make_pose(None, (0.0, 0.0, 30.0 * (number % 2000) + 5.0))
        frame = self._frames[number % NUM_FRAMES]
        stamp_ns = START_NS + number * 1_000_000_000
        eye, odom = conv.make_header(stamp_ns, 'eye'), conv.make_header(stamp_ns, 'odom')
        odometry = Odometry(header=odom, child_frame_id='eye')
        T = self._T_map_odom @ frame.T_world_camera @ self._noise[number % len(self._noise)]
        odometry.pose.pose = conv.pose_to_message(T)
        if number % 50 == 49:
            odometry.pose.pose.orientation.w = float('nan')
        for node in (self.loop, self.graph):
            self._use[node]['/odometry'](odometry)
        use = self._use[self.loop]
        use['/camera_info'](conv.camera_to_message(CAMERA, eye))
        use['/image'](conv.image_to_message(frame.image, eye))
        use['/depth'](conv.depth_to_message(frame.depth_m, eye))
        self.spin(lambda: self.loop.role.depth < 5)

    def spin(self, condition):
        """Let the nodes work until a condition holds."""
        end_s = time.monotonic() + LIMIT_S
        while True:
            for _ in range(20):
                self._executor.spin_once(timeout_sec=0.0)
            if condition():
                return
            assert time.monotonic() < end_s
            time.sleep(0.001)

    def rest(self):
        """Wait until all that was seen is in the pose graph and in the file."""
        self.spin(
            lambda: (
                not (self.loop.role.depth or self.loop.role.is_busy or self.graph.role.depth)
                and not self.graph.role._graph.worker.is_busy
                and self.graph.role._inbox.missing() is None
                and self.graph.statistics.counters()['keyframes']
                == self.loop.statistics.counters()['keyframes']
            )
        )


class Memory:
    """What the process holds, over the keyframes."""

    def __init__(self):
        self.rows = []
        path = os.environ.get('S3E_SOAK_CSV')
        self._file = Path(path).open('w', newline='') if path else None  # noqa: SIM115
        self._writer = csv.writer(self._file) if self._file else None

    def note(self, building, number):
        building.rest()
        gc.collect()
        pages = int(Path('/proc/self/statm').read_text().split()[1])
        counters = building.loop.statistics.counters()
        row = (
            number,
            pages * os.sysconf('SC_PAGE_SIZE'),
            sys.getallocatedblocks(),
            counters['keyframes'],
            counters['closures'],
            counters['sessions'],
            round(time.process_time(), 1),
        )
        self.rows.append(row)
        if self._writer:
            self._writer.writerow(row)
            self._file.flush()

    def close(self):
        if self._file:
            self._file.close()

    def growth(self, column):
        """Return the growth per keyframe by a line through the settled part."""
        rows = np.array([row for row in self.rows if row[0] >= SETTLED], dtype=float)
        return np.polyfit(rows[:, 0], rows[:, column], 1)[0]


@pytest.fixture
def building(domain, tmp_path, monkeypatch):
    if IS_SHORT:  # so that what is kept on purpose is soon full
        for module in (loop_outputs, graph_inputs):
            monkeypatch.setattr(module, '_LATCHED_DEPTH', 20)
        monkeypatch.setattr(statistics, '_WINDOW', 50)
        monkeypatch.setattr(graph_worker, '_MAX_REJECTED', 20)
        monkeypatch.setattr(other_publishers, '_REMEMBERED', 20)
    building = Building(tmp_path)
    yield building
    building.close()


def test_memory_is_flat_when_the_map_is_full(building, tmp_path, record_testsuite_property):
    memory = Memory()
    for number in range(NUM_KEYFRAMES):
        building.see(number)
        if number % max(NUM_KEYFRAMES // 200, 30) == 0:
            memory.note(building, number)
    memory.note(building, NUM_KEYFRAMES)
    memory.close()
    counters = building.loop.statistics.counters()
    bytes_, blocks = memory.growth(1), memory.growth(2)
    for name, value in (('bytes', bytes_), ('blocks', blocks)):
        record_testsuite_property(f'soak_{name}_per_keyframe', float(value))
    assert blocks < MAX_BLOCKS
    assert bytes_ < MAX_BYTES
    assert counters['keyframes'] > 0.8 * NUM_KEYFRAMES
    assert counters['closures'] > 0.3 * NUM_KEYFRAMES
    assert counters['sessions'] >= NUM_KEYFRAMES // RESTART_EVERY - 1
    # A jump asks where the camera is, but only until the first closure with what was before it.
    num_tries = sum(n for name, n in counters.items() if name.startswith('relocalisation.'))
    assert 0 < num_tries < 0.1 * NUM_KEYFRAMES
    assert building.graph.statistics.counters()['drops.worker_error'] == 0
    with MapStore.open(tmp_path / 'day.s3emap', read_only=True) as store:
        assert 0.9 * MAX_KEYFRAMES <= store.num_keyframes <= MAX_KEYFRAMES
