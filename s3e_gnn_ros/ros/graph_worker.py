"""The pose graph in the hands of its one worker thread, with snapshots for everybody else."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.ros.correction import Correction
from s3e_gnn_ros.ros.deferred import Job
from s3e_gnn_ros.ros.edits_file import EditsFile
from s3e_gnn_ros.ros.graph_builder import Effect, GraphBuilder
from s3e_gnn_ros.ros.graph_messages import EMPTY, GraphSnapshot, take_snapshot
from s3e_gnn_ros.ros.keyframe_inbox import KeyframePose
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
        correction: what the graph makes of the newest live keyframe; None before the first.
        snapshot: what was last published.
        worker: the thread's queue, for jobs of others that work on the graph.

    Args:
        config: of the pose graph.
        statistics: keeps run times and counters.
        drop: called with reason and sentence for what the graph refuses.
        on_snapshot: called on the worker's thread with each new snapshot.
        make_graph: makes an empty graph, in this process or in one of its own.
        edits_file: where edits of closures outlive the node, if anywhere.
    """

    def __init__(
        self,
        config: PoseGraphConfig,
        statistics: Statistics,
        drop: Callable[[str, str], None],
        on_snapshot: Callable[[GraphSnapshot], None],
        make_graph: Callable[[PoseGraphConfig], PoseGraph | RemoteGraph] = PoseGraph,
        edits_file: EditsFile | None = None,
    ) -> None:
        self.correction: Correction | None = None
        self.snapshot = EMPTY
        self._builder = GraphBuilder(config, drop, make_graph, edits_file)
        self._statistics = statistics
        self._drop = drop
        self._on_snapshot = on_snapshot
        self._live: set[int] = set()
        self._rejected: deque[tuple[KeyframeKey, KeyframeKey]] = deque(maxlen=_MAX_REJECTED)
        self._num_unsolved = 0
        self._is_stale = False
        self._wants_snapshot = False
        self._next_snapshot_s = 0.0
        self._needs_finish = False
        self._touched_s = time.monotonic()
        self._is_closing = False
        self.worker: Worker[Job] = Worker(
            self._run_job,
            capacity=_CAPACITY,
            name='pose_graph',
            on_drop=self._drop_job,
            on_error=self._report_bug,
            on_idle=self._solve,
        )

    @property
    def depth(self) -> int:
        """Jobs waiting."""
        return self.worker.depth

    @property
    def is_busy(self) -> bool:
        """Whether anything given so far is not yet in :attr:`snapshot`, fully optimised."""
        is_working = self.worker.is_busy or self._builder.is_checking
        return is_working or self._is_stale or self._needs_finish

    def add_keyframe(self, keyframe: KeyframePose) -> None:
        """Queue a keyframe."""
        self._offer(partial(self._add_keyframe, keyframe))

    def add_closure(self, closure: LoopClosure) -> None:
        """Queue a closure; one of a pair that has another already takes its place."""
        self._offer(partial(self._add_closure, closure))

    def add_batch(
        self, keyframes: Sequence[KeyframePose], closures: Sequence[LoopClosure]
    ) -> None:
        """Queue, as one job, what was recovered."""
        if keyframes or closures:
            self._offer(partial(self._add_batch, tuple(keyframes), tuple(closures)))

    def remove_keyframes(self, keys: Sequence[KeyframeKey]) -> None:
        """Queue the removal of keyframes; those that are not there are left out."""
        self._offer(partial(self._remove_keyframes, tuple(keys)))

    def fix(self, poses: Mapping[KeyframeKey, Pose]) -> None:
        """Queue T_map_camera (4, 4) of keyframes that are to stay where a stored map has them."""
        self._offer(partial(self._fix, poses))

    def set_live(self, session: int) -> None:
        """Queue that a session is one of the robot's own: corrections come from these alone."""
        if session not in self._live:
            self._live.add(session)
            self._offer(partial(self._set_live, session))

    def edit(self, action: int, match: KeyframeKey, query: KeyframeKey) -> None:
        """Do what srv EditClosure asks for; on the worker's thread only.

        Raises:
            InputError: an unknown action, or no such closure.
        """
        self._builder.edit(action, (match, query))
        self._needs_finish = True
        self._touch()

    def add_rejected(self, query: KeyframeKey, match: KeyframeKey) -> None:
        """Remember a pair whose verification failed, for the markers."""
        self._rejected.append((query, match))

    def tick(self) -> None:
        """Queue what is due: a snapshot, or the full optimisation once nothing has come lately."""
        now_s, is_waiting = time.monotonic(), self.worker.depth > 0
        is_quiet = not is_waiting and now_s - self._touched_s > _QUIET_S
        if self._needs_finish and is_quiet:
            # Not in the job: until it has begun, the next tick would see a need and no queue.
            self._needs_finish = False
            self.worker.offer(Job(partial(self._attempt, self._finish), self._need_finish))
        elif self._is_stale and (is_quiet or now_s >= self._next_snapshot_s):
            self._wants_snapshot = True  # taken after the job at hand, before all that waits
            if not is_waiting:
                self._offer(_nothing)
        elif self._builder.is_checking and not is_waiting:
            self._offer(self._take_in_check)

    def renew(self) -> None:
        """Let the next tick take a snapshot: the last ones may have reached nobody."""
        self._is_stale = True

    def close(self) -> None:
        """End the thread, and the graph's process, whatever it is doing."""
        self._is_closing = True
        self._builder.close()
        self.worker.close()

    def set_config(self, config: PoseGraphConfig) -> None:
        """Queue that the graph is built anew, as if it had always had these parameters."""
        self._offer(partial(self._set_config, config))

    def _offer(self, work: Callable[[], None]) -> None:
        self.worker.offer(Job(partial(self._attempt, work)))

    def _need_finish(self) -> None:
        self._needs_finish = True

    def _drop_job(self, job: Job) -> None:
        if not self._is_closing:  # else the graph goes with what would have been added to it
            self._drop('queue_full', 'the pose graph cannot keep up')
        job.drop()

    # In the worker's thread.

    def _report_bug(self, err: Exception) -> None:
        self._drop('worker_error', f'{type(err).__name__}: {err}')

    def _run_job(self, job: Job) -> None:
        job.run()
        if self._wants_snapshot:
            self._take_snapshot()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except InputError as err:
            if not self._is_closing:  # else that is why
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
        if self._builder.add_keyframe(keyframe):
            self._statistics.count('odometry_breaks')
        self._statistics.count('keyframes')
        self._touch(max_unsolved)

    def _add_closure(self, closure: LoopClosure) -> None:
        effect = self._builder.add_closure(closure)
        if effect is Effect.NONE:
            return
        self._statistics.count('closures' if effect is Effect.ADDED else 'closures_replaced')
        self._needs_finish = True
        self._touch()

    def _remove_keyframes(self, keys: Sequence[KeyframeKey]) -> None:
        number = self._builder.remove_keyframes(keys)
        if number:
            self._statistics.count('keyframes_removed', number)
            self._touch()

    def _fix(self, poses: Mapping[KeyframeKey, Pose]) -> None:
        if self._builder.fix(poses):
            self._touch()

    def _set_config(self, config: PoseGraphConfig) -> None:
        self._builder.set_config(config)
        self._needs_finish = True
        self._touch()

    def _set_live(self, session: int) -> None:
        self._builder.set_live(session)
        self._correct()

    def _correct(self) -> None:
        """Let odometry be corrected by what is solved."""
        if self._num_unsolved == 0:
            self.correction = self._builder.correction()

    def _touch(self, max_unsolved: int = _MAX_UNSOLVED) -> None:
        self._touched_s = time.monotonic()
        self._is_stale = True
        self._num_unsolved += 1
        if self._num_unsolved >= max_unsolved:  # even when the queue never runs empty
            self._solve()

    def _solve(self) -> None:
        if self._num_unsolved == 0 or len(self._builder.graph) == 0:
            return
        started_s = time.perf_counter()
        self._num_unsolved = 0
        self._builder.update()
        self._is_stale = True  # also when a snapshot was taken since the last keyframe
        self._correct()
        elapsed_ms = (time.perf_counter() - started_s) * 1e3
        self._statistics.add_stages({'optimisation': elapsed_ms})

    def _take_in_check(self) -> None:
        """Look whether a check has ended, while nothing else asks."""
        self._builder.update()
        if not self._builder.is_checking:
            self._num_unsolved = 0
            self._is_stale = True
            self._correct()

    def _finish(self) -> None:
        # All of a large map takes seconds, in which no keyframe is taken. iSAM2 keeps it current
        # anyway; only a small one is polished.
        if len(self._builder.graph) > _MAX_FINISHED:
            return
        self._builder.finish()
        self._num_unsolved = 0
        self._correct()
        self._take_snapshot()

    def _take_snapshot(self) -> None:
        self._is_stale = self._wants_snapshot = False
        if len(self._builder.graph) == 0:
            return
        started_s = time.monotonic()
        self.snapshot = take_snapshot(self._builder.columns(), list(self._rejected))
        self._on_snapshot(self.snapshot)
        ended_s = time.monotonic()
        self._next_snapshot_s = ended_s + _SNAPSHOT_SHARE * (ended_s - started_s)


def _nothing() -> None:
    """Wake the worker."""
