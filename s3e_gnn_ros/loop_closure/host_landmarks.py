"""Landmarks that the front end has triangulated, for features without depth."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.types import Features

_MIN_DEPTH_M = 0.05


def add_host_landmarks(
    features: Features, keypoints_px: NDArray[np.floating], landmarks_m: NDArray[np.floating]
) -> Features:
    """Give features at the front end's keypoints its landmarks, where they have none.

    Args:
        features: of the image; some of the keypoints may be missing among them.
        keypoints_px: (N, 2) of the front end.
        landmarks_m: (N, 3) of these, in the camera's optical frame; NaN where unknown.

    Raises:
        InputError: there are not as many landmarks as keypoints.
    """
    keypoints, landmarks = np.asarray(keypoints_px), np.asarray(landmarks_m, dtype=np.float64)
    if landmarks.shape != (len(keypoints), 3):
        raise InputError(
            f'landmarks are {landmarks.shape} instead of ({len(keypoints)}, 3), one per keypoint'
        )
    is_usable = np.isfinite(landmarks).all(axis=1) & (landmarks[:, 2] > _MIN_DEPTH_M)
    pixels = keypoints[is_usable].astype(np.float32).tolist()  # as features hold them
    known = dict(zip(map(tuple, pixels), landmarks[is_usable], strict=True))
    completed = features.landmarks_m.copy()
    for row in np.flatnonzero(~features.has_landmark).tolist():
        landmark = known.get(tuple(features.points_px[row].tolist()))
        if landmark is not None:
            completed[row] = landmark
    return dataclasses.replace(features, landmarks_m=completed)
