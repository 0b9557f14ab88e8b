"""Compares closures with the truth, and says from which directions they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose, inverse, rotation_angle_deg, translation_m
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import LoopClosure

Travel = Literal['same', 'crossing', 'opposite', 'unknown']
"""Directions of travel at query and match: up to 60 deg apart, between, over 120 deg, standing."""


@dataclass(frozen=True)
class Tolerance:
    """From where on a closure is wrong: off by more than either.

    Attributes:
        max_wrong_m: translation error [m].
        max_wrong_deg: rotation error [deg].

    Raises:
        InputError: a value is not a positive number.
    """

    max_wrong_m: float = 0.20
    max_wrong_deg: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a tolerance that calls everything, or nothing, wrong."""
        for name in ('max_wrong_m', 'max_wrong_deg'):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(f'{name} is {value} instead of a positive number')


@dataclass(frozen=True)
class ClosureCheck:
    """What the truth says about one closure.

    Attributes:
        translation_error_m: None where the truth is unknown.
        rotation_error_deg: None where the truth is unknown.
        is_wrong: None where the truth is unknown.
        travel: directions of travel of query and match against each other.
        view_angle_deg: angle between the optical axes of query and match.
    """

    translation_error_m: float | None
    rotation_error_deg: float | None
    is_wrong: bool | None
    travel: Travel
    view_angle_deg: float


def check_closures(
    closures: Sequence[LoopClosure],
    ground_truth: Trajectory | None,
    optimised: Trajectory,
    tolerance: Tolerance,
) -> list[ClosureCheck]:
    """Compare each closure with the truth.

    Args:
        closures: to judge.
        ground_truth: T_world_camera, or None.
        optimised: T_map_camera at full rate; gives the directions of travel without a truth.
        tolerance: from where on one is wrong.
    """
    path = optimised if ground_truth is None else ground_truth
    return [_check(closure, ground_truth, path, tolerance) for closure in closures]


def closure_errors(closure: LoopClosure, ground_truth: Trajectory) -> tuple[float, float] | None:
    """Return (translation_error_m, rotation_error_deg), or None where the truth has a gap.

    The error is that of T_match_query against inverse(T_world_match) @ T_world_query.
    """
    T_match_query = _true_relative_pose(closure, ground_truth)
    if T_match_query is None:
        return None
    error = inverse(T_match_query) @ closure.T_match_query
    return translation_m(error), rotation_angle_deg(error)


def travel_direction(
    trajectory: Trajectory,
    stamp_ns: int,
    window_s: float = 1.0,
    min_distance_m: float = 0.05,
) -> NDArray[np.float64] | None:
    """Return the unit direction of travel (3,) around a stamp, None when standing.

    Args:
        trajectory: poses of the camera.
        stamp_ns: middle of the window.
        window_s: time over which the motion is taken [s].
        min_distance_m: less motion than this within the window is standing [m].
    """
    if len(trajectory) == 0:
        return None
    half = window_s / 2
    since_s = (trajectory.stamps_ns - stamp_ns).astype(np.float64) / 1e9
    positions = trajectory.poses[:, :3, 3]
    ends = np.array([np.interp([-half, half], since_s, axis) for axis in positions.T])  # (3, 2)
    motion = ends[:, 1] - ends[:, 0]
    distance = float(np.linalg.norm(motion))
    return None if distance < min_distance_m else np.asarray(motion / distance)


def _check(
    closure: LoopClosure,
    truth: Trajectory | None,
    path: Trajectory,
    tolerance: Tolerance,
) -> ClosureCheck:
    errors = None if truth is None else closure_errors(closure, truth)
    T = None if truth is None else _true_relative_pose(closure, truth)
    axis_z = float((closure.T_match_query if T is None else T)[2, 2])
    return ClosureCheck(
        translation_error_m=None if errors is None else errors[0],
        rotation_error_deg=None if errors is None else errors[1],
        is_wrong=None if errors is None else _is_wrong(errors, tolerance),
        travel=_travel(closure, path),
        view_angle_deg=float(np.degrees(np.arccos(np.clip(axis_z, -1.0, 1.0)))),
    )


def _is_wrong(errors: tuple[float, float], tolerance: Tolerance) -> bool:
    # Written so that an error that is NaN counts as wrong.
    return not (errors[0] <= tolerance.max_wrong_m and errors[1] <= tolerance.max_wrong_deg)


def _travel(closure: LoopClosure, path: Trajectory) -> Travel:
    query = travel_direction(path, closure.query_stamp_ns)
    match = travel_direction(path, closure.match_stamp_ns)
    if query is None or match is None:
        return 'unknown'
    cosine = float(query @ match)
    if cosine < np.cos(np.radians(120)):
        return 'opposite'
    return 'same' if cosine >= np.cos(np.radians(60)) else 'crossing'


def _true_relative_pose(closure: LoopClosure, truth: Trajectory) -> Pose | None:
    T_world_query = truth.at(closure.query_stamp_ns)
    T_world_match = truth.at(closure.match_stamp_ns)
    if T_world_query is None or T_world_match is None:
        return None
    return np.asarray(inverse(T_world_match) @ T_world_query)
