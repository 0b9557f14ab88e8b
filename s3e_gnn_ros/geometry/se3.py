"""Rigid transforms as 4x4 matrices.

``T_a_b`` maps points from frame b to frame a: ``p_a = T_a_b @ p_b``. Six-vectors and 6x6 matrices
are ordered rotation first (GTSAM's order); ROS and g2o order translation first, and
:func:`swap_rotation_translation` is the only place that converts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import InputError

Pose = NDArray[np.float64]
"""A (4, 4) float64 rigid transform."""

_SWAP = np.array([3, 4, 5, 0, 1, 2])


def make_pose(rotation: ArrayLike | None = None, translation: ArrayLike | None = None) -> Pose:
    """Build a (4, 4) transform from a (3, 3) rotation and a (3,) translation in metres."""
    T = np.eye(4)
    if rotation is not None:
        T[:3, :3] = rotation
    if translation is not None:
        T[:3, 3] = translation
    return T


def pose_from_quat(translation: ArrayLike, quat_xyzw: ArrayLike) -> Pose:
    """Build a (4, 4) transform from a translation (3,) in metres and a quaternion (4,) xyzw.

    Raises:
        InputError: a value is not finite, or the quaternion's norm is not within 1 % of one.
    """
    t = np.asarray(translation, dtype=np.float64)
    q = np.asarray(quat_xyzw, dtype=np.float64)
    if not (np.isfinite(t).all() and np.isfinite(q).all()):
        raise InputError(f'pose is not finite: translation {t.tolist()}, quaternion {q.tolist()}')
    norm = float(np.linalg.norm(q))
    if abs(norm - 1.0) > 0.01:
        raise InputError(f'quaternion {q.tolist()} has norm {norm:.4f} instead of 1')
    return make_pose(Rotation.from_quat(q).as_matrix(), t)


def quat_xyzw(T: Pose) -> NDArray[np.float64]:
    """Return the unit quaternion xyzw, (4,) or (N, 4), of one pose (4, 4) or many (N, 4, 4)."""
    return np.asarray(Rotation.from_matrix(T[..., :3, :3]).as_quat())


def inverse(T: Pose) -> Pose:
    """Invert one rigid transform (4, 4) or a stack of them (N, 4, 4)."""
    out = np.zeros_like(T)
    R_transposed = np.swapaxes(T[..., :3, :3], -1, -2)
    out[..., :3, :3] = R_transposed
    out[..., :3, 3] = -(R_transposed @ T[..., :3, 3:])[..., 0]
    out[..., 3, 3] = 1.0
    return out


def orthonormalised(T: Pose) -> Pose:
    """Return one pose (4, 4) or many (N, 4, 4) without what rounding has done to the rotation.

    Products of products drift away from SO(3); with :func:`inverse`, which transposes, the error
    doubles from one to the next.
    """
    out = np.array(T)
    out[..., :3, :3] = Rotation.from_matrix(T[..., :3, :3]).as_matrix()
    return out


def transform_points(T_a_b: Pose, points_b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Map points (N, 3) from frame b to frame a."""
    return np.asarray(points_b @ T_a_b[:3, :3].T + T_a_b[:3, 3])


def rotation_angle_deg(T: Pose) -> float:
    """Return the angle in degrees by which the transform rotates."""
    return float(np.degrees(Rotation.from_matrix(T[:3, :3]).magnitude()))


def translation_m(T: Pose) -> float:
    """Return the length in metres of the transform's translation."""
    return float(np.linalg.norm(T[:3, 3]))


def expmap(xi: ArrayLike) -> Pose:
    """Exponential map of a twist (6,), rotation [rad] first, then translation [m]."""
    xi = np.asarray(xi, dtype=np.float64)
    omega, v = xi[:3], xi[3:]
    theta = float(np.linalg.norm(omega))
    W = _skew(omega)
    if theta < 1e-8:
        V = np.eye(3) + 0.5 * W
    else:
        V = (
            np.eye(3)
            + (1 - np.cos(theta)) / theta**2 * W
            + (theta - np.sin(theta)) / theta**3 * W @ W
        )
    return make_pose(Rotation.from_rotvec(omega).as_matrix(), V @ v)


def logmap(T: Pose) -> NDArray[np.float64]:
    """Logarithm of a transform (4, 4): the twist (6,), rotation [rad] first; inverts expmap."""
    omega = Rotation.from_matrix(T[:3, :3]).as_rotvec()
    theta = float(np.linalg.norm(omega))
    W = _skew(omega)
    if theta < 1e-8:
        V_inverse = np.eye(3) - 0.5 * W
    else:
        half = theta / 2
        V_inverse = np.eye(3) - 0.5 * W + (1 - half / np.tan(half)) / theta**2 * W @ W
    return np.concatenate([omega, V_inverse @ T[:3, 3]])


def interpolate(T_w_a: Pose, T_w_b: Pose, fraction: float) -> Pose:
    """Interpolate between two poses: linear in translation, shortest arc in rotation.

    Args:
        T_w_a: pose (4, 4) at fraction 0.
        T_w_b: pose (4, 4) at fraction 1.
        fraction: in [0, 1].
    """
    R_a = Rotation.from_matrix(T_w_a[:3, :3])
    R_b = Rotation.from_matrix(T_w_b[:3, :3])
    R = R_a * Rotation.from_rotvec(fraction * (R_a.inv() * R_b).as_rotvec())
    return make_pose(R.as_matrix(), (1 - fraction) * T_w_a[:3, 3] + fraction * T_w_b[:3, 3])


def check_pose(T: ArrayLike, name: str) -> Pose:
    """Return the pose with its rotation made exactly orthonormal, or say what is wrong with it.

    Raises:
        InputError: not 4x4, not finite, or the rotation is further than 1 % from orthonormal.
    """
    M = np.asarray(T, dtype=np.float64)
    if M.shape != (4, 4):
        raise InputError(f'{name} has shape {M.shape} instead of (4, 4)')
    if not np.isfinite(M).all():
        raise InputError(f'{name} is not finite')
    R = M[:3, :3]
    error = float(np.abs(R @ R.T - np.eye(3)).max())
    if error > 0.01 or np.linalg.det(R) < 0 or not np.allclose(M[3], [0, 0, 0, 1]):
        raise InputError(f'{name} is no rigid transform: its rotation is off by {error:.3g}')
    return make_pose(Rotation.from_matrix(R).as_matrix(), M[:3, 3])


def swap_rotation_translation(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Swap a (6, 6) matrix between rotation first (GTSAM) and translation first (ROS, g2o)."""
    return np.asarray(matrix[np.ix_(_SWAP, _SWAP)])


def adjoint(T_a_b: Pose) -> NDArray[np.float64]:
    """Return the (6, 6) adjoint, rotation first: it moves a twist from frame b to frame a."""
    A = np.zeros((6, 6))
    R = T_a_b[:3, :3]
    A[:3, :3] = A[3:, 3:] = R
    A[3:, :3] = _skew(T_a_b[:3, 3]) @ R
    return A


def _skew(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])
