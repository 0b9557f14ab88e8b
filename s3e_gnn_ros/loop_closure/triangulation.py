"""Landmarks without depth: triangulated between keyframes with the poses odometry gives."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import VerificationConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.matching import match_descriptors
from s3e_gnn_ros.types import Features, Keyframe

_MIN_PARALLAX_DEG = 1.5
_MAX_ERROR_PX = 2.0
_MAX_BASELINE_M = 3.0


def triangulate(
    keyframe: Keyframe, previous: list[Keyframe], config: VerificationConfig
) -> Features:
    """Give features without a landmark one, from matches with the keyframes just before.

    Over the short way between neighbouring keyframes odometry is metric and nearly free of
    drift. Where a later neighbour sees a feature too, the wider baseline wins.

    Args:
        keyframe: its features are completed.
        previous: the keyframes just before, same session, oldest first (the widest baseline).
        config: descriptor matching thresholds.

    Returns:
        The features with more landmarks; known ones are kept.
    """
    features = keyframe.features
    landmarks = features.landmarks_m.copy()
    for other in previous:
        T_other_camera = se3.inverse(other.T_odom_camera) @ keyframe.T_odom_camera
        if not 0 < se3.translation_m(T_other_camera) < _MAX_BASELINE_M:
            continue
        pairs = match_descriptors(
            features.descriptors,
            other.features.descriptors,
            config.max_hamming,
            config.match_ratio,
        )
        pairs = pairs[np.isnan(landmarks[pairs[:, 0], 2])]
        points, good = triangulate_pairs(
            features.points_normalised[pairs[:, 0]],
            other.features.points_normalised[pairs[:, 1]],
            T_other_camera,
            _MAX_ERROR_PX / keyframe.frame.camera.fx,
        )
        landmarks[pairs[good, 0]] = points[good]
    return replace(features, landmarks_m=landmarks)


def triangulate_pairs(
    points_a: NDArray[np.float64],
    points_b: NDArray[np.float64],
    T_b_a: Pose,
    max_error: float,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Triangulate points seen by two cameras.

    Args:
        points_a: (N, 2) undistorted, on the plane z = 1 of camera a.
        points_b: (N, 2) likewise of camera b.
        T_b_a: (4, 4) pose of a in b.
        max_error: bound on the reprojection error, on the plane z = 1.

    Returns:
        Points (N, 3) in camera a, and a mask (N,) of those in front of both cameras, seen under
        enough parallax and reprojected well into both.
    """
    if len(points_a) == 0:
        return np.zeros((0, 3)), np.zeros(0, dtype=bool)
    homogeneous = cv2.triangulatePoints(np.eye(3, 4), T_b_a[:3], points_a.T, points_b.T)
    with np.errstate(divide='ignore', invalid='ignore'):
        in_a = (homogeneous[:3] / homogeneous[3]).T
        in_b = se3.transform_points(T_b_a, in_a)
        error_a = np.linalg.norm(in_a[:, :2] / in_a[:, 2:] - points_a, axis=1)
        error_b = np.linalg.norm(in_b[:, :2] / in_b[:, 2:] - points_b, axis=1)
        from_b = in_a - se3.inverse(T_b_a)[:3, 3]
        cosine = (in_a * from_b).sum(axis=1) / (
            np.linalg.norm(in_a, axis=1) * np.linalg.norm(from_b, axis=1)
        )
    good = (
        np.isfinite(in_a).all(axis=1)
        & (in_a[:, 2] > 0.05)
        & (in_b[:, 2] > 0.05)
        & (error_a < max_error)
        & (error_b < max_error)
        & (cosine < np.cos(np.radians(_MIN_PARALLAX_DEG)))
    )
    return np.asarray(in_a), np.asarray(good)
