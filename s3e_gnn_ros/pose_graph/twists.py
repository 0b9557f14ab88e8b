"""Many rigid transforms at once: logarithms, adjoints and squared Mahalanobis distances.

Twists and matrices are rotation first, perturbation on the right, as everywhere in this folder.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

_SMALL_ANGLE = 1e-6


def skews(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (K, 3, 3) matrices of the cross products with vectors (K, 3)."""
    out = np.zeros((*v.shape[:-1], 3, 3))
    out[..., 0, 1], out[..., 0, 2] = -v[..., 2], v[..., 1]
    out[..., 1, 0], out[..., 1, 2] = v[..., 2], -v[..., 0]
    out[..., 2, 0], out[..., 2, 1] = -v[..., 1], v[..., 0]
    return out


def adjoints(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (K, 6, 6) adjoints of transforms (K, 4, 4): each moves a twist from b to a."""
    out = np.zeros((len(T), 6, 6))
    R = T[:, :3, :3]
    out[:, :3, :3] = out[:, 3:, 3:] = R
    out[:, 3:, :3] = skews(T[:, :3, 3]) @ R
    return out


def logmaps(T: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the twists (K, 6) of transforms (K, 4, 4), rotation [rad] first, then [m]."""
    if len(T) == 0:
        return np.zeros((0, 6))
    omega = Rotation.from_matrix(T[:, :3, :3]).as_rotvec()
    theta = np.linalg.norm(omega, axis=1)
    is_small = theta < _SMALL_ANGLE
    half = np.where(is_small, 1.0, theta) / 2
    factor = np.where(is_small, 1 / 12, (1 - half / np.tan(half)) / (2 * half) ** 2)
    W = skews(omega)
    V_inverse = np.eye(3) - 0.5 * W + factor[:, None, None] * (W @ W)
    return np.concatenate([omega, (V_inverse @ T[:, :3, 3:])[..., 0]], axis=1)


def squared_distances(
    twists: NDArray[np.float64], covariances: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared Mahalanobis distances (K,) of twists (K, 6) by covariances (K, 6, 6)."""
    if len(twists) == 0:
        return np.zeros(0)
    whitened = np.linalg.solve(covariances, twists[..., None])[..., 0]
    return np.asarray(np.einsum('ki,ki->k', twists, whitened))
