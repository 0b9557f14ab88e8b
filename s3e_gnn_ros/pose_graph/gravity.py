"""Four degrees of freedom, yaw and position: roll and pitch are what gravity told odometry.

An accelerometer shows where up is, so that a visual-inertial odometry does not drift in roll and
pitch. Its odometry frame has z up (REP 103; the world of VINS and OpenVINS). With four degrees of
freedom each keyframe keeps the roll and pitch that odometry gave it, in whatever map it ends up:
all frames have z up, and differ in yaw and position alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import Pose, adjoint, expmap, inverse, make_pose
from s3e_gnn_ros.pose_graph.edge import Edge

TILT_SIGMA_RAD = 1e-5
"""How firmly roll and pitch are held: below what loops can bend, above what rounding disturbs."""

_UP = np.array([0.0, 0.0, 1.0])
_PARALLEL = 1e-9
# GTSAM 4.3 calls it by another name than 4.2.
_AttitudeFactor = getattr(gtsam, 'AttitudeFactorPose3', None) or gtsam.Pose3AttitudeFactor


def up_in(T_odom_body: Pose) -> NDArray[np.float64]:
    """Return the direction (3,) that points up, in the axes of a body at a pose (4, 4)."""
    return T_odom_body[2, :3].copy()


def tilt_factor(index: int, up: NDArray[np.float64]) -> Any:
    """Return the gtsam factor that holds roll and pitch of a pose, and leaves its yaw free.

    Args:
        index: of the pose.
        up: (3,) direction in its axes that points up.
    """
    noise = gtsam.noiseModel.Isotropic.Sigma(2, TILT_SIGMA_RAD)
    return _AttitudeFactor(index, gtsam.Unit3(_UP), noise, gtsam.Unit3(up))


def level_covariance(sigmas: NDArray[np.float64], up: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance (6, 6) of an odometry edge that drifts in yaw and position alone.

    Args:
        sigmas: (6,) as without gravity, equal for the three rotations [rad], then position [m].
        up: (3,) direction that points up, in the axes of the later pose.
    """
    covariance = np.diag(sigmas**2)
    covariance[:3, :3] = sigmas[0] ** 2 * np.outer(up, up)
    return covariance + _tilt_covariance(up, TILT_SIGMA_RAD)


def loosened(
    closure: Edge, up_i: NDArray[np.float64], up_j: NDArray[np.float64], sigma_rad: float
) -> Edge:
    """Return a closure between poses whose tilt is held, and a little wrong.

    It cannot move them, so that what it says of roll and pitch is not only its own error.

    Args:
        closure: as it was measured.
        up_i: (3,) direction that points up, in the axes of i.
        up_j: likewise of j.
        sigma_rad: how far either tilt may be off.
    """
    A = adjoint(inverse(closure.T_i_j))
    wrong = A @ _tilt_covariance(up_i, sigma_rad) @ A.T + _tilt_covariance(up_j, sigma_rad)
    return replace(closure, covariance=closure.covariance + (wrong + wrong.T) / 2)


def level_move(T_map_new: Pose, T_map_old: Pose) -> Pose:
    """Return the motion (4, 4) about the vertical that brings one pose onto another.

    It lays the positions onto each other and comes as near as yaw can to the orientation.
    """
    R = T_map_new[:3, :3] @ T_map_old[:3, :3].T
    yaw = np.arctan2(R[1, 0] - R[0, 1], R[0, 0] + R[1, 1])
    cos, sin = np.cos(yaw), np.sin(yaw)
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return make_pose(turn, T_map_new[:3, 3] - turn @ T_map_old[:3, 3])


def rigid_move(T_map_new: Pose, T_map_old: Pose) -> Pose:
    """Return the motion (4, 4) that brings one pose onto another."""
    return np.asarray(T_map_new @ inverse(T_map_old))


def levelled(T: Pose, up: NDArray[np.float64]) -> Pose:
    """Turn a pose (4, 4) by the least angle that makes its direction up (3,) point up."""
    leans = T[:3, :3] @ up
    axis = np.cross(leans, _UP)
    sin, cos = float(np.linalg.norm(axis)), float(leans @ _UP)
    if sin < _PARALLEL:
        return T if cos > 0 else make_pose(np.diag([1.0, -1.0, -1.0]) @ T[:3, :3], T[:3, 3])
    turn = expmap([*(axis / sin * np.arctan2(sin, cos)), 0, 0, 0])[:3, :3]
    return make_pose(turn @ T[:3, :3], T[:3, 3])


def _tilt_covariance(up: NDArray[np.float64], sigma_rad: float) -> NDArray[np.float64]:
    covariance = np.zeros((6, 6))
    covariance[:3, :3] = sigma_rad**2 * (np.eye(3) - np.outer(up, up))
    return covariance
