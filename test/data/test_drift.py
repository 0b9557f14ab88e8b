import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.data.drift import DriftModel, drift, parse_drift
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory


def straight(num_steps, step_m, turn_deg=0.0):
    """A drive along z (forward in an optical frame) that turns about y by the same angle."""
    step = se3.make_pose(
        Rotation.from_rotvec([0, turn_deg, 0], degrees=True).as_matrix(), [0, 0, step_m]
    )
    poses = [se3.make_pose(None, [1, 2, 3])]
    for _ in range(num_steps):
        poses.append(poses[-1] @ step)
    return Trajectory(np.arange(num_steps + 1) * 10**8, np.stack(poses))


@given(num_steps=st.integers(0, 40), turn_deg=st.floats(-30, 30))
def test_no_drift_is_the_truth(num_steps, turn_deg):
    truth = straight(num_steps, 0.3, turn_deg)
    odometry = drift(truth, DriftModel(seed=3))
    np.testing.assert_array_equal(odometry.stamps_ns, truth.stamps_ns)
    np.testing.assert_allclose(odometry.poses, truth.poses, atol=1e-9)


def test_same_seed_same_drift():
    truth = straight(50, 0.1, 3)
    model = DriftModel(translation=0.02, rotation_deg=0.5, turn_deg=1, yaw_deg=0.2, seed=1)
    np.testing.assert_array_equal(drift(truth, model).poses, drift(truth, model).poses)
    other = drift(truth, dataclasses.replace(model, seed=2))
    assert not np.allclose(other.poses[-1], drift(truth, model).poses[-1])


def test_starts_at_the_truth_with_rigid_poses():
    truth = straight(2000, 0.1, 3)
    poses = drift(truth, DriftModel(translation=0.1, rotation_deg=3, seed=1)).poses
    np.testing.assert_allclose(poses[0], truth.poses[0])
    R = poses[:, :3, :3]
    np.testing.assert_allclose(
        R @ np.swapaxes(R, 1, 2), np.broadcast_to(np.eye(3), R.shape), atol=1e-12
    )


def test_scale_is_exact():
    odometry = drift(straight(10, 1.0), DriftModel(scale=0.05))
    np.testing.assert_allclose(odometry.poses[-1][:3, 3], [1, 2, 3 + 10.5], atol=1e-9)


def test_yaw_bias_is_exact():
    odometry = drift(straight(20, 0.5), DriftModel(yaw_bias_deg=1.5))
    rotvec = Rotation.from_matrix(odometry.poses[-1][:3, :3]).as_rotvec(degrees=True)
    np.testing.assert_allclose(rotvec, [0, 15, 0], atol=1e-9)


@pytest.mark.parametrize('step_m', [0.1, 0.5])
def test_random_walk_has_the_stated_size_at_any_rate(step_m):
    truth = straight(round(20 / step_m), step_m)  # 20 m
    ends = [drift(truth, DriftModel(translation=0.02, seed=seed)).poses[-1] for seed in range(300)]
    deviations = np.array([T[:3, 3] for T in ends]) - truth.poses[-1][:3, 3]
    np.testing.assert_allclose(deviations.std(axis=0), 0.02 * np.sqrt(20), rtol=0.15)
    ends = [drift(truth, DriftModel(rotation_deg=0.3, seed=seed)).poses[-1] for seed in range(300)]
    rotvecs = Rotation.from_matrix(np.array(ends)[:, :3, :3]).as_rotvec(degrees=True)
    np.testing.assert_allclose(rotvecs.std(axis=0), 0.3 * np.sqrt(20), rtol=0.15)


def test_turning_on_the_spot_drifts_only_by_turn_deg():
    truth = straight(90, 0.0, 4.0)
    still = drift(truth, DriftModel(translation=1, rotation_deg=9, yaw_deg=9, yaw_bias_deg=9))
    np.testing.assert_allclose(still.poses, truth.poses, atol=1e-6)
    ends = [drift(truth, DriftModel(turn_deg=0.5, seed=seed)).poses[-1] for seed in range(300)]
    errors = se3.inverse(truth.poses[-1]) @ np.array(ends)
    rotvecs = Rotation.from_matrix(errors[:, :3, :3]).as_rotvec(degrees=True)
    np.testing.assert_allclose(rotvecs.std(axis=0), 0.5 * np.sqrt(2 * np.pi), rtol=0.15)


def test_parse():
    model = parse_drift('translation=0.02, rotation_deg=0.5,seed=1')
    assert model == DriftModel(translation=0.02, rotation_deg=0.5, seed=1)
    assert parse_drift('') == DriftModel()
    assert parse_drift(str(model)) == model


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('speed=1', "unknown drift 'speed'; known: translation"),
        ('seed', "'seed' lacks the form"),
        ('seed=1.5', "seed is '1.5' instead of a whole number"),
        ('translation=a', "translation is 'a' instead of a number"),
        ('translation=nan', 'translation is nan'),
        ('translation=-1', 'translation is -1.0 instead of at least 0'),
        ('seed=-1', 'seed is -1'),
        ('scale=-1', 'scale is -1'),
        ('scale=1,scale=2', 'given twice'),
    ],
)
def test_parse_errors(text, words):
    with pytest.raises(ConfigError, match=words):
        parse_drift(text)
