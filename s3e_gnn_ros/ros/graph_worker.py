"""The pose graph in the hands of its one worker thread, with snapshots for everybody else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
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

_CAPACITY = 1_000_000
"""Out of reach, days of keyframes: they are small here, and a drop would tear the graph."""
_MAX_UNSOLVED = 20
_MAX_UNSOLVED_KEYFRAMES = 1000
"""Of a recovered batch: chains of odometry are cheap to solve, many at once still bounded."""
_MAX_FINISHED = 1000
_MAX_REJECTED = 2000
_QUIET_S = 2.0
_SNAPSHOT_SHARE = 10.0
"""A snapshot costs time in proportion to the map: wait so many times longer before the next."""


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
        self._last: dict[int, KeyframePose] = {}  # per session
        self._newest: KeyframePose | None = None
        self._num_unsolved = 0
        self._is_stale = False
        self._wants_snapshot = False
        self._next_snapshot_s = 0.0
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

    def add_batch(
        self, keyframes: Sequence[KeyframePose], closures: Sequence[LoopClosure]
    ) -> None:
        """Queue, as one job, what was recovered."""
        if keyframes or closures:
            self._worker.offer(partial(self._add_batch, tuple(keyframes), tuple(closures)))

    def add_rejected(self, query: KeyframeKey, match: KeyframeKey) -> None:
        """Remember a pair whose verification failed, for the markers."""
        self._rejected.append((query, match))

    def tick(self) -> None:
        """Queue what is due: a snapshot, or the full optimisation once nothing has come lately."""
        now_s, is_waiting = time.monotonic(), self._worker.depth > 0
        is_quiet = not is_waiting and now_s - self._touched_s > _QUIET_S
        if self._needs_finish and is_quiet:
            self._worker.offer(self._finish)
        elif self._is_stale and (is_quiet or now_s >= self._next_snapshot_s):
            self._wants_snapshot = True  # taken after the job at hand, before all that waits
            if not is_waiting:
                self._worker.offer(_nothing)

    def close(self) -> None:
        """End the thread."""
        self._worker.close()

    # In the worker's thread.

    def _report_bug(self, err: Exception) -> None:
        self._drop('worker_error', f'{type(err).__name__}: {err}')

    def _run_job(self, job: Callable[[], None]) -> None:
        self._attempt(job)
        if self._wants_snapshot:
            self._take_snapshot()

    def _attempt(self, job: Callable[[], None]) -> None:
        try:
            job()
        except InputError as err:
            self._drop('refused', str(err))

    def _add_batch(
        self, keyframes: Sequence[KeyframePose], closures: Sequence[LoopClosure]
    ) -> None:
        for keyframe in keyframes:
            self._attempt(partial(self._add_keyframe, keyframe, _MAX_UNSOLVED_KEYFRAMES))
        self._attempt(self._solve)  # loops start from solved odometry, as they do one by one
        for closure in closures:
            self._attempt(partial(self._add_closure, closure))

    def _add_keyframe(self, keyframe: KeyframePose, max_unsolved: int = _MAX_UNSOLVED) -> None:
        # The same keyframe as the graph ties it to.
        before = self._last.get(keyframe.key.session, self._newest)
        continues = before is not None and is_continued(before, keyframe)
        self._graph.add_keyframe(
            keyframe.key, keyframe.stamp_ns, keyframe.T_odom_camera, continues
        )
        self._last[keyframe.key.session] = self._newest = keyframe
        if before is not None and not continues:
            self._statistics.count('odometry_breaks')
        self._statistics.count('keyframes')
        self._touch(max_unsolved)

    def _add_closure(self, closure: LoopClosure) -> None:
        num_before = len(self._graph.closure_edges) + self._graph.num_pending
        self._graph.add_closure(closure)
        if len(self._graph.closure_edges) + self._graph.num_pending > num_before:
            self._statistics.count('closures')
            self._needs_finish = True
        self._touch()

    def _touch(self, max_unsolved: int = _MAX_UNSOLVED) -> None:
        self._touched_s = time.monotonic()
        self._is_stale = True
        self._num_unsolved += 1
        if self._num_unsolved >= max_unsolved:  # even when the queue never runs empty
            self._solve()

    def _solve(self) -> None:
        if self._num_unsolved == 0 or len(self._graph) == 0:
            return
        started_s = time.perf_counter()
        self._num_unsolved = 0
        self._graph.update()
        self._is_stale = True  # also when a snapshot was taken since the last keyframe
        self.T_map_odom = self._graph.latest_correction()
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        self._statistics.add_stages({'optimisation': elapsed_ms})

    def _finish(self) -> None:
        self._needs_finish = False
        # GTSAM keeps the interpreter lock while it solves, so that callbacks wait for it: seconds
        # for all of a large map. iSAM2 keeps that current anyway; only a small one is polished.
        if len(self._graph) > _MAX_FINISHED:
            return
        self._graph.finish()
        self._num_unsolved = 0
        self.T_map_odom = self._graph.latest_correction()
        self._take_snapshot()

    def _take_snapshot(self) -> None:
        self._is_stale = self._wants_snapshot = False
        if len(self._graph) == 0:
            return
        started_s = time.monotonic()
        graph, keys = self._graph, self._graph.keys
        self.snapshot = GraphSnapshot(
            keys,
            graph.stamps_ns,
            graph.poses(),
            row_pairs(keys, [(edge.i, edge.j) for edge in graph.odometry_edges]),
            row_pairs(keys, [(edge.i, edge.j) for edge in graph.closure_edges]),
            row_pairs(keys, list(self._rejected)),
            graph.odometry_edges + graph.closure_edges,
        )
        self._on_snapshot(self.snapshot)
        ended_s = time.monotonic()
        self._next_snapshot_s = ended_s + _SNAPSHOT_SHARE * (ended_s - started_s)


def _nothing() -> None:
    """Wake the worker."""
