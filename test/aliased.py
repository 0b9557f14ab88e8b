"""A robot in a building of equal rooms: graphs whose wrong closures agree among themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import expmap, inverse, make_pose
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.loops import Loops
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

SIGMAS = np.array([0.005] * 3 + [0.015] * 3)
STEP_M = 0.5


@dataclass(eq=False)
class Drive:
    """Laps through the rooms.

    Attributes:
        truth: (N, 4, 4) poses.
        odometry: (N, 4, 4) drifting poses.
        closures: in order of their queries.
        is_wrong: one per closure.
    """

    truth: np.ndarray
    odometry: np.ndarray
    closures: list[LoopClosure]
    is_wrong: np.ndarray


def make_drive(seed: int, laps: int = 3, per_lap: int = 40, wrong: float = 0.0) -> Drive:
    """Drive round and round, and close a loop at every pose of all laps but the first.

    Args:
        seed: of drift, noise, and of what is taken for what.
        laps: number of laps.
        per_lap: poses of each.
        wrong: share of the closures to replace by runs of 3 to 10 successive ones that take one
            room for another, all off by the same motion in the world, as equal rooms make them.
    """
    rng = np.random.default_rng(seed)
    step = make_pose(translation=[STEP_M, 0, 0]) @ expmap([0, 0, 2 * np.pi / per_lap, 0, 0, 0])
    truth = [np.eye(4)]
    odometry = [np.eye(4)]
    for _ in range(laps * per_lap - 1):
        truth.append(truth[-1] @ step)
        noise = expmap(rng.normal([0, 0, 0.003, 0.005, 0, 0], [0.005] * 3 + [0.01] * 3))
        odometry.append(odometry[-1] @ step @ noise)
    pairs = [
        (query - per_lap * int(rng.integers(1, query // per_lap + 1)), query)
        for query in range(per_lap, len(truth))
    ]
    drive = Drive(np.array(truth), np.array(odometry), [], np.zeros(len(pairs), bool))
    drive.closures = [make_closure(drive.truth, *pair, rng) for pair in pairs]
    while drive.is_wrong.sum() < wrong * len(pairs):
        _mistake_a_room(drive, rng)
    return drive


def make_closure(truth: np.ndarray, match: int, query: int, rng: np.random.Generator):
    """Close a loop between two poses, off by noise of the stated covariance."""
    T = inverse(truth[match]) @ truth[query] @ expmap(rng.normal(0, SIGMAS))
    return LoopClosure(
        query, match, 0, 0, 0, 0, T, np.diag(SIGMAS**2), 0.5, num_inliers=50, inlier_ratio=0.8
    )


def _mistake_a_room(drive: Drive, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(drive.closures)))
    run = range(start, min(start + int(rng.integers(3, 11)), len(drive.closures)))
    turn = expmap([0, 0, rng.choice([0.0, np.pi]), 0, 0, 0])
    T_twin_room = make_pose(turn[:3, :3], [*rng.uniform(-4, 4, 2), 0])
    for k in run:
        closure = drive.closures[k]
        T_world_match = drive.truth[closure.match_id]
        T_wrong = inverse(T_world_match) @ T_twin_room @ drive.truth[closure.query_id]
        T_wrong = T_wrong @ expmap(rng.normal(0, SIGMAS))
        drive.closures[k] = replace(closure, T_match_query=T_wrong)
        drive.is_wrong[k] = True


def feed(drive: Drive, config: PoseGraphConfig) -> PoseGraph:
    """Let a graph grow as the robot drives, solved after each pose."""
    graph = PoseGraph(config)
    by_query: dict[int, LoopClosure] = {c.query_id: c for c in drive.closures}
    for k, T in enumerate(drive.odometry):
        graph.add_keyframe(KeyframeKey(0, k), k * 10**9, T)
        if k in by_query:
            graph.add_closure(by_query[k])
        graph.update()
    return graph


def rms_m(poses: np.ndarray, truth: np.ndarray) -> float:
    """Return the RMSE of the positions; both begin at the identity."""
    return float(np.sqrt(np.mean(np.sum((poses - truth)[:, :3, 3] ** 2, axis=1))))


def chain(odometry: np.ndarray, sigmas: np.ndarray = SIGMAS):
    """Return parents, T_parent_child and covariances of one unbroken chain."""
    N = len(odometry)
    T = np.concatenate([np.eye(4)[None], inverse(odometry[:-1]) @ odometry[1:]])
    return np.arange(N) - 1, T, np.tile(np.diag(sigmas**2), (N, 1, 1))


def columns(drive: Drive) -> Loops:
    """Return the closures as columns."""
    return Loops(
        np.array([c.match_id for c in drive.closures]),
        np.array([c.query_id for c in drive.closures]),
        np.array([c.T_match_query for c in drive.closures]),
        np.array([c.covariance for c in drive.closures]),
    )
