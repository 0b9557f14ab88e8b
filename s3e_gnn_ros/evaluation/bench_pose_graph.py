"""Run time of the pose graph for each pose of a long drive with many loops."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.data.drift import DriftModel, drift
from s3e_gnn_ros.evaluation.bench_timing import Timing, measure
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

_POSES_PER_LAP = 100
_LAP_RADIUS_M = 5.0
_PACE_NS = 500_000_000
_POSES_PER_LOOP = 10
_POSES_PER_WRONG = 100
_FURTHER = 20
_NEVER = 1_000_000
_POSES_PER_UPDATE = 50
_SIGMAS = np.array([*[np.radians(0.5)] * 3, *[0.02] * 3])  # of a closure [rad, m]
_DRIFT = DriftModel(translation=0.015, scale=0.015, rotation_deg=0.06, yaw_deg=1.0)


def make_drive(num_poses: int, per_lap: int = _POSES_PER_LAP) -> Trajectory:
    """Drive round in circles of 5 m, looking ahead: T_world_camera of so many poses a lap."""
    heading = np.arange(num_poses) * 2 * np.pi / per_lap
    poses = np.tile(np.eye(4), (num_poses, 1, 1))
    cos, sin, zero = np.cos(heading), np.sin(heading), np.zeros(num_poses)
    # Optical axes in a world with z up: x to the right, y down, z ahead.
    poses[:, :3, 0] = np.stack([sin, -cos, zero], axis=1)
    poses[:, 2, 1], poses[:, 1, 1] = -1.0, 0.0
    poses[:, :3, 2] = np.stack([cos, sin, zero], axis=1)
    poses[:, :3, 3] = _LAP_RADIUS_M * np.stack([sin, -cos, zero], axis=1)
    return Trajectory(np.arange(num_poses, dtype=np.int64) * _PACE_NS, poses)


def make_closures(
    truth: Trajectory, rng: np.random.Generator, per_lap: int = _POSES_PER_LAP
) -> dict[int, LoopClosure]:
    """Close a loop at every tenth pose with one near it in an earlier lap, by query."""
    closures = {}
    for query in range(per_lap + 2, len(truth), _POSES_PER_LOOP):
        laps = int(rng.integers(1, query // per_lap + 1))
        match = max(0, query - laps * per_lap + int(rng.integers(-2, 3)))
        T_match_query = se3.inverse(truth.poses[match]) @ truth.poses[query]
        noise = se3.expmap(_SIGMAS * rng.standard_normal(6))
        closures[query] = _closure(truth, match, query, T_match_query @ noise)
    return closures


def _closure(truth: Trajectory, match: int, query: int, T: NDArray[np.float64]) -> LoopClosure:
    return LoopClosure(
        query_id=query,
        match_id=match,
        query_session=0,
        match_session=0,
        query_stamp_ns=int(truth.stamps_ns[query]),
        match_stamp_ns=int(truth.stamps_ns[match]),
        T_match_query=T,
        covariance=np.diag(_SIGMAS**2),
        similarity=1.0,
        num_inliers=100,
        inlier_ratio=1.0,
    )


def time_drive(num_poses: int, config: PoseGraphConfig, seed: int) -> Timing:
    """Add a made-up drive to the pose graph, pose by pose.

    Args:
        num_poses: at least 1.
        config: noise and solver.
        seed: of drift, loops and their noise.

    Returns:
        The time of each pose, with its closure and the update.

    Raises:
        InputError: the graph cannot be solved.
    """
    truth = make_drive(num_poses)
    odometry = drift(truth, dataclasses.replace(_DRIFT, seed=seed))
    closures = make_closures(truth, np.random.default_rng(seed))
    graph = PoseGraph(config)

    def add(index: int) -> None:
        stamp_ns, pose = int(odometry.stamps_ns[index]), odometry.poses[index]
        graph.add_keyframe(KeyframeKey(0, index), stamp_ns, pose)
        if index in closures:
            graph.add_closure(closures[index])
        graph.update()

    samples_ms = np.array([measure(partial(add, i)) for i in range(num_poses)])
    return Timing(f'add pose of {num_poses:,} made up', samples_ms)


def time_sizes(sizes: Sequence[int], config: PoseGraphConfig, seed: int) -> list[Timing]:
    """Time a graph of each size as a whole, and its next pose.

    Args:
        sizes: numbers of poses; one closure to ten poses.
        config: noise and solver.
        seed: of drift, loops and their noise.

    Returns:
        For each size the update by one more pose with a closure, solving everything at once, and
        the judgement of all closures by PCM and by GNC, a tenth of them wrong.

    Raises:
        InputError: the graph cannot be solved.
    """
    return [timing for size in sizes for timing in _time_size(size, config, seed)]


def _time_size(num_poses: int, config: PoseGraphConfig, seed: int) -> list[Timing]:
    plain = dataclasses.replace(config, pcm=False, gnc=False)
    pcm = dataclasses.replace(config, pcm=True, gnc=False, check_interval=_NEVER)
    gnc = dataclasses.replace(config, pcm=False, gnc=True, check_interval=_NEVER)
    growing = Growing(num_poses + _FURTHER, PoseGraph(plain), seed)
    growing.add(num_poses)
    timings: list[tuple[str, list[float]]] = [
        ('update of', [measure(partial(growing.add, 1)) for _ in range(_FURTHER)]),
        ('solve all of', [measure(growing.graph.finish)]),
    ]
    for name, settings in (('PCM of', pcm), ('GNC of', gnc)):
        graph = PoseGraph(settings)
        whole = Growing(num_poses, graph, seed, _POSES_PER_WRONG)
        whole.add(num_poses)
        timings.append((name, [measure(graph.judge)]))
    return [Timing(f'{name} {num_poses:,} poses', np.array(ms)) for name, ms in timings]


class Growing:
    """A made-up drive that goes on as far as it is told to.

    Attributes:
        graph: what it adds to.

    Args:
        num_poses: of the whole drive.
        graph: still empty.
        seed: of drift, loops and their noise.
        every_wrong: a closure of each so many poses is wrong; 0 for none.
    """

    def __init__(
        self, num_poses: int, graph: PoseGraph | RemoteGraph, seed: int, every_wrong: int = 0
    ) -> None:
        per_lap = min(_POSES_PER_LAP, max(4, num_poses // 4))
        truth = make_drive(num_poses, per_lap)
        self.graph = graph
        self._odometry = drift(truth, dataclasses.replace(_DRIFT, seed=seed))
        self._closures = make_closures(truth, np.random.default_rng(seed), per_lap)
        for query in list(self._closures)[:: max(1, every_wrong // _POSES_PER_LOOP)]:
            if every_wrong:
                self._closures[query] = _elsewhere(self._closures[query])

    @property
    def newest(self) -> KeyframeKey:
        """The keyframe that came last."""
        return KeyframeKey(0, len(self.graph) - 1)

    def add(self, count: int) -> None:
        """Add so many poses with their closures, and solve, now and then on the way too."""
        start = len(self.graph)
        for index in range(start, start + count):
            stamp_ns, pose = int(self._odometry.stamps_ns[index]), self._odometry.poses[index]
            self.graph.add_keyframe(KeyframeKey(0, index), stamp_ns, pose)
            if index in self._closures:
                self.graph.add_closure(self._closures[index])
            if index % _POSES_PER_UPDATE == 0:
                self.graph.update()
        self.graph.update()


def _elsewhere(closure: LoopClosure) -> LoopClosure:
    T = closure.T_match_query @ se3.make_pose(translation=[3.0, 0.0, 0.0])
    return dataclasses.replace(closure, T_match_query=T)
