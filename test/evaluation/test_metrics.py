"""What metrics.json says about a run whose answer is known."""

import dataclasses
import json

import numpy as np
import pytest

from s3e_gnn_ros.evaluation.closure_error import Tolerance
from s3e_gnn_ros.evaluation.metrics import evaluate, latency, plain
from s3e_gnn_ros.evaluation.summary import summary
from s3e_gnn_ros.geometry.se3 import make_pose
from s3e_gnn_ros.geometry.trajectory import Trajectory

REQUIRED = {
    'ate_rmse_m_odometry',
    'ate_rmse_m_optimised',
    'num_keyframes',
    'num_closures',
    'num_wrong_closures',
    'num_rejected_closures',
    'num_rejected_right_closures',
    'rejections',
    'latency_ms',
}


@pytest.fixture(scope='module')
def evaluation(run):
    return evaluate(run)


def test_the_run_is_measured(evaluation):
    m = evaluation.metrics
    assert m.keys() >= REQUIRED
    assert m['num_keyframes'] == 80
    assert m['num_closures'] == 7
    assert m['num_wrong_closures'] == 0
    assert m['num_closures_same_direction'] == 7
    assert m['rejections'] == {'NO_DB_RESULTS': 40, 'TOO_FEW_INLIERS': 33}
    assert m['path_length_m'] == pytest.approx(319 * 0.25)
    assert m['recording_s'] == pytest.approx(31.9)
    assert m['real_time_factor'] == pytest.approx(31.9 / 8)
    assert m['closure_translation_error_m']['max'] == pytest.approx(0.05)
    assert m['drops'] == {'depth missing': 2}


def test_the_exact_correction_leaves_hardly_an_error(evaluation):
    # Keyframes are exact; between them the odometry's turn of 0.05 deg a frame remains.
    assert evaluation.metrics['ate_rmse_m_optimised'] < 0.002
    assert evaluation.metrics['ate_rmse_m_odometry'] > 0.4
    assert evaluation.metrics['rpe']['odometry']['rotation_rmse_deg'] == pytest.approx(0.2)


def test_the_tolerance_decides_what_is_wrong(run):
    assert evaluate(run, Tolerance(max_wrong_m=0.049)).metrics['num_wrong_closures'] == 7


def test_what_the_back_end_took_out_is_counted_apart(make_run, run):
    wrong = dataclasses.replace(
        run.closures[0], T_match_query=run.closures[0].T_match_query @ make_pose(None, [3.0, 0, 0])
    )
    parts = {'closures': run.closures[2:], 'rejected': [wrong, run.closures[1]]}
    evaluation = evaluate(make_run(**parts))
    m = evaluation.metrics
    assert m['num_closures'] == 5
    assert m['num_wrong_closures'] == 0
    assert m['num_rejected_closures'] == 2
    assert m['num_rejected_right_closures'] == 1
    assert '; 2 more taken out by the back end, 1 of them right' in summary(evaluation)
    blind = evaluate(make_run(**parts, ground_truth=None))
    assert blind.metrics['num_rejected_closures'] == 2
    assert blind.metrics['num_rejected_right_closures'] is None
    assert summary(blind).count('2 more taken out by the back end\n') == 1


def test_without_truth_nothing_is_claimed(make_run):
    m = evaluate(make_run(ground_truth=None)).metrics
    assert m['ate_rmse_m_odometry'] is m['ate_rmse_m_optimised'] is m['ate_ratio'] is None
    assert m['num_wrong_closures'] is None
    assert m['num_unchecked_closures'] == 7
    assert m['ate']['odometry'] == {'unknown_because': 'no ground truth'}
    assert m['rpe'] == {'delta_m': 1.0}


def test_closures_outside_the_truth_are_counted_apart(make_run, run):
    truth = run.ground_truth
    half = Trajectory(truth.stamps_ns[:241], truth.poses[:241])  # up to keyframe 60
    m = evaluate(make_run(ground_truth=half)).metrics
    assert m['num_unchecked_closures'] == 3
    assert m['num_wrong_closures'] == 0


def test_metrics_are_strict_json(evaluation):
    json.dumps(evaluation.metrics, allow_nan=False)


def test_plain_unpacks_numpy_and_drops_nan():
    values = {'a': np.float32(0.5), 'b': [np.int64(3), float('nan')], 'c': {1: np.inf}}
    assert plain(values) == {'a': 0.5, 'b': [3, None], 'c': {'1': None}}


def test_latency_by_hand():
    assert latency([1.0, 2.0, 3.0, 4.0, float('nan')]) == {
        'p50': 2.5,
        'p95': pytest.approx(3.85),
        'mean': 2.5,
        'max': 4.0,
        'count': 4,
    }
    assert latency([])['p50'] is None


def test_summary_says_what_it_bought(evaluation, tmp_path):
    text = summary(evaluation, tmp_path)
    assert '0.473 m -> 0.00' in text
    assert '7 of 80 queries, 0 wrong by more than 0.2 m or 10 deg; 7 in the same' in text
    assert 'NO_DB_RESULTS 40, TOO_FEW_INLIERS 33' in text
    assert str(tmp_path / 'report.html') in text


def test_summary_without_truth_or_closures(make_run):
    text = summary(evaluate(make_run(ground_truth=None, closures=[], queries=[], drops={})))
    assert 'unknown: no ground truth' in text
    assert '0 of 0 queries' in text


def test_a_straight_drive_says_why_it_has_no_ate(make_run):
    stamps = np.arange(10, dtype=np.int64) * 10**8
    path = Trajectory(stamps, np.array([make_pose(None, [x, 0, 0]) for x in range(10)]))
    empty = np.zeros((0, 4, 4))
    ids = np.zeros(0, dtype=np.int64)
    evaluation = evaluate(
        make_run(
            stamps_ns=ids, sessions=ids, keyframe_ids=ids, T_odom_camera=empty,
            T_map_camera=empty, similarity=None, odometry=path, ground_truth=path,
            closures=[], queries=[],
        )
    )  # fmt: skip
    assert evaluation.metrics['ate_rmse_m_odometry'] is None
    assert 'Umeyama' in summary(evaluation)
