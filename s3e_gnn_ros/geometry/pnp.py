"""Pose of a camera from landmarks and the pixels they are seen at."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose

_MIN_POINTS = 4
_MIN_Z_M = 1e-3
_MAX_STEPS = 30
_SMALLEST_STEP = 1e-9  # [rad, m]
# Weights (1 + r^2)^e of the loss 2 (sqrt(1 + r^2) - 1): its curvature (Triggs et al., "Bundle
# Adjustment", 2000), quick near the minimum, and the reweighting that goes down from afar.
_NEWTON, _REWEIGHTED = -1.5, -0.5


@dataclass(frozen=True, eq=False)
class Observations:
    """Landmarks of camera b that camera a sees.

    Attributes:
        landmarks_m: (N, 3) in the optical frame of b.
        points: (N, 2) where a sees them, undistorted, on the plane z = 1.
        sigma: standard deviation of ``points``, on the plane z = 1 (pixels over focal length).
    """

    landmarks_m: NDArray[np.float64]
    points: NDArray[np.float64]
    sigma: float

    def __len__(self) -> int:
        """Return the number of landmarks."""
        return len(self.points)

    def select(self, mask: NDArray[np.bool_]) -> Observations:
        """Return the observations where the mask (N,) holds."""
        return Observations(self.landmarks_m[mask], self.points[mask], self.sigma)

    def residuals(self, T_a_b: Pose) -> NDArray[np.float64]:
        """Return the reprojection errors (N, 2) on the plane z = 1; huge behind the camera."""
        p = se3.transform_points(T_a_b, self.landmarks_m)
        z = p[:, 2:]
        projected = p[:, :2] / np.maximum(z, _MIN_Z_M)
        return np.asarray(np.where(z > _MIN_Z_M, projected - self.points, 1e3))

    def derivatives(self, T_a_b: Pose) -> NDArray[np.float64]:
        """Return those (N, 2, 3) of the residuals by the landmark in a; 0 behind the camera."""
        p = se3.transform_points(T_a_b, self.landmarks_m)
        visible = p[:, 2] > _MIN_Z_M
        inverse_z = np.where(visible, 1.0 / np.maximum(p[:, 2], _MIN_Z_M), 0.0)
        out = np.zeros((len(p), 2, 3))
        out[:, 0, 0] = out[:, 1, 1] = inverse_z
        out[:, :, 2] = -p[:, :2] * inverse_z[:, None] ** 2
        return out


def solve_pnp_ransac(
    observations: Observations, threshold: float, iterations: int
) -> tuple[Pose, NDArray[np.bool_]] | None:
    """Find the pose most landmarks agree with.

    The sampling is seeded: the same input gives the same pose.

    Args:
        observations: at least 4 landmarks and where they are seen.
        threshold: inlier bound on the reprojection error, on the plane z = 1.
        iterations: of RANSAC.

    Returns:
        T_a_b (4, 4) and the inlier mask (N,), or None when no pose has 4 inliers.
    """
    if len(observations) < _MIN_POINTS:
        return None
    # solvePnPRansac seeds its own generator with a constant, so the result repeats.
    found, rvec, tvec, _ = cv2.solvePnPRansac(
        observations.landmarks_m,
        observations.points,
        np.eye(3),
        None,
        iterationsCount=iterations,
        reprojectionError=threshold,
        confidence=1.0 - 1e-9,  # of a wall two poses fit: not the first one
        flags=cv2.SOLVEPNP_AP3P,
    )
    if not found or not (np.isfinite(rvec).all() and np.isfinite(tvec).all()):
        return None
    T_a_b = se3.make_pose(cv2.Rodrigues(rvec)[0], tvec[:, 0])
    for _ in range(2):  # refit to all inliers, then let those decide who is one
        inliers = np.linalg.norm(observations.residuals(T_a_b), axis=1) < threshold
        if inliers.sum() < _MIN_POINTS:
            return None
        T_a_b = _refit(T_a_b, observations.select(inliers))
    inliers = np.linalg.norm(observations.residuals(T_a_b), axis=1) < threshold
    return (T_a_b, inliers) if inliers.sum() >= _MIN_POINTS else None


def _refit(T_a_b: Pose, inliers: Observations) -> Pose:
    rvec, tvec = cv2.solvePnPRefineLM(
        inliers.landmarks_m,
        inliers.points,
        np.eye(3),
        None,
        cv2.Rodrigues(T_a_b[:3, :3])[0],
        T_a_b[:3, 3:].copy(),
    )
    return se3.make_pose(cv2.Rodrigues(rvec)[0], tvec[:, 0])


def refine_pose(
    T_a_b: Pose, seen_by_a: Observations | None, seen_by_b: Observations | None
) -> tuple[Pose, NDArray[np.float64]]:
    """Refine a pose on reprojection errors in one or both directions, with a robust loss.

    Args:
        T_a_b: initial pose (4, 4).
        seen_by_a: landmarks of b seen by a, or None.
        seen_by_b: landmarks of a seen by b, or None.

    Returns:
        The refined T_a_b (4, 4), and the information (6, 6), rotation first, of a perturbation
        on its right. The information is scaled by the residuals actually left when these are
        larger than the stated sigmas.
    """
    T = T_a_b
    residuals, jacobian = _linearise(T, seen_by_a, seen_by_b)
    for _ in range(_MAX_STEPS):
        for exponent in (_NEWTON, _REWEIGHTED):
            step = _step(residuals, jacobian, exponent)
            trial = T @ se3.expmap(step)
            found = _linearise(trial, seen_by_a, seen_by_b)
            if _soft_l1(found[0]) < _soft_l1(residuals):
                break
        else:
            break  # neither goes down: this is the minimum, to the last digits
        T, (residuals, jacobian) = trial, found
        if np.abs(step).max() < _SMALLEST_STEP:
            break
    variance = max(1.0, float(np.median(residuals**2)) / 0.4549)  # median of chi-squared, 1 dof
    return T, _curvature(residuals, jacobian, _NEWTON) / variance


def _linearise(
    T_a_b: Pose, seen_by_a: Observations | None, seen_by_b: Observations | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the residuals (M,) in sigmas and their derivatives (M, 6) by a step on the right."""
    residuals, jacobians = [], []
    if seen_by_a is not None:  # p_a = T_a_b Exp(xi) p_b
        by_point = seen_by_a.derivatives(T_a_b) @ T_a_b[:3, :3]  # (N, 2, 3)
        by_rotation = np.cross(seen_by_a.landmarks_m[:, None], by_point)
        jacobian = np.concatenate([by_rotation, by_point], axis=2)  # (N, 2, 6)
        jacobians.append(jacobian.reshape(-1, 6) / seen_by_a.sigma)
        residuals.append(seen_by_a.residuals(T_a_b).ravel() / seen_by_a.sigma)
    if seen_by_b is not None:  # p_b = Exp(-xi) T_b_a p_a
        T_b_a = se3.inverse(T_a_b)
        by_point = seen_by_b.derivatives(T_b_a)  # (N, 2, 3)
        in_b = se3.transform_points(T_b_a, seen_by_b.landmarks_m)
        jacobian = np.concatenate([np.cross(by_point, in_b[:, None]), -by_point], axis=2)
        jacobians.append(jacobian.reshape(-1, 6) / seen_by_b.sigma)
        residuals.append(seen_by_b.residuals(T_b_a).ravel() / seen_by_b.sigma)
    return np.concatenate(residuals), np.concatenate(jacobians)


def _soft_l1(residuals: NDArray[np.float64]) -> float:
    """Sum of the loss: quadratic within a sigma or so, linear beyond."""
    return float((np.sqrt(1.0 + residuals**2) - 1.0).sum())


def _step(
    residuals: NDArray[np.float64], jacobian: NDArray[np.float64], exponent: float
) -> NDArray[np.float64]:
    """Return the step (6,) to the minimum of the loss as it looks from here."""
    gradient = jacobian.T @ (residuals / np.sqrt(1.0 + residuals**2))
    curvature = _curvature(residuals, jacobian, exponent)
    return -np.asarray(np.linalg.lstsq(curvature, gradient, rcond=1e-12)[0])


def _curvature(
    residuals: NDArray[np.float64], jacobian: NDArray[np.float64], exponent: float
) -> NDArray[np.float64]:
    return np.asarray(jacobian.T @ (jacobian * ((1.0 + residuals**2) ** exponent)[:, None]))
