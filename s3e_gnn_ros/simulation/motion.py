"""Smooth motion of the camera along paths: pose, velocity and acceleration at any time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.simulation.route import Path

R_BODY_OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Optical axes (x right, y down, z forward) in the body's (x forward, y left, z up)."""

_KNOT_S = 0.02
_SMOOTHING_S = 0.35
_REST_S = 0.6


@dataclass(frozen=True)
class MotionLimits:
    """How the camera is carried.

    Attributes:
        speed_mps: driving speed; it wanders by 10 % about this.
        yaw_rate_dps: greatest turning speed of the view; driving slows down to keep it.
        height_m: of the camera above the floor; bobs by about a centimetre.
        pitch_deg: mean tilt, negative looks down; pitch and roll sway by about a degree.

    Raises:
        InputError: a speed or the height is not positive.
    """

    speed_mps: float = 0.7
    yaw_rate_dps: float = 55.0
    height_m: float = 1.05
    pitch_deg: float = -4.0

    def __post_init__(self) -> None:
        """Refuse what cannot be driven."""
        for name in ('speed_mps', 'yaw_rate_dps', 'height_m'):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f'{name} is {value} instead of more than 0')


class Motion:
    """A camera's motion with two continuous derivatives.

    Args:
        times_s: (N,) increasing, from 0.
        positions_m: (N, 3) in the world.
        yaw_pitch_roll_rad: (N, 3); yaw about z from x, pitch up, roll to the right.
        lap_ends_s: when each of its laps ends; empty for one.
    """

    def __init__(
        self,
        times_s: NDArray[np.float64],
        positions_m: NDArray[np.float64],
        yaw_pitch_roll_rad: NDArray[np.float64],
        lap_ends_s: tuple[float, ...] = (),
    ) -> None:
        """Fit splines."""
        self.lap_ends_s = lap_ends_s
        self.duration_s = float(times_s[-1])
        self._position = CubicSpline(times_s, positions_m)
        self._angles = CubicSpline(times_s, yaw_pitch_roll_rad)

    def poses(self, times_s: NDArray[np.float64]) -> Pose:
        """T_world_camera (N, 4, 4) of the optical frame."""
        out = np.tile(np.eye(4), (len(times_s), 1, 1))
        out[:, :3, :3] = self._body_rotation(times_s) @ R_BODY_OPTICAL
        out[:, :3, 3] = self._position(times_s)
        return out

    def velocity_mps(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Velocity (N, 3) in the world."""
        return np.asarray(self._position(times_s, 1))

    def acceleration_mps2(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Acceleration (N, 3) in the world, without gravity."""
        return np.asarray(self._position(times_s, 2))

    def angular_velocity_rps(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Angular velocity (N, 3) in the optical frame."""
        _, pitch, roll = self._angles(times_s).T
        yaw_rate, pitch_rate, roll_rate = self._angles(times_s, 1).T
        theta, theta_rate = -pitch, -pitch_rate  # about y, which points left
        body = np.stack(
            [
                roll_rate - yaw_rate * np.sin(theta),
                theta_rate * np.cos(roll) + yaw_rate * np.cos(theta) * np.sin(roll),
                -theta_rate * np.sin(roll) + yaw_rate * np.cos(theta) * np.cos(roll),
            ],
            axis=1,
        )
        return np.asarray(body @ R_BODY_OPTICAL)

    def _body_rotation(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        yaw, pitch, roll = self._angles(times_s).T
        angles = np.stack([yaw, -pitch, roll], axis=1)
        return np.asarray(Rotation.from_euler('ZYX', angles).as_matrix())


def drive(
    paths: list[Path],
    limits: MotionLimits,
    rng: np.random.Generator,
    heights_m: list[float] | None = None,
) -> Motion:
    """Drive paths one after the other; where the view jumps between two, turn on the spot.

    Args:
        paths: each begins where the one before ends.
        limits: how the camera is carried.
        rng: source of wandering and swaying.
        heights_m: of the camera on each path; None for that of the limits.
    """
    points = np.vstack([path.points_m for path in paths])
    view = np.unwrap(np.concatenate([path.heading_rad + path.pan_rad for path in paths]))
    times = _arrival_times(points, view, limits, rng)
    # It rests at both ends, so that the smoothed motion starts and stops gently.
    grid = np.arange(0, times[-1] + _REST_S, _KNOT_S)
    planar = np.stack([np.interp(grid, times, row) for row in (*points.T, view)], axis=1)
    planar = gaussian_filter1d(planar, _SMOOTHING_S / _KNOT_S, axis=0, mode='nearest')
    height = limits.height_m + 0.008 * _sway(grid, rng)
    if heights_m is not None:
        height += _height_changes(paths, heights_m, times, grid) - limits.height_m
    pitch = np.radians(limits.pitch_deg + 0.8 * _sway(grid, rng))
    roll = np.radians(0.6 * _sway(grid, rng))
    positions = np.column_stack([planar[:, :2], height])
    ends = times[np.cumsum([len(path.points_m) for path in paths]) - 1]
    angles = np.column_stack([planar[:, 2], pitch, roll])
    return Motion(grid, positions, angles, tuple(float(t) for t in ends))


def _height_changes(
    paths: list[Path],
    heights_m: list[float],
    times: NDArray[np.float64],
    grid: NDArray[np.float64],
) -> NDArray[np.float64]:
    steps = np.repeat(heights_m, [len(path.points_m) for path in paths])
    planned = np.interp(grid, times, steps)
    smooth = gaussian_filter1d(planned, _SMOOTHING_S / _KNOT_S, mode='nearest')
    return np.asarray(smooth, np.float64)


def _arrival_times(
    points: NDArray[np.float64],
    view: NDArray[np.float64],
    limits: MotionLimits,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    wander = gaussian_filter1d(rng.standard_normal(len(steps)), 20, mode='wrap')
    speed = limits.speed_mps * (1 + 0.1 * np.clip(wander / (wander.std() + 1e-9), -1, 1))
    turning = np.abs(np.diff(view)) / np.radians(limits.yaw_rate_dps)
    duration = np.maximum(steps / speed, turning)
    return _REST_S + np.concatenate([[0.0], np.cumsum(np.maximum(duration, 1e-6))])


def _sway(times_s: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Smooth noise (N,) of deviation about 1 and below 2 Hz."""
    frequencies = rng.uniform((0.15, 0.5, 1.2), (0.4, 1.0, 1.8))
    phases = rng.uniform(0, 2 * np.pi, 3)
    waves = np.sin(2 * np.pi * frequencies * times_s[:, None] + phases)
    return np.asarray(waves @ np.array([1.0, 0.7, 0.35]))
