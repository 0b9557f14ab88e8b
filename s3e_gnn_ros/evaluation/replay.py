"""Offline replay: the node's pipeline and back end over a recording, frame by frame."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.evaluation.pair_images import thumbnail
from s3e_gnn_ros.evaluation.result import InlierMatches, ReplayResult, match_key, query_key
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.loop_closure.stopwatch import Stopwatch
from s3e_gnn_ros.pose_graph.continuity import is_plausible_step
from s3e_gnn_ros.pose_graph.g2o import g2o_text
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import Frame, Keyframe, KeyframeKey, LoopClosure, LoopQuery

SESSION = 1


@dataclass(frozen=True, eq=False)
class _Kept:
    """What the report needs of a keyframe; image and depth are let go, or memory would fill."""

    key: KeyframeKey
    stamp_ns: int
    T_odom_camera: Pose
    image_size_px: tuple[int, int]


class OfflineReplay:
    """Runs loop closure over frames and keeps what the report needs.

    Args:
        config: all settings.

    Raises:
        InputError: the vocabulary cannot be read.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._pipeline = LoopClosurePipeline(config, SESSION)
        self._graph = PoseGraph(config.pose_graph)
        self._kept: list[_Kept] = []
        self._queries: list[LoopQuery] = []
        self._rows: list[NDArray[np.float32]] = []
        self._images: dict[KeyframeKey, NDArray[np.uint8]] = {}
        self._stage_ms: dict[str, list[float]] = defaultdict(list)
        self._stamps_ns: list[int] = []
        self._poses: list[Pose] = []
        self._drops: Counter[str] = Counter()

    def run(self, frames: Iterable[Frame]) -> None:
        """Process frames in order of their stamps; those without odometry are counted out."""
        for frame in frames:
            if frame.T_odom_camera is None:
                self._drops['no_odometry'] += 1
                continue
            self._stamps_ns.append(frame.stamp_ns)
            self._poses.append(frame.T_odom_camera)
            if self._pipeline.offer(frame):
                self._process(frame)

    def _process(self, frame: Frame) -> None:
        keyframe, query = self._pipeline.process(frame)
        watch = Stopwatch()
        with watch.stage('optimisation'):
            key = KeyframeKey(keyframe.session, keyframe.keyframe_id)
            is_continued = self._is_continued(keyframe)
            self._graph.add_keyframe(key, keyframe.stamp_ns, keyframe.T_odom_camera, is_continued)
            for closure in query.closures:
                self._graph.add_closure(closure)
            self._graph.update()
        for stage, spent_ms in {**query.stage_ms, **watch.stage_ms}.items():
            self._stage_ms[stage].append(spent_ms)
        self._queries.append(query)
        self._rows.append(self._pipeline.similarities)
        self._images[key] = thumbnail(frame.image)
        camera = frame.camera
        self._kept.append(
            _Kept(key, keyframe.stamp_ns, keyframe.T_odom_camera, (camera.width, camera.height))
        )

    def _is_continued(self, keyframe: Keyframe) -> bool:
        """Whether odometry tied the keyframe to the last; a jump is counted."""
        if not self._kept:
            return True
        last = self._kept[-1]
        elapsed_s = (keyframe.stamp_ns - last.stamp_ns) / 1e9
        is_continued = is_plausible_step(
            elapsed_s,
            last.T_odom_camera,
            keyframe.T_odom_camera,
            self._config.pose_graph.max_speed_m_per_s,
        )
        self._drops['odometry_break'] += not is_continued
        return is_continued

    def result(
        self,
        name: str,
        ground_truth: Trajectory | None,
        drops: Counter[str],
        notes: list[str],
        wall_s: float,
    ) -> ReplayResult:
        """Optimise a last time and hand over everything.

        Raises:
            RecordingError: no frame had both an image and a pose.
        """
        if not self._kept:
            counts = ', '.join(f'{n} {reason}' for reason, n in (drops + self._drops).items())
            raise RecordingError(
                f"recording '{name}' has no frame with an image and a pose "
                f'(dropped: {counts or "none"})'
            )
        self._graph.finish()
        closures, rejected = self._closures()
        sizes = {kept.key: kept.image_size_px for kept in self._kept}
        return ReplayResult(
            name=name,
            stamps_ns=np.array([kept.stamp_ns for kept in self._kept], dtype=np.int64),
            sessions=np.array([kept.key.session for kept in self._kept], dtype=np.int64),
            keyframe_ids=np.array([kept.key.keyframe_id for kept in self._kept], dtype=np.int64),
            T_odom_camera=np.array([kept.T_odom_camera for kept in self._kept]),
            T_map_camera=self._graph.poses(),
            odometry=Trajectory(np.array(self._stamps_ns, dtype=np.int64), np.array(self._poses)),
            queries=self._queries,
            closures=closures,
            rejected=rejected,
            config=self._config,
            ground_truth=ground_truth,
            similarity=_square(self._rows),
            images=self._images,
            inliers={
                pair: matches
                for query in self._queries
                for pair, matches in _inliers(query, sizes)
            },
            stage_ms=self._stage_ms,
            g2o=g2o_text(self._graph.to_g2o()),
            drops=drops + self._drops,
            notes=notes,
            wall_s=wall_s,
        )

    def _closures(self) -> tuple[list[LoopClosure], list[LoopClosure]]:
        """Return the closures that are in the graph, and those that it has taken out."""
        inside = {(edge.i, edge.j) for edge in self._graph.closure_edges}
        parts: tuple[list[LoopClosure], list[LoopClosure]] = [], []
        for query in self._queries:
            for closure in query.closures:
                parts[(match_key(closure), query_key(closure)) not in inside].append(closure)
        return parts


def replay_offline(
    name: str,
    frames: Iterable[Frame],
    config: Config,
    ground_truth: Trajectory | None,
    drops: Counter[str],
    notes: list[str],
) -> ReplayResult:
    """Run loop closure over a recording.

    Args:
        name: of the recording.
        frames: with odometry, in order of their stamps.
        config: all settings.
        ground_truth: T_world_camera, or None.
        drops: the reader's counters, complete once ``frames`` is exhausted.
        notes: what the reader has to say, likewise.

    Raises:
        RecordingError: no frame had both an image and a pose.
        InputError: the vocabulary cannot be read, or a frame cannot be used.
    """
    replay = OfflineReplay(config)
    start = time.perf_counter()
    replay.run(frames)
    return replay.result(name, ground_truth, drops, notes, time.perf_counter() - start)


def _square(rows: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Stack rows of length 0, 1, 2 ... into a (K, K) matrix with NaN elsewhere."""
    out = np.full((len(rows), len(rows)), np.nan, dtype=np.float32)
    for index, row in enumerate(rows):
        out[index, : len(row)] = row
    return out


def _inliers(
    query: LoopQuery, sizes: Mapping[KeyframeKey, tuple[int, int]]
) -> Iterator[tuple[tuple[KeyframeKey, KeyframeKey], InlierMatches]]:
    """Yield the supporting matches of each closure of a query."""
    for closure, pixels in zip(query.closures, query.inliers_px, strict=True):
        key = KeyframeKey(closure.query_session, closure.query_id)
        pair = key, KeyframeKey(closure.match_session, closure.match_id)
        yield pair, InlierMatches(pixels[:, :2], pixels[:, 2:], sizes[key])
