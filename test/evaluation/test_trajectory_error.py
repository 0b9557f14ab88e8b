"""ATE and RPE against figures worked out by hand, and against evo's own commands."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.evaluation.files import tum_text
from s3e_gnn_ros.evaluation.trajectory_error import absolute_error, relative_error
from s3e_gnn_ros.geometry.se3 import expmap, make_pose
from s3e_gnn_ros.geometry.trajectory import Trajectory

CORNERS = np.array([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])


def path(points, start_ns=10**18, step_ns=10**8):
    stamps = start_ns + np.arange(len(points), dtype=np.int64) * step_ns
    return Trajectory(stamps, np.array([make_pose(None, p) for p in points]))


def test_a_rigid_motion_is_no_error():
    truth = path(CORNERS)
    T = expmap([0.3, -0.2, 1.0, 5, 6, 7])
    error = absolute_error(truth, Trajectory(truth.stamps_ns, T @ truth.poses))
    assert error.rmse_m == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(error.T_truth_estimate @ T, np.eye(4), atol=1e-9)


def test_scale_is_not_aligned_away():
    error = absolute_error(path(CORNERS), path(CORNERS * 1.1))
    assert error.rmse_m == pytest.approx(0.1 * np.sqrt(2))
    assert error.max_m == pytest.approx(0.1 * np.sqrt(2))


def test_statistics_by_hand():
    # Up and down by 0.1 and 0.3 m in turn about the plane: no tilt or shift makes it smaller.
    points = np.concatenate((CORNERS, CORNERS))
    heights = np.array([0.1, -0.1, 0.1, -0.1, -0.3, 0.3, -0.3, 0.3])
    error = absolute_error(path(points), path(points + np.outer(heights, [0, 0, 1])))
    assert error.mean_m == pytest.approx(0.2)
    assert error.median_m == pytest.approx(0.2)
    assert error.max_m == pytest.approx(0.3)
    assert error.rmse_m == pytest.approx(np.sqrt(0.05))


def test_poses_without_a_true_one_are_left_out():
    truth = path(CORNERS)
    late = path([*CORNERS, [50.0, 50, 50]])
    error = absolute_error(truth, late)
    assert len(error.errors_m) == 4
    assert error.rmse_m == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ('truth', 'estimate', 'reason'),
    [
        (path(CORNERS[:2]), path(CORNERS), '2 true and 4 estimated poses are too few'),
        (path(CORNERS), path(CORNERS, start_ns=2 * 10**18), 'matching'),
        (path([[x, 0, 0] for x in range(5)]), path([[x, 0, 0] for x in range(5)]), 'egenerate'),
    ],
)
def test_what_cannot_be_measured_says_why(truth, estimate, reason):
    error = absolute_error(truth, estimate)
    assert isinstance(error, str)
    assert reason in error


def test_drift_per_metre_by_hand():
    truth = path([[0.25 * i, 0, 0] for i in range(17)])  # 4 m
    longer = path([[0.25 * i * 1.02, 0, 0] for i in range(17)])  # 2 % too long
    error = relative_error(truth, longer)
    assert error.num_pairs == 4
    assert error.translation_rmse_m == pytest.approx(0.02)
    assert error.rotation_rmse_deg == pytest.approx(0, abs=1e-6)


def test_rotation_per_metre_by_hand():
    truth = path([[0.5 * i, 0, 0] for i in range(9)])
    poses = truth.poses.copy()
    turns = Rotation.from_euler('x', np.arange(9)[:, None] * 1.5, degrees=True)
    poses[:, :3, :3] = turns.as_matrix()
    error = relative_error(truth, Trajectory(truth.stamps_ns, poses))
    assert error.rotation_rmse_deg == pytest.approx(3.0)


def test_too_short_for_a_pair_says_why():
    assert isinstance(relative_error(path(CORNERS * 0.01), path(CORNERS * 0.01)), str)


@pytest.mark.parametrize(
    ('command', 'measure'),
    [
        (['evo_ape', '-a'], lambda t, e: absolute_error(t, e).rmse_m),
        (
            ['evo_rpe', '-d', '1', '-u', 'm', '--pairs_from_reference'],
            lambda t, e: relative_error(t, e).translation_rmse_m,
        ),
    ],
)
def test_a_strangers_evo_gives_the_same(run, tmp_path, command, measure):
    name, *options = command
    program = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if program is None:
        pytest.skip(f'{name} is not installed')
    truth, estimate = tmp_path / 'groundtruth.tum', tmp_path / 'trajectory.tum'
    truth.write_text(tum_text(run.ground_truth))
    estimate.write_text(tum_text(run.odometry))
    # evo's commands want a home folder to keep their settings in.
    done = subprocess.run(
        [program, 'tum', str(truth), str(estimate), *options],
        env={**os.environ, 'HOME': str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    rmse = float(re.search(r'rmse\s+(\S+)', done.stdout)[1])
    assert measure(run.ground_truth, run.odometry) == pytest.approx(rmse, abs=2e-6)
