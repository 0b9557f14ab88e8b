"""Motion: rates agree with finite differences and stay within their bounds."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.motion import MotionLimits

H = 1e-4


def test_velocity_and_acceleration_are_derivatives_of_position(motion):
    times = np.linspace(2, motion.duration_s - 2, 50) + 0.0031
    before, here, after = (motion.poses(times + h)[:, :3, 3] for h in (-H, 0, H))
    assert np.allclose(motion.velocity_mps(times), (after - before) / (2 * H), atol=1e-5)
    second = (after - 2 * here + before) / H**2
    assert np.allclose(motion.acceleration_mps2(times), second, atol=1e-3)


def test_angular_velocity_is_the_rate_of_the_camera(motion):
    times = np.linspace(2, motion.duration_s - 2, 50)
    before, after = (Rotation.from_matrix(motion.poses(times + h)[:, :3, :3]) for h in (-H, H))
    rate = (before.inv() * after).as_rotvec() / (2 * H)
    assert np.allclose(motion.angular_velocity_rps(times), rate, atol=1e-5)


def test_stays_within_its_limits(motion):
    times = np.arange(0, motion.duration_s, 0.05)
    limits = MotionLimits()
    speed = np.linalg.norm(motion.velocity_mps(times), axis=1)
    assert speed.max() < 1.15 * limits.speed_mps
    assert 0.5 < np.median(speed) < 0.8
    rates = np.degrees(np.linalg.norm(motion.angular_velocity_rps(times), axis=1))
    assert rates.max() < limits.yaw_rate_dps + 10
    assert np.linalg.norm(motion.acceleration_mps2(times), axis=1).max() < 1.5


def test_starts_and_ends_gently_and_upright(motion):
    ends = np.array([0.0, motion.duration_s])
    assert np.linalg.norm(motion.velocity_mps(ends)[:, :2], axis=1).max() < 0.2
    poses = motion.poses(np.arange(0, motion.duration_s, 0.1))
    assert (poses[:, 2, 1] < -0.98).all()  # the optical y axis points down
    assert np.abs(poses[:, 2, 3] - 1.05).max() < 0.03


@pytest.mark.parametrize('name', ['speed_mps', 'yaw_rate_dps', 'height_m'])
@pytest.mark.parametrize('value', [0.0, -1.0, float('nan'), float('inf')])
def test_refuses_limits_that_cannot_be_driven(name, value):
    with pytest.raises(InputError, match=name):
        MotionLimits(**{name: value})
