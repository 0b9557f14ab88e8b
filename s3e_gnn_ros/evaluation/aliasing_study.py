"""Many loops of a recording take one room for another: what the back end makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.evaluation.correction import corrected_trajectory
from s3e_gnn_ros.evaluation.replay import replay_offline
from s3e_gnn_ros.evaluation.result import ReplayResult
from s3e_gnn_ros.evaluation.trajectory_error import absolute_error
from s3e_gnn_ros.geometry.se3 import Pose, inverse, make_pose
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

Spread = Literal['candidates', 'passages']
"""Which loops of a passage through an aliased room are replaced: every other one, or all."""

_PASSAGE_KEYFRAMES = (5, 15)
_MIN_ROOM_DISTANCE_M = 4.0
_MAX_MATCH_DISTANCE_M = 2.0
_MIN_AGE = 8
"""Keyframes between query and match, as in ``retrieval.min_keyframe_gap``."""
_TRIES = 2000


@dataclass(frozen=True, eq=False)
class Passages:
    """A drive with loops; K keyframes, L loops in the order in which they came.

    Attributes:
        result: the run that they are from.
        truth: (K, 4, 4) T_world_camera of the keyframes, z up.
        closures: the loops.
        rows: (L, 2) keyframes of match and query.
        is_wrong: (L,) which of them take one room for another.
    """

    result: ReplayResult
    truth: NDArray[np.float64]
    closures: list[LoopClosure]
    rows: NDArray[np.int64]
    is_wrong: NDArray[np.bool_]


@dataclass(frozen=True)
class AliasedRun:
    """What came of one drive.

    Attributes:
        recording: name.
        spread: see :data:`Spread`.
        seed: of the rooms.
        num_wrong: loops replaced.
        wrong_in: share of them in the graph at the end.
        right_in: share of the others in it.
        ate_m: ATE [m].
        clean_m: ATE of the run in which all loops are right [m].
        spared_m: ATE of the run that never had the wrong ones [m].
    """

    recording: str
    spread: Spread
    seed: int
    num_wrong: int
    wrong_in: float
    right_in: float
    ate_m: float
    clean_m: float
    spared_m: float


def study(
    paths: Sequence[Path],
    seeds: Sequence[int] = (0, 1, 2),
    share: float = 1 / 3,
    config: Config | None = None,
) -> Iterator[AliasedRun]:
    """Replay recordings, replace a share of their loops, and let the graph grow again.

    Args:
        paths: recordings with depth, odometry and ground truth, z up.
        seeds: of the rooms that are taken for others.
        share: of the loops to replace.
        config: of replay and pose graph; the defaults when None.

    Raises:
        RecordingError: a recording cannot be read, has no ground truth or too few loops.
    """
    config = Config() if config is None else config
    for path in paths:
        recording = open_recording(path)
        result = replay_offline(
            recording.name,
            recording.frames(),
            config,
            recording.ground_truth,
            recording.drops,
            recording.notes,
        )
        clean = passages(result)
        clean_m = _ate_m(clean, config)[0]
        for spread in ('candidates', 'passages'):
            for seed in seeds:
                drive = mistaken(clean, spread, share, np.random.default_rng(seed))
                yield _run(drive, spread, seed, clean_m, config)


def table(runs: Iterator[AliasedRun]) -> str:
    """Return a Markdown table."""
    lines = [
        '| recording | replaced | seed | wrong loops | wrong in | right in | ATE [mm] '
        '| over that with all right | over that without the wrong ones |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for run in runs:
        lines.append(
            f'| {run.recording} | {run.spread} | {run.seed} | {run.num_wrong} '
            f'| {run.wrong_in:.3f} | {run.right_in:.3f} | {1e3 * run.ate_m:.1f} '
            f'| {run.ate_m / run.clean_m:.2f} | {run.ate_m / run.spared_m:.3f} |'
        )
    return '\n'.join(lines)


def passages(result: ReplayResult) -> Passages:
    """Return the right loops of a run.

    Raises:
        RecordingError: the run has no ground truth.
    """
    if result.ground_truth is None:
        raise RecordingError(f"recording '{result.name}' has no ground truth")
    truth = [result.ground_truth.at(int(stamp)) for stamp in result.stamps_ns]
    if any(pose is None for pose in truth):
        raise RecordingError(f"recording '{result.name}' has keyframes without ground truth")
    closures = list(result.closures)
    keys = zip(result.sessions.tolist(), result.keyframe_ids.tolist(), strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    rows = np.array(
        [
            (row_of[c.match_session, c.match_id], row_of[c.query_session, c.query_id])
            for c in closures
        ]
    ).reshape(-1, 2)
    return Passages(result, np.array(truth), closures, rows, np.zeros(len(closures), bool))


def mistaken(clean: Passages, spread: Spread, share: float, rng: np.random.Generator) -> Passages:
    """Replace a share of the loops by ones that take one room for another.

    A passage of 5 to 15 keyframes through one room is taken for a passage through another one:
    one motion in the world carries the first room to the second, and the loops tie the queries to
    keyframes there as if they had been carried along, each with the error that it had before. So
    the wrong loops of a passage agree with one another to the last centimetre.

    Args:
        clean: right loops.
        spread: of the loops of a passage, which are replaced.
        share: of all loops that is to be wrong.
        rng: chooses rooms and passages.

    Raises:
        RecordingError: there are too few loops.
    """
    drive = replace(
        clean,
        closures=list(clean.closures),
        rows=clean.rows.copy(),
        is_wrong=clean.is_wrong.copy(),
    )
    for _ in range(_TRIES):
        if drive.is_wrong.sum() >= share * len(drive.closures):
            return drive
        _mistake_a_room(drive, spread, rng)
    raise RecordingError(
        f"recording '{clean.result.name}' has too few loops to replace {share:.0%}"
    )


def _mistake_a_room(drive: Passages, spread: Spread, rng: np.random.Generator) -> None:
    start = int(rng.integers(len(drive.truth)))
    end = start + int(rng.integers(*_PASSAGE_KEYFRAMES))
    chosen = (drive.rows[:, 1] >= start) & (drive.rows[:, 1] < end) & ~drive.is_wrong
    if spread == 'candidates':
        chosen &= np.arange(len(chosen)) % 2 == 0
    T_world_from, T_world_to = drive.truth[start], drive.truth[int(rng.integers(len(drive.truth)))]
    if np.linalg.norm(T_world_to[:3, 3] - T_world_from[:3, 3]) < _MIN_ROOM_DISTANCE_M:
        return
    T_room_twin = _planar(T_world_to, T_world_from)
    taken = {tuple(pair) for pair in drive.rows.tolist()}
    for k in np.flatnonzero(chosen).tolist():
        match, query = drive.rows[k].tolist()
        T_world_taken = T_room_twin @ drive.truth[query]
        twin = _nearest(drive.truth[: max(query - _MIN_AGE, 0)], T_world_taken)
        if twin is None or (twin, query) in taken:
            continue
        taken.add((twin, query))
        closure = drive.closures[k]
        error = inverse(drive.truth[query]) @ drive.truth[match] @ closure.T_match_query
        drive.closures[k] = replace(
            closure,
            match_session=int(drive.result.sessions[twin]),
            match_id=int(drive.result.keyframe_ids[twin]),
            T_match_query=inverse(drive.truth[twin]) @ T_world_taken @ error,
        )
        drive.rows[k] = twin, query
        drive.is_wrong[k] = True


def _planar(T_world_to: Pose, T_world_from: Pose) -> Pose:
    """Return the motion about the vertical that carries one place onto another."""
    R = T_world_to[:3, :3] @ T_world_from[:3, :3].T
    yaw = np.arctan2(R[1, 0] - R[0, 1], R[0, 0] + R[1, 1])
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    return make_pose(turn, T_world_to[:3, 3] - turn @ T_world_from[:3, 3])


def _nearest(truth: NDArray[np.float64], T: Pose) -> int | None:
    """Return the row of the pose nearest to a place; None where all are too far."""
    if len(truth) == 0:
        return None
    distances_m = np.linalg.norm(truth[:, :3, 3] - T[:3, 3], axis=1)
    row = int(distances_m.argmin())
    return row if distances_m[row] < _MAX_MATCH_DISTANCE_M else None


def _run(drive: Passages, spread: Spread, seed: int, clean_m: float, config: Config) -> AliasedRun:
    ate_m, is_in = _ate_m(drive, config)
    kept = ~drive.is_wrong
    spared = replace(
        drive,
        closures=[drive.closures[k] for k in np.flatnonzero(kept)],
        rows=drive.rows[kept],
        is_wrong=drive.is_wrong[kept],
    )
    return AliasedRun(
        drive.result.name,
        spread,
        seed,
        int(drive.is_wrong.sum()),
        float(is_in[drive.is_wrong].mean()),
        float(is_in[kept].mean()),
        ate_m,
        clean_m,
        _ate_m(spared, config)[0],
    )


def _ate_m(drive: Passages, config: Config) -> tuple[float, NDArray[np.bool_]]:
    """Let the graph grow as the robot drives; returns ATE [m] and which loops (L,) are in."""
    result = drive.result
    graph = PoseGraph(config.pose_graph)
    for row, T in enumerate(result.T_odom_camera):
        key = KeyframeKey(int(result.sessions[row]), int(result.keyframe_ids[row]))
        graph.add_keyframe(key, int(result.stamps_ns[row]), T)
        for k in np.flatnonzero(drive.rows[:, 1] == row):
            graph.add_closure(drive.closures[k])
        graph.update()
    graph.finish()
    inside = {(edge.i, edge.j) for edge in graph.closure_edges}
    ends = [
        (KeyframeKey(c.match_session, c.match_id), KeyframeKey(c.query_session, c.query_id))
        for c in drive.closures
    ]
    estimate = corrected_trajectory(
        result.odometry, result.stamps_ns, result.T_odom_camera, graph.poses(), result.sessions
    )
    assert result.ground_truth is not None
    error = absolute_error(result.ground_truth, estimate)
    if isinstance(error, str):
        raise RecordingError(f"recording '{result.name}': {error}")
    return error.rmse_m, np.array([pair in inside for pair in ends])
