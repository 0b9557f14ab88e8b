"""The pose graph in the hands of its one worker thread, with snapshots for everybody else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial

import numpy as np

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.ros.graph_messages import EMPTY, GraphSnapshot, row_pairs
from s3e_gnn_ros.ros.keyframe_inbox import KeyframePose, is_continued
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

_CAPACITY = 10000
"""Keyframes and closures are small here; a drop would tear the graph."""
_MAX_UNSOLVED = 20
_MAX_REJECTED = 2000
_QUIET_S = 2.0


class GraphWorker:
    """Feeds the pose graph from a queue; all its methods return at once.

    Attributes:
        T_map_odom: (4, 4) latest correction.
        snapshot: what was last published.

    Args:
        config: of the pose graph.
        statistics: keeps run times and counters.
        drop: called with reason and sentence for what the graph refuses.
        on_snapshot: called on the worker's thread with each new snapshot.
    """

    def __init__(
        self,
        config: PoseGraphConfig,
        statistics: Statistics,
        drop: Callable[[str, str], None],
        on_snapshot: Callable[[GraphSnapshot], None],
    ) -> None:
        self.T_map_odom: Pose = np.eye(4)
        self.snapshot = EMPTY
        self._graph = PoseGraph(config)
        self._statistics = statistics
        self._drop = drop
        self._on_snapshot = on_snapshot
        self._rejected: deque[tuple[KeyframeKey, KeyframeKey]] = deque(maxlen=_MAX_REJECTED)
        self._last: KeyframePose | None = None
        self._num_unsolved = 0
        self._is_stale = False
        self._needs_finish = False
        self._touched_s = time.monotonic()
        self._worker: Worker[Callable[[], None]] = Worker(
            self._run_job,
            capacity=_CAPACITY,
            name='pose_graph',
            on_drop=lambda _job: drop('queue_full', 'the pose graph cannot keep up'),
            on_error=self._report_bug,
            on_idle=self._solve,
        )

    @property
    def depth(self) -> int:
        """Jobs waiting."""
        return self._worker.depth

    @property
    def is_busy(self) -> bool:
        """Whether anything given so far is not yet in :attr:`snapshot`, fully optimised."""
        return self._worker.is_busy or self._is_stale or self._needs_finish

    def add_keyframe(self, keyframe: KeyframePose) -> None:
        """Queue a keyframe."""
        self._worker.offer(partial(self._add_keyframe, keyframe))

    def add_closure(self, closure: LoopClosure) -> None:
        """Queue a closure."""
        self._worker.offer(partial(self._add_closure, closure))

    def add_rejected(self, query: KeyframeKey, match: KeyframeKey) -> None:
        """Remember a pair whose verification failed, for the markers."""
        self._rejected.append((query, match))

    def tick(self) -> None:
        """Queue what is due: a snapshot, or the full optimisation once nothing has come lately."""
        if self._worker.depth:
            return
        if self._needs_finish and time.monotonic() - self._touched_s > _QUIET_S:
            self._worker.offer(self._finish)
        elif self._is_stale:
            self._worker.offer(self._take_snapshot)

    def close(self) -> None:
        """End the thread."""
        self._worker.close()

    # In the worker's thread.

    def _report_bug(self, err: Exception) -> None:
        self._drop('worker_error', f'{type(err).__name__}: {err}')

    def _run_job(self, job: Callable[[], None]) -> None:
        try:
            job()
        except InputError as err:
            self._drop('refused', str(err))

    def _add_keyframe(self, keyframe: KeyframePose) -> None:
        last, self._last = self._last, keyframe
        continues = last is not None and is_continued(last, keyframe)
        if last is not None and not continues:
            self._statistics.count('odometry_breaks')
        self._graph.add_keyframe(
            keyframe.key, keyframe.stamp_ns, keyframe.T_odom_camera, continues
        )
        self._statistics.count('keyframes')
        self._touch()

    def _add_closure(self, closure: LoopClosure) -> None:
        num_before = len(self._graph.closure_edges) + self._graph.num_pending
        self._graph.add_closure(closure)
        if len(self._graph.closure_edges) + self._graph.num_pending > num_before:
            self._statistics.count('closures')
            self._needs_finish = True
        self._touch()

    def _touch(self) -> None:
        self._touched_s = time.monotonic()
        self._is_stale = True
        self._num_unsolved += 1
        if self._num_unsolved >= _MAX_UNSOLVED:  # even when the queue never runs empty
            self._solve()

    def _solve(self) -> None:
        if self._num_unsolved == 0 or len(self._graph) == 0:
            return
        started_s = time.perf_counter()
        self._num_unsolved = 0
        self._graph.update()
        self.T_map_odom = self._graph.latest_correction()
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        self._statistics.add_stages({'optimisation': elapsed_ms})

    def _finish(self) -> None:
        self._needs_finish = False
        self._graph.finish()
        self.T_map_odom = self._graph.latest_correction()
        self._take_snapshot()

    def _take_snapshot(self) -> None:
        self._is_stale = False
        if len(self._graph) == 0:
            return
        graph, keys = self._graph, self._graph.keys
        self.snapshot = GraphSnapshot(
            keys,
            graph.stamps_ns,
            graph.poses(),
            row_pairs(keys, [(edge.i, edge.j) for edge in graph.odometry_edges]),
            row_pairs(keys, [(edge.i, edge.j) for edge in graph.closure_edges]),
            row_pairs(keys, list(self._rejected)),
            graph.to_g2o(),
        )
        self._on_snapshot(self.snapshot)
