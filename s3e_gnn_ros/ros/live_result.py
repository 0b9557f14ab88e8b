"""What a live run leaves behind, in the form that the offline replay gives it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config, NodeConfig
from s3e_gnn_ros.data.bag_file import open_bag
from s3e_gnn_ros.data.bag_recording import BagRecording
from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.data.synchroniser import ApproximateSynchroniser
from s3e_gnn_ros.errors import DropError, RecordingError
from s3e_gnn_ros.evaluation.pair_images import thumbnail
from s3e_gnn_ros.evaluation.result import InlierMatches, ReplayResult
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.loop_closure.matching import match_descriptors
from s3e_gnn_ros.retrieval.factory import make_retrieval
from s3e_gnn_ros.ros.collector import Collector, NodeStatus
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopClosure

_DROPS = 'drops.'


class LiveMemory:
    """Keeps of each keyframe what the report needs; images shrink to pictures.

    Similarities do not travel over ROS: they are computed again from what the keyframes carry.

    Args:
        config: of the run.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._keyframes: dict[KeyframeKey, Keyframe] = {}
        self._images: dict[KeyframeKey, NDArray[np.uint8]] = {}
        self._history: list[Keyframe] = []
        self._poses: dict[KeyframeKey, NDArray[np.float64]] = {}
        self._g2o = ''
        self._collector: Collector | None = None
        self._drops: Counter[str] = Counter()
        self._stages: dict[str, tuple[float, float]] = {}

    def add_keyframe(self, keyframe: Keyframe) -> None:
        """Keep a keyframe as it came over DDS."""
        key = KeyframeKey(keyframe.session, keyframe.keyframe_id)
        if keyframe.frame.image.size:
            self._images[key] = thumbnail(keyframe.frame.image)
        no_image = np.zeros((0, 0), np.uint8)
        small = replace(keyframe, frame=replace(keyframe.frame, image=no_image, depth_m=None))
        self._keyframes[key] = small

    def is_complete(self, num_keyframes: int) -> bool:
        """Whether as many keyframes have come."""
        return len(self._keyframes) >= num_keyframes

    def finish(self, collector: Collector, loop: NodeStatus, graph: NodeStatus) -> None:
        """Take the end state from the nodes, while they still run."""
        self._collector = collector
        self._history = collector.history()
        self._poses, self._g2o = collector.pose_graph()
        for status in (loop, graph):
            self._stages.update(status.stage_ms)
            for name, count in status.counters.items():
                if name.startswith(_DROPS):
                    self._drops[name.removeprefix(_DROPS)] += count

    def result(self, path: Path, recording: BagRecording, wall_s: float) -> ReplayResult:
        """Put everything into the form of the offline replay.

        Raises:
            RecordingError: no keyframe came out.
        """
        assert self._collector is not None  # finish has been called
        if not self._history:
            counts = ', '.join(f'{n} {reason}' for reason, n in self._drops.items())
            raise RecordingError(
                f"recording '{recording.name}' gave no keyframe (dropped: {counts or 'none'})"
            )
        keys = [KeyframeKey(k.session, k.keyframe_id) for k in self._history]
        queries = [self._collector.queries[key] for key in keys]
        closures = sorted(
            self._collector.closures.values(),
            key=lambda c: (c.query_session, c.query_id, -c.similarity),
        )
        taken_out = [self._collector.is_taken_out(closure) for closure in closures]
        return ReplayResult(
            name=recording.name,
            stamps_ns=np.array([k.stamp_ns for k in self._history], dtype=np.int64),
            sessions=np.array([key.session for key in keys], dtype=np.int64),
            keyframe_ids=np.array([key.keyframe_id for key in keys], dtype=np.int64),
            T_odom_camera=np.array([k.T_odom_camera for k in self._history]),
            T_map_camera=np.array([self._poses[key] for key in keys]),
            odometry=_odometry_of_frames(path, recording, self._config.node),
            queries=queries,
            closures=[c for c, is_out in zip(closures, taken_out, strict=True) if not is_out],
            rejected=[c for c, is_out in zip(closures, taken_out, strict=True) if is_out],
            config=self._config,
            ground_truth=recording.ground_truth,
            similarity=self._similarity(keys, closures),
            images=self._images,
            inliers={pair: m for c in closures for pair, m in [self._inliers(c)] if m is not None},
            stage_ms=self._stage_ms(queries),
            g2o=self._g2o,
            drops=self._drops,
            notes=[*recording.notes, 'replayed live: player and both nodes as processes over DDS'],
            wall_s=wall_s,
        )

    def _stage_ms(self, queries: list) -> dict[str, list[float]]:  # type: ignore[type-arg]
        out: dict[str, list[float]] = {}
        for query in queries:
            for stage, spent_ms in query.stage_ms.items():
                out.setdefault(stage, []).append(spent_ms)
        for stage, percentiles in self._stages.items():
            # The back end's times come as percentiles only.
            out.setdefault(stage, list(percentiles))
        return out

    def _similarity(
        self, keys: list[KeyframeKey], closures: list[LoopClosure]
    ) -> NDArray[np.float32] | None:
        """Search again, keyframe by keyframe, as the node did; None where one is missing."""
        if list(self._keyframes) != keys:
            return None
        retrieval = make_retrieval(self._config.retrieval)
        entries = {key: entry for entry, key in enumerate(keys)}
        out = np.full((len(keys), len(keys)), np.nan, dtype=np.float32)
        for row, key in zip(out, keys, strict=True):
            values = retrieval.similarities(self._keyframes[key])
            row[: len(values)] = values
            entry = retrieval.add(self._keyframes[key])
            for closure in closures:
                if (closure.query_session, closure.query_id) == key:
                    match = KeyframeKey(closure.match_session, closure.match_id)
                    retrieval.join(entry, entries[match])
        return out

    def _inliers(
        self, closure: LoopClosure
    ) -> tuple[tuple[KeyframeKey, KeyframeKey], InlierMatches | None]:
        """Find again the matches that agree with a closure, for its picture."""
        query_key = KeyframeKey(closure.query_session, closure.query_id)
        match_key = KeyframeKey(closure.match_session, closure.match_id)
        query, match = self._keyframes.get(query_key), self._keyframes.get(match_key)
        if query is None or match is None:
            return (query_key, match_key), None
        config = self._config.verification
        pairs = match_descriptors(
            query.features.descriptors,
            match.features.descriptors,
            config.max_hamming,
            config.match_ratio,
        )
        landmarks = match.features.landmarks_m[pairs[:, 1]]
        seen = se3.transform_points(se3.inverse(closure.T_match_query), landmarks)
        with np.errstate(invalid='ignore'):
            expected = seen[:, :2] / seen[:, 2:]
            error = np.linalg.norm(
                expected - query.features.points_normalised[pairs[:, 0]], axis=1
            )
            camera = query.frame.camera
            pairs = pairs[error * camera.fx < config.max_reprojection_error_px]
        return (query_key, match_key), InlierMatches(
            query.features.points_px[pairs[:, 0]],
            match.features.points_px[pairs[:, 1]],
            (camera.width, camera.height),
        )


