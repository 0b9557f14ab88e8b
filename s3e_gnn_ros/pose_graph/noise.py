"""How sure an edge is: the noise models of odometry and of loop closures.

Six-vectors are ordered rotation [rad] first, then translation [m]; the perturbation is on the
right, ``T_i_j @ expmap(xi)``, which is what GTSAM's Pose3 factors expect.
"""

from __future__ import annotations

from typing import Any

import gtsam
import numpy as np
from numpy.typing import ArrayLike, NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose, inverse, rotation_angle_deg, translation_m
from s3e_gnn_ros.pose_graph.gravity import level_covariance, up_in

MIN_EIGENVALUE_RATIO = 1e-14
"""A covariance that is closer to singular has no inverse in double precision."""


def odometry_sigmas(T_i_j: Pose, config: PoseGraphConfig) -> NDArray[np.float64]:
    """Return the standard deviations (6,) of one odometry edge, rotation [rad] first.

    With the distance d and the angle a between the two keyframes::

        sigma_translation = max(min_sigma_m, sigma_m_per_m * d)
        sigma_rotation = max(min_sigma_deg, hypot(sigma_deg_per_m * d, sigma_deg_per_deg * a))
    """
    distance_m, angle_deg = translation_m(T_i_j), rotation_angle_deg(T_i_j)
    sigma_m = max(config.odometry_min_sigma_m, config.odometry_sigma_m_per_m * distance_m)
    by_motion = np.hypot(
        config.odometry_sigma_deg_per_m * distance_m, config.odometry_sigma_deg_per_deg * angle_deg
    )
    sigma_rad = np.radians(max(config.odometry_min_sigma_deg, float(by_motion)))
    return np.array([sigma_rad] * 3 + [sigma_m] * 3)


def odometry_covariance(
    T_odom_i: Pose, T_odom_j: Pose, config: PoseGraphConfig
) -> NDArray[np.float64]:
    """Return the covariance (6, 6) of the odometry edge between two poses (4, 4).

    With four degrees of freedom only yaw and position drift.
    """
    sigmas = odometry_sigmas(inverse(T_odom_i) @ T_odom_j, config)
    if config.degrees_of_freedom == 4:
        return level_covariance(sigmas, up_in(T_odom_j))
    return np.diag(sigmas**2)


def check_covariance(covariance: ArrayLike, name: str) -> NDArray[np.float64]:
    """Return the (6, 6) matrix, made exactly symmetric, or say what is wrong with it.

    Raises:
        InputError: not (6, 6), not finite, not symmetric, or singular to working precision.
    """
    C = np.asarray(covariance, dtype=np.float64)
    if C.shape != (6, 6):
        raise InputError(f'{name} has shape {C.shape} instead of (6, 6)')
    if not np.isfinite(C).all():
        raise InputError(f'{name} is not finite')
    if not np.allclose(C, C.T, rtol=1e-6, atol=1e-9 * float(np.abs(C).max())):
        raise InputError(f'{name} is not symmetric: off by {np.abs(C - C.T).max():.3g}')
    C = (C + C.T) / 2
    eigenvalues = np.linalg.eigvalsh(C)
    if eigenvalues[0] <= MIN_EIGENVALUE_RATIO * eigenvalues[-1]:
        span = f'its eigenvalues reach from {eigenvalues[0]:.3g} to {eigenvalues[-1]:.3g}'
        raise InputError(f'{name} is not positive definite: {span}')
    return C


def robust_noise(noise: Any, kernel: str, threshold: float) -> Any:
    """Wrap a gtsam noise model in a robust kernel.

    Args:
        noise: a gtsam Gaussian noise model.
        kernel: one of the choices of ``PoseGraphConfig.robust_kernel``.
        threshold: Mahalanobis distance of the whole edge (six degrees of freedom) where the
            kernel starts to flatten.
    """
    if kernel == 'none':
        return noise
    return gtsam.noiseModel.Robust.Create(_estimator(kernel, threshold), noise)


def robust_weights(
    distances: NDArray[np.float64], kernel: str, threshold: float
) -> NDArray[np.float64]:
    """Return what a kernel leaves (K,) of the information of edges, by their distances (K,).

    Args:
        distances: Mahalanobis distance of each edge.
        kernel: see :func:`robust_noise`.
        threshold: likewise.
    """
    if kernel == 'none':
        return np.ones(len(distances))
    estimator = _estimator(kernel, threshold)
    return np.array([estimator.weight(distance) for distance in distances.tolist()])


def _estimator(kernel: str, threshold: float) -> Any:
    estimators = gtsam.noiseModel.mEstimator
    kernels = {
        'huber': (estimators.Huber, threshold),
        'cauchy': (estimators.Cauchy, threshold),
        # DCS compares its parameter with the squared distance, unlike the others.
        'dcs': (estimators.DCS, threshold**2),
        'geman_mcclure': (estimators.GemanMcClure, threshold),
    }
    estimator, parameter = kernels[kernel]
    return estimator.Create(parameter)
