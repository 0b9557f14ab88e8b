"""Pose of a camera from landmarks and the pixels they are seen at."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose

_MIN_POINTS = 4


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
        return np.asarray(np.where(z > 1e-3, p[:, :2] / np.maximum(z, 1e-3) - self.points, 1e3))


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
        confidence=0.999,
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

    def residuals(xi: NDArray[np.float64], T: Pose) -> NDArray[np.float64]:
        moved = T @ se3.expmap(xi)
        parts = []
        if seen_by_a is not None:
            parts.append((seen_by_a.residuals(moved) / seen_by_a.sigma).ravel())
        if seen_by_b is not None:
            parts.append((seen_by_b.residuals(se3.inverse(moved)) / seen_by_b.sigma).ravel())
        return np.concatenate(parts)

    step = least_squares(residuals, np.zeros(6), args=(T_a_b,), loss='soft_l1', max_nfev=30)
    T_refined = T_a_b @ se3.expmap(step.x)
    # A second pass linearises at the solution itself, where the information belongs.
    final = least_squares(residuals, np.zeros(6), args=(T_refined,), loss='soft_l1', max_nfev=2)
    squared = residuals(final.x, T_refined) ** 2
    variance = max(1.0, float(np.median(squared)) / 0.4549)  # median of chi-squared, 1 dof
    return T_refined @ se3.expmap(final.x), final.jac.T @ final.jac / variance
