"""What a run over a recording leaves behind: everything the result files are made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import KeyframeKey, LoopClosure, LoopQuery


@dataclass(frozen=True, eq=False)
class InlierMatches:
    """The N feature matches that agree with a closure's pose, for its picture.

    Attributes:
        query_px: (N, 2) pixels in the query's image.
        match_px: (N, 2) pixels in the match's image.
        image_size_px: (width, height) of the images those pixels count in; the pictures in
            :attr:`ReplayResult.images` may be smaller.
    """

    query_px: NDArray[np.floating]
    match_px: NDArray[np.floating]
    image_size_px: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ReplayResult:
    """One run, offline or through the ROS graph. K keyframes in order of their stamps.

    Attributes:
        name: of the recording, for titles.
        stamps_ns: (K,) int64 stamps of the keyframes.
        sessions: (K,) int64 session of each.
        keyframe_ids: (K,) int64 id of each within its session.
        T_odom_camera: (K, 4, 4) poses of the optical frame that odometry gave [m].
        T_map_camera: (K, 4, 4) poses of the optical frame after optimisation [m].
        odometry: T_odom_camera of every frame, full rate.
        queries: one per keyframe that searched for a loop.
        closures: those that are in the pose graph at the end.
        rejected: those that were verified, but contradict the others: the back end took them out.
        config: as resolved for the run.
        ground_truth: T_world_camera, or None when unknown.
        similarity: (K, K) float32, row i holds query i against each older keyframe j < i; NaN
            where not compared. None when the run did not keep it.
        images: small BGR uint8 pictures of keyframes by (session, id); may be lazy, may lack some.
        inliers: the matches to draw, by (query key, match key); may lack some.
        stage_ms: run times of each stage [ms].
        g2o: the pose graph as the text of a g2o file.
        drops: why frames or messages were left out, counted.
        notes: sentences for the reader of the report.
        wall_s: time the run took [s]; 0 when not measured.

    Raises:
        InputError: the arrays' lengths differ, stamps go backwards, or a pose is not finite.
    """

    name: str
    stamps_ns: NDArray[np.int64]
    sessions: NDArray[np.int64]
    keyframe_ids: NDArray[np.int64]
    T_odom_camera: NDArray[np.float64]
    T_map_camera: NDArray[np.float64]
    odometry: Trajectory
    queries: Sequence[LoopQuery]
    closures: Sequence[LoopClosure]
    config: Config
    rejected: Sequence[LoopClosure] = ()
    ground_truth: Trajectory | None = None
    similarity: NDArray[np.float32] | None = None
    images: Mapping[KeyframeKey, NDArray[np.uint8]] = field(default_factory=dict)
    inliers: Mapping[tuple[KeyframeKey, KeyframeKey], InlierMatches] = field(default_factory=dict)
    stage_ms: Mapping[str, Sequence[float]] = field(default_factory=dict)
    g2o: str = ''
    drops: Counter[str] = field(default_factory=Counter)
    notes: Sequence[str] = ()
    wall_s: float = 0.0

    def __post_init__(self) -> None:
        """Check that all arrays speak of the same K keyframes."""
        K = len(self.stamps_ns)
        shapes: dict[str, tuple[NDArray[np.generic] | None, tuple[int, ...]]] = {
            'sessions': (self.sessions, (K,)),
            'keyframe_ids': (self.keyframe_ids, (K,)),
            'T_odom_camera': (self.T_odom_camera, (K, 4, 4)),
            'T_map_camera': (self.T_map_camera, (K, 4, 4)),
            'similarity': (self.similarity, (K, K)),
        }
        for name, (array, shape) in shapes.items():
            if array is not None and array.shape != shape:
                raise InputError(f'{name} has shape {array.shape} instead of {shape}')
        if (np.diff(self.stamps_ns) < 0).any():
            raise InputError('stamps_ns of the keyframes go backwards')
        for name in ('T_odom_camera', 'T_map_camera'):
            unusable = ~np.isfinite(getattr(self, name)).all(axis=(1, 2))
            if unusable.any():
                raise InputError(f'{name} of keyframe {int(np.argmax(unusable))} is not finite')

    @property
    def num_keyframes(self) -> int:
        """K."""
        return len(self.stamps_ns)

    @property
    def recording_s(self) -> float:
        """Time between the first and the last frame with odometry [s]."""
        stamps = self.odometry.stamps_ns
        return float(stamps[-1] - stamps[0]) / 1e9 if len(stamps) else 0.0

    @cached_property
    def index_of(self) -> dict[KeyframeKey, int]:
        """Row of each keyframe by (session, id)."""
        keys = zip(self.sessions.tolist(), self.keyframe_ids.tolist(), strict=True)
        return {KeyframeKey(*key): index for index, key in enumerate(keys)}


def query_key(closure: LoopClosure) -> KeyframeKey:
    """Return the (session, id) of a closure's query."""
    return KeyframeKey(closure.query_session, closure.query_id)


def match_key(closure: LoopClosure) -> KeyframeKey:
    """Return the (session, id) of a closure's match."""
    return KeyframeKey(closure.match_session, closure.match_id)
