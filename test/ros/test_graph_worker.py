"""The pose graph behind its worker: nothing lost, snapshots in time, no long optimisation."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.g2o import g2o_text
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.ros import graph_worker as module
from s3e_gnn_ros.ros.deferred import Job
from s3e_gnn_ros.ros.graph_worker import GraphWorker
from s3e_gnn_ros.ros.keyframe_inbox import KeyframePose
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.types import KeyframeKey, LoopClosure


class Bench:
    """A worker, and what it reported."""

    def __init__(self, make_graph=PoseGraph):
        self.statistics = Statistics()
        self.drops = []
        self.snapshots = []
        self.worker = GraphWorker(
            PoseGraphConfig(),
            self.statistics,
            lambda reason, sentence: self.drops.append((reason, sentence)),
            self.snapshots.append,
            make_graph,
        )

    def rest(self, limit_s=120.0):
        """Tick as the node does until all is in the snapshot."""
        end_s = time.monotonic() + limit_s
        while self.worker.depth or self.worker.is_busy:
            assert time.monotonic() < end_s
            self.worker.tick()
            time.sleep(0.02)
        return self.worker.snapshot


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.worker.close()


def keyframe(session, number, second=None):
    second = float(number) if second is None else second
    T = se3.make_pose(translation=(0.3 * second, 0.0, 0.0))
    return KeyframePose(KeyframeKey(session, number), int((100 + second) * 1e9), T, 'odom')


def closure(query, match, session=1, shift_m=0.0):
    T = se3.make_pose(translation=(0.3 * (query - match) + shift_m, 0.0, 0.0))
    return LoopClosure(query, match, session, session, 0, 0, T, 1e-4 * np.eye(6), 0.9, 50, 0.8)


def test_a_long_history_enters_whole(bench):
    number = 15_000
    closures = [closure(i, i - 1000) for i in range(1000, number, 2000)]
    bench.worker.add_batch([keyframe(1, i) for i in range(number)], closures)
    snapshot = bench.rest()
    assert bench.drops == []
    assert [key.keyframe_id for key in snapshot.keys] == list(range(number))
    counters = bench.statistics.counters()
    assert counters['keyframes'] == number
    assert counters['closures'] == len(closures) == len(snapshot.closures)
    assert 'odometry_breaks' not in counters
    np.testing.assert_allclose(snapshot.T_map_camera[-1, 0, 3], 0.3 * (number - 1), atol=1e-3)


def test_a_burst_of_single_jobs_waits_and_is_not_dropped(bench):
    gate = threading.Event()
    bench.worker.worker.offer(Job(gate.wait))  # as a long solve would hold the worker
    for i in range(15_000):
        bench.worker.add_keyframe(keyframe(1, i))
    assert bench.worker.depth >= 15_000
    assert bench.drops == []
    gate.set()


def test_what_a_batch_holds_of_nonsense_does_not_stop_the_rest(bench):
    frames = [keyframe(1, 0), keyframe(1, 0), keyframe(1, 1), keyframe(1, 2)]
    bench.worker.add_batch(frames, [closure(2, 2), closure(2, 0)])
    snapshot = bench.rest()
    assert [reason for reason, _ in bench.drops] == ['refused', 'refused']
    assert len(snapshot.keys) == 3
    assert len(snapshot.closures) == 1


def test_history_between_two_keyframes_of_a_session_is_no_break(bench):
    bench.worker.add_keyframe(keyframe(2, 0, second=50.0))  # live, before the history has come
    bench.worker.add_batch([keyframe(1, i) for i in range(5)], [])
    bench.worker.add_keyframe(keyframe(2, 1, second=51.0))
    snapshot = bench.rest()
    pairs = {(snapshot.keys[i], snapshot.keys[j]) for i, j in snapshot.odometry.tolist()}
    assert ((2, 0), (2, 1)) in pairs
    assert len(pairs) == 5
    assert bench.statistics.counters()['odometry_breaks'] == 1  # the history is older: time jumped


def test_a_new_session_ties_to_the_newest_keyframe(bench):
    # That of a restarted node, far from the last one's; the next number would be a break it saw.
    for frame in (keyframe(1, 0), keyframe(1, 1), keyframe(1_000_000_001, 0, second=2.0)):
        bench.worker.add_keyframe(frame)
    assert bench.rest().odometry.tolist() == [[0, 1], [1, 2]]
    assert 'odometry_breaks' not in bench.statistics.counters()


@pytest.mark.parametrize(('limit', 'expected'), [(10, 1), (9, 0)])
def test_only_a_small_map_is_optimised_whole_and_once(bench, monkeypatch, limit, expected):
    calls, finish = [], PoseGraph.finish

    def counted(graph):
        calls.append(len(graph))
        finish(graph)

    monkeypatch.setattr(PoseGraph, 'finish', counted)
    monkeypatch.setattr(module, '_MAX_FINISHED', limit)
    monkeypatch.setattr(module, '_QUIET_S', 0.1)
    bench.worker.add_batch([keyframe(1, i) for i in range(10)], [closure(9, 0, shift_m=0.05)])
    snapshot = bench.rest()
    for _ in range(5):
        bench.worker.tick()
        time.sleep(0.05)
    assert len(calls) == expected
    assert len(snapshot.closures) == 1
    np.testing.assert_allclose(
        snapshot.T_map_camera, bench.worker._builder.graph.poses(), atol=1e-9
    )


def test_a_finish_that_begins_is_not_asked_for_again(bench, monkeypatch):
    calls, gate, finish = [], threading.Event(), GraphWorker._finish

    def late(worker):
        calls.append(worker)
        assert gate.wait(20)
        finish(worker)

    monkeypatch.setattr(GraphWorker, '_finish', late)
    monkeypatch.setattr(module, '_QUIET_S', 0.1)
    bench.worker.add_batch([keyframe(1, i) for i in range(10)], [closure(9, 0, shift_m=0.05)])
    while not calls:
        bench.worker.tick()
        time.sleep(0.02)
    bench.worker.tick()  # the thread has taken the job, and not done a thing
    gate.set()
    bench.rest()
    assert len(calls) == 1


def test_a_finish_that_finds_no_room_is_asked_for_again(bench):
    bench.worker._needs_finish = True
    bench.worker._touched_s -= 60.0
    bench.worker.worker.close()  # from here on it drops whatever it is given
    bench.worker.tick()
    assert bench.worker.is_busy


def test_a_snapshot_comes_while_jobs_still_wait(bench):
    gates = [threading.Event() for _ in range(3)]
    bench.worker.add_keyframe(keyframe(1, 0))
    for gate in gates:
        bench.worker.worker.offer(Job(gate.wait))
    while bench.worker.depth > 2:
        time.sleep(0.005)
    bench.worker.tick()
    gates[0].set()
    end_s = time.monotonic() + 5.0
    while not bench.snapshots and time.monotonic() < end_s:
        time.sleep(0.005)
    assert bench.worker.depth >= 1  # the other gates are still shut
    assert len(bench.snapshots) == 1
    for gate in gates:
        gate.set()


def test_costly_snapshots_come_seldom(bench, monkeypatch):
    monkeypatch.setattr(module, '_QUIET_S', 60.0)
    bench.worker._on_snapshot = lambda snapshot: (
        time.sleep(0.1),
        bench.snapshots.append(snapshot),
    )
    started_s, i = time.monotonic(), 0
    while time.monotonic() - started_s < 0.9:
        bench.worker.add_keyframe(keyframe(1, i))
        bench.worker.tick()
        time.sleep(0.02)
        i += 1
    assert len(bench.snapshots) == 1
    assert len(bench.rest().keys) == i


def test_g2o_on_request_is_that_of_the_graph(bench):
    assert bench.worker.snapshot.g2o is None
    bench.worker.add_batch([keyframe(1, i) for i in range(6)], [closure(5, 0), closure(4, 1)])
    snapshot = bench.rest()
    assert g2o_text(snapshot.g2o) == g2o_text(bench.worker._builder.graph.to_g2o())
    assert snapshot.g2o is snapshot.g2o


# The graph in a process of its own.


@pytest.fixture
def remote():
    bench = Bench(RemoteGraph)
    yield bench
    bench.worker.close()


def solver(bench):
    """Return the number of the process."""
    return bench.worker._builder.graph.pid


def test_a_solver_that_hangs_holds_nobody_up(remote):
    remote.worker.set_live(1)
    remote.worker.add_batch([keyframe(1, i) for i in range(5)], [])
    remote.rest()
    before = remote.worker.correction
    assert before.key == KeyframeKey(1, 4)
    os.kill(solver(remote), signal.SIGSTOP)
    for i in range(5, 30):
        remote.worker.add_keyframe(keyframe(1, i))
        remote.worker.tick()
    assert remote.worker.correction is before  # still that of what is solved
    assert remote.worker.depth
    os.kill(solver(remote), signal.SIGCONT)
    assert len(remote.rest().keys) == 30
    assert remote.worker.correction.key == KeyframeKey(1, 29)


def test_a_solver_that_dies_loses_nothing(remote):
    remote.worker.add_batch([keyframe(1, i) for i in range(10)], [closure(9, 0)])
    remote.rest()
    os.kill(solver(remote), signal.SIGKILL)
    for i in range(10, 15):
        remote.worker.add_keyframe(keyframe(1, i))
    snapshot = remote.rest()
    assert [key.keyframe_id for key in snapshot.keys] == list(range(15))
    assert len(snapshot.closures) == 1
    assert [reason for reason, _ in remote.drops] == ['solver_died']
    assert remote.statistics.counters()['keyframes'] == 15  # none was counted twice


def test_closing_does_not_wait_for_the_solver(remote):
    remote.worker.add_batch([keyframe(1, i) for i in range(5)], [])
    remote.rest()
    os.kill(solver(remote), signal.SIGSTOP)
    remote.worker.add_keyframe(keyframe(1, 5))
    remote.worker.close()
    assert not any(thread.name == 'pose_graph' for thread in threading.enumerate())
