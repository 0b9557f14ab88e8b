"""The IMU: integrates to the truth without noise, and errs as stated with it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.simulation.imu import GRAVITY_MPS2, ImuNoise, simulate_imu

RATE_HZ = 200.0


@pytest.fixture(name='truth', scope='module')
def _truth(motion):
    return simulate_imu(motion, 0, RATE_HZ, None, np.random.default_rng(0))


def test_integrates_to_the_ground_truth(motion, truth):
    """Dead reckoning over 20 s by the midpoint rule."""
    first, count = 1000, 4000
    times = np.arange(first, first + count + 1) / RATE_HZ
    poses, dt = motion.poses(times), 1 / RATE_HZ
    R, p = Rotation.from_matrix(poses[0, :3, :3]), poses[0, :3, 3]
    v = motion.velocity_mps(times[:1])[0]
    gravity = np.array([0, 0, -GRAVITY_MPS2])
    for k in range(first, first + count):
        omega = truth.angular_velocity_rps[k : k + 2].mean(axis=0)
        R_next = R * Rotation.from_rotvec(omega * dt)
        force = truth.linear_acceleration_mps2[k : k + 2]
        a = (R.apply(force[0]) + R_next.apply(force[1])) / 2 + gravity
        p, v, R = p + v * dt + a * dt**2 / 2, v + a * dt, R_next
    assert np.linalg.norm(p - poses[-1, :3, 3]) < 0.02
    angle = (Rotation.from_matrix(poses[-1, :3, :3]).inv() * R).magnitude()
    assert np.degrees(angle) < 0.05


def test_gravity_points_up_in_the_image_of_a_level_camera(truth):
    mean = truth.linear_acceleration_mps2.mean(axis=0)
    assert mean[1] == pytest.approx(-GRAVITY_MPS2, abs=0.1)
    assert np.linalg.norm(truth.linear_acceleration_mps2, axis=1).mean() == pytest.approx(
        GRAVITY_MPS2, abs=0.05
    )


def test_stamps_are_regular(truth):
    assert (np.diff(truth.stamps_ns) == 5_000_000).all()


def test_noise_is_as_stated(motion, truth):
    noise = ImuNoise(gyro_density=3e-4, gyro_bias=0, gyro_walk=0, accel_bias=0, accel_walk=0)
    noisy = simulate_imu(motion, 0, RATE_HZ, noise, np.random.default_rng(1))
    gyro = noisy.angular_velocity_rps - truth.angular_velocity_rps
    accel = noisy.linear_acceleration_mps2 - truth.linear_acceleration_mps2
    assert gyro.std() == pytest.approx(3e-4 * np.sqrt(RATE_HZ), rel=0.03)
    assert accel.std() == pytest.approx(noise.accel_density * np.sqrt(RATE_HZ), rel=0.03)
    assert abs(gyro.mean()) < 1e-4


def test_bias_starts_and_wanders_as_stated(motion, truth):
    noise = ImuNoise(gyro_density=0, gyro_bias=0.01, gyro_walk=1e-3, accel_density=0)
    starts, steps = [], []
    for seed in range(40):
        noisy = simulate_imu(motion, 0, 20.0, noise, np.random.default_rng(seed))
        bias = (
            noisy.angular_velocity_rps - truth.angular_velocity_rps[::10][: len(noisy.stamps_ns)]
        )
        starts.append(bias[0])
        steps.append(np.diff(bias, axis=0))
    assert np.std(starts) == pytest.approx(0.01, rel=0.25)
    assert np.std(steps) == pytest.approx(1e-3 * np.sqrt(1 / 20.0), rel=0.03)