def _odometry_of_frames(path: Path, recording: BagRecording, config: NodeConfig) -> Trajectory:
    """Return odometry at the stamps of the images, as the offline replay has it."""
    assert recording.odometry is not None  # the run has checked
    poses: dict[int, NDArray[np.float64]] = {}
    for stamp in _image_stamps(path, recording, config):
        pose = recording.odometry.at(stamp, config.max_odometry_gap_s)
        if pose is not None:
            poses[stamp] = pose
    stamps = sorted(poses)
    return Trajectory(np.array(stamps, dtype=np.int64), np.array([poses[s] for s in stamps]))


def _image_stamps(path: Path, recording: BagRecording, config: NodeConfig) -> list[int]:
    """Return the stamps of the images that have their depth, where the bag has depth."""
    topics = [t.name for t in (recording.topics.image, recording.topics.depth) if t is not None]
    joined: list[int] = []
    synchroniser = ApproximateSynchroniser(
        topics,
        config.sync_queue_size,
        config.sync_slop_s,
        lambda image_ns, _depth_ns=None: joined.append(image_ns),
    )
    with open_bag(path) as bag:
        for logged in bag.messages(topics):
            try:
                stamp = stamp_ns(bag.decode(logged).header.stamp)
            except DropError:
                continue
            synchroniser.add(logged.topic, stamp, stamp)
    return joined
