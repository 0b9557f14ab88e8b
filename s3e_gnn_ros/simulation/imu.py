"""Simulate an IMU from a known motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.simulation.motion import Motion
from s3e_gnn_ros.simulation.noise import Rng

GRAVITY_MPS2 = 9.81


@dataclass(frozen=True)
class ImuNoise:
    """White noise and a wandering bias on each axis; the defaults resemble a D455's BMI055.

        measured = true + bias(t) + n,   n ~ N(0, density^2 rate)
        bias(0) ~ N(0, bias^2),   d bias ~ N(0, walk^2 dt)

    Attributes:
        gyro_density: [rad/s/sqrt(Hz)].
        gyro_bias: [rad/s].
        gyro_walk: [rad/s^2/sqrt(Hz)].
        accel_density: [m/s^2/sqrt(Hz)].
        accel_bias: [m/s^2].
        accel_walk: [m/s^3/sqrt(Hz)].
    """

    gyro_density: float = 2.4e-4
    gyro_bias: float = 2e-3
    gyro_walk: float = 2e-5
    accel_density: float = 1.5e-3
    accel_bias: float = 0.03
    accel_walk: float = 3e-4


@dataclass(frozen=True, eq=False)
class ImuSamples:
    """What the IMU measured, in the camera's optical axes, at the camera's optical centre.

    Attributes:
        stamps_ns: (N,) int64.
        angular_velocity_rps: (N, 3).
        linear_acceleration_mps2: (N, 3) specific force: at rest it points up with 9.81.
    """

    stamps_ns: NDArray[np.int64]
    angular_velocity_rps: NDArray[np.float64]
    linear_acceleration_mps2: NDArray[np.float64]


def simulate_imu(
    motion: Motion, start_ns: int, rate_hz: float, noise: ImuNoise | None, rng: Rng
) -> ImuSamples:
    """Sample the motion at a rate; ``noise`` None gives the truth."""
    times = np.arange(int(motion.duration_s * rate_hz) + 1) / rate_hz
    gyro = motion.angular_velocity_rps(times)
    force = motion.acceleration_mps2(times) + np.array([0.0, 0.0, GRAVITY_MPS2])
    R_camera_world = np.swapaxes(motion.poses(times)[:, :3, :3], 1, 2)
    accel = (R_camera_world @ force[..., None])[..., 0]
    if noise is not None:
        gyro = gyro + _error(
            len(times), rate_hz, noise.gyro_density, noise.gyro_bias, noise.gyro_walk, rng
        )
        accel = accel + _error(
            len(times), rate_hz, noise.accel_density, noise.accel_bias, noise.accel_walk, rng
        )
    stamps = start_ns + np.round(times * 1e9).astype(np.int64)
    return ImuSamples(stamps, gyro, accel)


def _error(
    count: int, rate_hz: float, density: float, bias: float, walk: float, rng: Rng
) -> NDArray[np.float64]:
    """White noise and bias (N, 3)."""
    white = density * np.sqrt(rate_hz) * rng.standard_normal((count, 3))
    steps = walk / np.sqrt(rate_hz) * rng.standard_normal((count, 3))
    steps[0] = bias * rng.standard_normal(3)
    return np.asarray(white + np.cumsum(steps, axis=0))
