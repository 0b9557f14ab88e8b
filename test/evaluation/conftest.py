"""A drive twice round a 10 m square whose odometry turns a little too far, put right exactly."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.evaluation.result import InlierMatches, ReplayResult
from s3e_gnn_ros.geometry.se3 import inverse, make_pose
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import Candidate, LoopClosure, LoopQuery, Status

SIDE_M = 10.0
STEP_M = 0.25
FRAMES_PER_LAP = int(4 * SIDE_M / STEP_M)
FRAMES_PER_KEYFRAME = 4
START_NS = 1_700_000_000_000_000_000
# Optical axes (x right, y down, z forward) in a body with x forward, y left, z up.
R_BODY_CAMERA = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])


def square(num_frames: int) -> np.ndarray:
    """Return T_world_camera (N, 4, 4) along the square, counter-clockwise, 0.25 m a frame."""
    distance = np.arange(num_frames) * STEP_M
    side, along = np.divmod(distance, SIDE_M)
    yaw = side % 4 * np.pi / 2
    starts = np.array([[0, 0], [SIDE_M, 0], [SIDE_M, SIDE_M], [0, SIDE_M]])
    poses = np.tile(np.eye(4), (num_frames, 1, 1))
    heading = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    poses[:, :2, 3] = starts[side.astype(int) % 4] + along[:, None] * heading
    poses[:, :3, :3] = Rotation.from_euler('z', yaw[:, None]).as_matrix() @ R_BODY_CAMERA
    return poses


def drifted(poses: np.ndarray, yaw_deg: float) -> np.ndarray:
    """Turn every step by a little about the camera's vertical axis."""
    steps = inverse(poses[:-1]) @ poses[1:]
    turn = make_pose(Rotation.from_euler('y', yaw_deg, degrees=True).as_matrix())
    out = [poses[0]]
    for step in steps:
        out.append(out[-1] @ step @ turn)
    return np.array(out)


def make_closure(
    truth: Trajectory, stamps_ns: np.ndarray, query: int, match: int, error: np.ndarray
) -> LoopClosure:
    """Close keyframe ``query`` on ``match``, off by the transform ``error``."""
    T_world_query = truth.at(int(stamps_ns[query]))
    T_world_match = truth.at(int(stamps_ns[match]))
    return LoopClosure(
        query_id=query,
        match_id=match,
        query_session=0,
        match_session=0,
        query_stamp_ns=int(stamps_ns[query]),
        match_stamp_ns=int(stamps_ns[match]),
        T_match_query=inverse(T_world_match) @ T_world_query @ error,
        covariance=np.eye(6) * 1e-4,
        similarity=0.5,
        num_inliers=60,
        inlier_ratio=0.75,
    )


def textured(seed: int) -> np.ndarray:
    """Return a small BGR picture."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 255, (12, 16, 3)), np.ones((20, 20, 1))).astype(np.uint8)


def make_result(**changes: object) -> ReplayResult:
    """Build the run; ``changes`` replaces fields."""
    num_frames = 2 * FRAMES_PER_LAP
    stamps = START_NS + np.arange(num_frames, dtype=np.int64) * 100_000_000
    truth = Trajectory(stamps, square(num_frames))
    odometry = Trajectory(stamps, drifted(truth.poses, 0.05))
    rows = np.arange(0, num_frames, FRAMES_PER_KEYFRAME)
    K = len(rows)
    closures = [
        make_closure(truth, stamps[rows], i, i - 40, make_pose(translation=[0.03, 0.0, 0.04]))
        for i in range(45, K, 5)
    ]
    queries = [
        LoopQuery(i, 0, int(stamps[row]), Status.NO_DB_RESULTS) for i, row in enumerate(rows[:40])
    ]
    by_query = {closure.query_id: closure for closure in closures}
    for i in range(40, K):
        closure = by_query.get(i)
        status = Status.TOO_FEW_INLIERS if closure is None else Status.LOOP_DETECTED
        candidate = Candidate(i - 40, 0, 0.5)
        queries.append(LoopQuery(i, 0, int(stamps[rows[i]]), status, (candidate,), closure))
    rng = np.random.default_rng(3)
    fields = {
        'name': 'square <two laps>',
        'stamps_ns': stamps[rows],
        'sessions': np.zeros(K, dtype=np.int64),
        'keyframe_ids': np.arange(K),
        'T_odom_camera': odometry.poses[rows],
        'T_map_camera': truth.poses[rows],
        'odometry': odometry,
        'queries': queries,
        'closures': closures,
        'config': Config(),
        'ground_truth': truth,
        'similarity': synthetic_similarity(K, rng),
        'images': {(0, i): textured(i % 40) for i in range(K)},
        'inliers': {
            ((0, c.query_id), (0, c.match_id)): InlierMatches(
                *(2 * [rng.uniform((0, 0), (640, 480), (60, 2))]), (640, 480)
            )
            for c in closures
        },
        'stage_ms': {
            name: rng.gamma(9, scale, K)
            for name, scale in (('features', 1.2), ('retrieval', 0.1), ('verification', 2.5))
        },
        'g2o': 'VERTEX_SE3:QUAT 0 0 0 0 0 0 0 1\n',
        'drops': Counter({'depth missing': 2}),
        'notes': ['Odometry turned by 0.05 deg per frame.'],
        'wall_s': 8.0,
    }
    return ReplayResult(**{**fields, **changes})


def synthetic_similarity(K: int, rng: np.random.Generator) -> np.ndarray:
    """Return a (K, K) matrix with a bright diagonal one lap back."""
    rows, columns = np.mgrid[:K, :K]
    matrix = 0.05 * rng.random((K, K)) + 0.4 * np.exp(-(((rows - columns - 40) / 2.0) ** 2))
    matrix[columns > rows - 10] = np.nan
    return matrix.astype(np.float32)


@pytest.fixture(scope='session')
def run() -> ReplayResult:
    """Return the run; nobody changes it."""
    return make_result()


@pytest.fixture(scope='session')
def make_run():
    """Return the builder, for runs that differ in a field."""
    return make_result
