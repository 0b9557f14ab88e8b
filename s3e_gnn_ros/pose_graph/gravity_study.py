"""What four degrees of freedom gain: a made-up visual-inertial drive, solved with six and four."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import expmap, inverse
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

_LAP_M = 40.0
_STEP_M = 0.4
_CLIMB_M = 1.5
_SWAY_DEG = 8.0
_YAW_DRIFT_DEG = 0.4  # per step, a random walk
_YAW_BIAS_DEG = 0.05  # per step
_POSITION_DRIFT = 0.015  # of the way
_STEPS_PER_LOOP = 5
_CORRELATION_M = 20.0


@dataclass(frozen=True, eq=False)
class VioDrive:
    """A hand-held camera, round and round over stairs.

    Attributes:
        truth: (N, 4, 4) poses of the optical frame in a world with z up.
        odometry: (N, 4, 4) the same by an odometry that drifts in yaw and position alone.
        closures: with noise in all six degrees, in order of their queries.
    """

    truth: NDArray[np.float64]
    odometry: NDArray[np.float64]
    closures: list[LoopClosure]


def make_drive(
    seed: int, laps: int = 4, loop_deg: float = 1.0, loop_m: float = 0.05, tilt_deg: float = 0.0
) -> VioDrive:
    """Make up a drive.

    Args:
        seed: of sway, drift and noise.
        laps: of 40 m.
        loop_deg: noise of a closure about each axis [deg].
        loop_m: noise of a closure along each axis [m].
        tilt_deg: how far odometry's roll and pitch are off; it wanders within 20 m [deg].
    """
    rng = np.random.default_rng(seed)
    truth = _path(int(laps * _LAP_M / _STEP_M), rng)
    sigmas = np.array([*[np.radians(loop_deg)] * 3, *[loop_m] * 3])
    per_lap = round(_LAP_M / _STEP_M)
    closures = []
    for query in range(per_lap, len(truth), _STEPS_PER_LOOP):
        match = query - per_lap * int(rng.integers(1, query // per_lap + 1))
        noise = expmap(rng.normal(0, sigmas))
        T = inverse(truth[match]) @ truth[query] @ noise
        covariance = np.diag(sigmas**2)
        closures.append(LoopClosure(query, match, 0, 0, 0, 0, T, covariance, 1.0, 50, 0.8))
    odometry = _drifted(truth, rng)
    odometry[:, :3, :3] = _leaning(len(truth), tilt_deg, rng) @ odometry[:, :3, :3]
    return VioDrive(truth, odometry, closures)


def feed(drive: VioDrive, config: PoseGraphConfig) -> PoseGraph:
    """Let a graph grow as the robot drives, and optimise it at the end."""
    graph = PoseGraph(config)
    by_query = {closure.query_id: closure for closure in drive.closures}
    for k, T in enumerate(drive.odometry):
        graph.add_keyframe(KeyframeKey(0, k), k * 10**9, T)
        if k in by_query:
            graph.add_closure(by_query[k])
            graph.update()
    graph.finish()
    return graph


@dataclass(frozen=True)
class Errors:
    """How far poses are from the truth, both from the first pose on.

    Attributes:
        position_m: RMSE of the position [m].
        yaw_deg: RMSE of the yaw [deg].
        tilt_deg: RMSE of the angle between the vertical and where the pose has it [deg].
    """

    position_m: float
    yaw_deg: float
    tilt_deg: float


def errors(poses: NDArray[np.float64], truth: NDArray[np.float64]) -> Errors:
    """Compare poses (N, 4, 4) with the truth (N, 4, 4)."""
    R = poses[:, :3, :3] @ truth[:, :3, :3].swapaxes(1, 2)
    yaw = np.arctan2(R[:, 1, 0] - R[:, 0, 1], R[:, 0, 0] + R[:, 1, 1])
    tilt = np.arccos(np.clip(R[:, 2, 2], -1, 1))
    off_m = np.linalg.norm((poses - truth)[:, :3, 3], axis=1)
    return Errors(_rms(off_m), np.degrees(_rms(yaw)), np.degrees(_rms(tilt)))


def study(
    seeds: Sequence[int] = range(5),
    loop_deg: float = 1.0,
    loop_m: float = 0.05,
    tilt_deg: float = 0.0,
) -> Iterator[tuple[str, Errors]]:
    """Yield, for odometry and for either number of degrees of freedom, the mean over drives."""
    drives = [
        make_drive(seed, loop_deg=loop_deg, loop_m=loop_m, tilt_deg=tilt_deg) for seed in seeds
    ]
    yield 'odometry', _mean([errors(drive.odometry, drive.truth) for drive in drives])
    for degrees in (6, 4):
        config = dataclasses.replace(PoseGraphConfig(), degrees_of_freedom=degrees)
        made = [errors(feed(drive, config).poses(), drive.truth) for drive in drives]
        yield f'{degrees} degrees of freedom', _mean(made)


def table(rows: Iterator[tuple[str, Errors]]) -> str:
    """Return a Markdown table of :func:`study`."""
    lines = ['| | position [m] | yaw [deg] | roll and pitch [deg] |', '|---|---|---|---|']
    for name, each in rows:
        lines.append(
            f'| {name} | {each.position_m:.3f} | {each.yaw_deg:.3f} | {each.tilt_deg:.4f} |'
        )
    return '\n'.join(lines)


def _path(num_poses: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Walk round a circle that climbs and falls, with a hand that sways."""
    heading = 2 * np.pi * _STEP_M / _LAP_M * np.arange(num_poses)
    radius_m = _LAP_M / (2 * np.pi)
    sway = np.radians(_SWAY_DEG) * np.sin(
        0.9 * np.arange(num_poses)[:, None] * rng.uniform(0.2, 1.0, 2) + rng.uniform(0, 6, 2)
    )
    # Optical axes x right, y down, z ahead: from those of a body with x ahead and z up.
    R_body_camera = np.array([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    turns = np.column_stack([heading + np.pi / 2, sway])
    R_world_body = Rotation.from_euler('ZYX', turns).as_matrix()
    poses = np.tile(np.eye(4), (num_poses, 1, 1))
    poses[:, :3, :3] = R_world_body @ R_body_camera
    poses[:, 0, 3], poses[:, 1, 3] = radius_m * np.cos(heading), radius_m * np.sin(heading)
    poses[:, 2, 3] = _CLIMB_M * np.sin(heading)
    return poses


def _drifted(truth: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    num_steps = len(truth) - 1
    step_deg = rng.normal(_YAW_BIAS_DEG, _YAW_DRIFT_DEG, num_steps)
    yaw_deg = np.concatenate([[0.0], np.cumsum(step_deg)])
    turns = Rotation.from_euler('z', yaw_deg[:, None], degrees=True).as_matrix()
    odometry = truth.copy()
    odometry[:, :3, :3] = turns @ truth[:, :3, :3]
    steps = (turns[:-1] @ np.diff(truth[:, :3, 3:], axis=0))[..., 0]
    steps += rng.normal(0, _POSITION_DRIFT * _STEP_M, steps.shape)
    odometry[1:, :3, 3] = truth[0, :3, 3] + np.cumsum(steps, axis=0)
    return odometry


def _leaning(num_poses: int, tilt_deg: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return rotations (N, 3, 3) about horizontal axes, of a wandering angle."""
    keep = np.exp(-_STEP_M / _CORRELATION_M)
    lean = np.zeros((num_poses, 3))
    for k in range(1, num_poses):
        news = rng.normal(0, np.radians(tilt_deg) * np.sqrt(1 - keep**2), 2)
        lean[k, :2] = keep * lean[k - 1, :2] + news
    return np.asarray(Rotation.from_rotvec(lean).as_matrix())


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _mean(made: Sequence[Errors]) -> Errors:
    columns = np.array([dataclasses.astuple(each) for each in made])
    return Errors(*columns.mean(axis=0).tolist())
