"""Carries the correction of the keyframes over to every frame between them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.geometry.trajectory import Trajectory

Poses = NDArray[np.float64]
"""(N, 4, 4) rigid transforms."""


def corrected_trajectory(
    odometry: Trajectory,
    stamps_ns: NDArray[np.int64],
    T_odom_keyframe: Poses,
    T_map_keyframe: Poses,
    sessions: NDArray[np.int64] | None = None,
) -> Trajectory:
    """Move every odometry pose by the correction of the keyframes around it.

    A frame is placed once from the keyframe before it and once from the one after it; the two
    places are blended by time. Blending places instead of the two map-to-odom transforms leaves
    no error that grows with the distance from the odometry's origin. Before the first keyframe,
    after the last, and between two sessions one correction is held.

    Args:
        odometry: T_odom_frame of N frames.
        stamps_ns: (K,) increasing stamps of the keyframes.
        T_odom_keyframe: (K, 4, 4) the keyframes' odometry.
        T_map_keyframe: (K, 4, 4) the keyframes after optimisation.
        sessions: (K,) session of each keyframe; one session when None.

    Returns:
        T_map_frame at the stamps of ``odometry``; ``odometry`` itself when there is no keyframe.
    """
    if len(stamps_ns) == 0 or len(odometry) == 0:
        return odometry
    T_map_odom = T_map_keyframe @ inverse(T_odom_keyframe)  # (K, 4, 4)
    found = np.searchsorted(stamps_ns, odometry.stamps_ns, side='right') - 1
    before = np.clip(found, 0, None)  # (N,)
    after = np.where(found < 0, 0, np.minimum(before + 1, len(stamps_ns) - 1))
    if sessions is not None:
        after = np.where(sessions[before] == sessions[after], after, before)
    gap = (stamps_ns[after] - stamps_ns[before]).astype(np.float64)
    since = (odometry.stamps_ns - stamps_ns[before]).astype(np.float64)
    fraction = np.divide(since, gap, out=np.zeros_like(since), where=gap > 0)
    placed_before = T_map_odom[before] @ odometry.poses
    placed_after = T_map_odom[after] @ odometry.poses
    return Trajectory(odometry.stamps_ns, _blend(placed_before, placed_after, fraction))


def _blend(a: Poses, b: Poses, fraction: NDArray[np.float64]) -> Poses:
    """Interpolate pose by pose: linear in translation, shortest arc in rotation."""
    R_a = Rotation.from_matrix(a[:, :3, :3])
    R_b = Rotation.from_matrix(b[:, :3, :3])
    step = Rotation.from_rotvec(fraction[:, None] * (R_a.inv() * R_b).as_rotvec())
    out = a.copy()
    out[:, :3, :3] = (R_a * step).as_matrix()
    out[:, :3, 3] += fraction[:, None] * (b[:, :3, 3] - a[:, :3, 3])
    return out
