"""Loops that take one room for another."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from aliased import make_drive

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.evaluation.aliasing_study import (
    Passages,
    Spread,
    _run,
    mistaken,
    passages,
    table,
)
from s3e_gnn_ros.evaluation.result import ReplayResult
from s3e_gnn_ros.geometry.se3 import inverse, rotation_angle_deg, translation_m
from s3e_gnn_ros.geometry.trajectory import Trajectory


def made_up(num_keyframes: int = 120) -> ReplayResult:
    """Three laps with a loop at every keyframe of the last two, all right."""
    drive = make_drive(1, laps=3, per_lap=num_keyframes // 3)
    stamps_ns = np.arange(num_keyframes) * 10**9
    return ReplayResult(
        name='made up',
        stamps_ns=stamps_ns,
        sessions=np.zeros(num_keyframes, np.int64),
        keyframe_ids=np.arange(num_keyframes),
        T_odom_camera=drive.odometry,
        T_map_camera=drive.odometry,
        odometry=Trajectory(stamps_ns, drive.odometry),
        queries=[],
        closures=drive.closures,
        config=Config(),
        ground_truth=Trajectory(stamps_ns, drive.truth),
    )


def errors_m(drive: Passages) -> np.ndarray:
    """Return how far (L,) the loops are off the truth."""
    match, query = drive.truth[drive.rows[:, 0]], drive.truth[drive.rows[:, 1]]
    T = np.array([closure.T_match_query for closure in drive.closures])
    return np.array([translation_m(each) for each in inverse(T) @ inverse(match) @ query])


@pytest.mark.parametrize('spread', ['candidates', 'passages'])
def test_a_third_is_wrong_and_looks_right(spread: Spread) -> None:
    """Each ties the query to an older keyframe nearby in the other room."""
    clean = passages(made_up())
    assert errors_m(clean).max() < 0.1
    drive = mistaken(clean, spread, 1 / 3, np.random.default_rng(0))
    assert 1 / 3 <= drive.is_wrong.mean() < 0.5
    assert errors_m(drive)[drive.is_wrong].min() > 1.0
    assert errors_m(drive)[~drive.is_wrong].max() < 0.1
    for closure, (match, query) in zip(drive.closures, drive.rows.tolist(), strict=True):
        assert (closure.match_id, closure.query_id) == (match, query)
        assert match < query
        assert translation_m(closure.T_match_query) < 2.2
    assert not clean.is_wrong.any()
    assert errors_m(clean).max() < 0.1


def test_neighbours_in_one_passage_agree_on_where_the_other_room_is() -> None:
    drive = mistaken(passages(made_up()), 'passages', 0.05, np.random.default_rng(0))
    wrong = np.flatnonzero(drive.is_wrong)
    match, query = drive.truth[drive.rows[wrong, 0]], drive.truth[drive.rows[wrong, 1]]
    T = np.array([drive.closures[k].T_match_query for k in wrong])
    T_room_twin = match @ T @ inverse(query)
    first = T_room_twin[:1]
    apart = inverse(first) @ T_room_twin
    assert len(wrong) >= 4
    assert max(translation_m(each) for each in apart) < 0.3
    assert max(rotation_angle_deg(each) for each in apart) < 3.0


def test_the_graph_leaves_them_out() -> None:
    config = Config()
    clean = passages(made_up())
    drive = mistaken(clean, 'candidates', 1 / 3, np.random.default_rng(0))
    run = _run(drive, 'candidates', 0, 0.02, config)
    assert run.wrong_in == 0
    assert run.right_in > 0.95
    assert run.ate_m <= 1.05 * run.spared_m
    assert '| made up | candidates | 0 |' in table(iter([run]))


def test_too_few_loops() -> None:
    clean = passages(made_up())
    first = dataclasses.replace(clean, truth=clean.truth[:1])
    with pytest.raises(RecordingError, match=r"'made up' has too few loops to replace 33%"):
        mistaken(first, 'passages', 1 / 3, np.random.default_rng(0))
    with pytest.raises(RecordingError, match='no ground truth'):
        passages(dataclasses.replace(made_up(), ground_truth=None))
