"""Odometry from the recording's own images and depth: real drift, for recordings without any."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.types import Frame

_WIDTH_PX = 320  # as accurate as 640 on the recordings tried, at a quarter of the time
_MAX_STEP_M = 0.5
_MAX_STEP_DEG = 30.0


class RgbdOdometry:
    """Tracks the camera from frame to frame on colour and depth (OpenCV's ``Odometry``).

    Dense alignment of intensity and point-to-plane depth (Steinbrücker et al. 2011; KinectFusion
    2011). Nothing is kept but the last frame, so the error of every step adds up: what a loop
    closure is there to correct.

    Args:
        camera: intrinsics of colour and depth; the image must be rectified.
        max_depth_m: farther depth is ignored.

    Raises:
        DependencyError: OpenCV is older than 5.
    """

    def __init__(self, camera: PinholeCamera, max_depth_m: float) -> None:
        if not hasattr(cv2, 'OdometrySettings'):
            raise DependencyError(
                f'--odometry rgbd needs OpenCV 5, this is {cv2.__version__}: '
                'pip install "opencv-python-headless>=5"'
            )
        self._step_px = max(1, round(camera.width / _WIDTH_PX))
        settings = cv2.OdometrySettings()
        settings.setCameraMatrix(camera.scaled(1.0 / self._step_px).matrix.astype(np.float32))
        settings.setMaxDepth(max_depth_m)
        self._odometry = cv2.Odometry(
            cv2.OdometryType_RGB_DEPTH, settings, cv2.OdometryAlgoType_COMMON
        )
        self._max_depth_m = max_depth_m
        self._previous: tuple[NDArray[np.float32], NDArray[np.uint8]] | None = None
        self._T_odom_camera = np.eye(4)
        self._step: Pose = np.eye(4)
        self.num_lost = 0
        """Steps that could not be measured; the step before was repeated instead."""

    def track(self, image: NDArray[np.uint8], depth_m: NDArray[np.float32]) -> Pose:
        """Return T_odom_camera (4, 4) of the next frame; the first one defines odom."""
        grey, depth = self._reduce(image, depth_m)
        if self._previous is not None:
            self._step = self._measure(depth, grey)
            self._T_odom_camera = self._T_odom_camera @ self._step
        self._previous = depth, grey
        return self._T_odom_camera

    def _reduce(
        self, image: NDArray[np.uint8], depth_m: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Average the image, pick from the depth: an average would invent surfaces at edges."""
        step = self._step_px
        grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        middle = step // 2
        depth = depth_m[middle::step, middle::step]
        size = depth.shape[::-1]
        depth = np.where(depth <= self._max_depth_m, depth, 0.0).astype(np.float32)
        return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA)), depth

    def _measure(self, depth: NDArray[np.float32], grey: NDArray[np.uint8]) -> Pose:
        assert self._previous is not None  # the caller has checked
        found, T_previous_camera = self._compute(depth, grey, *self._previous)
        if (
            not found
            or not np.isfinite(T_previous_camera).all()
            or se3.translation_m(T_previous_camera) > _MAX_STEP_M
            or se3.rotation_angle_deg(T_previous_camera) > _MAX_STEP_DEG
        ):
            self.num_lost += 1
            return self._step
        return T_previous_camera

    def _compute(self, *images: Any) -> tuple[bool, Pose]:
        try:
            found, T = self._odometry.compute(*images)
        except cv2.error:  # no valid depth, or no texture at all
            return False, np.eye(4)
        return bool(found), np.asarray(T, dtype=np.float64)


def with_rgbd_odometry(frames: Iterator[Frame], max_depth_m: float = 5.0) -> Iterator[Frame]:
    """Replace the odometry of frames by one computed from their images and depth.

    Raises:
        InputError: a frame has no depth, or its image is distorted.
        DependencyError: OpenCV is older than 5.
    """
    odometry: RgbdOdometry | None = None
    for frame in frames:
        if frame.depth_m is None:
            raise InputError(
                f'--odometry rgbd needs depth, the frame at {frame.stamp_ns} ns has none'
            )
        if odometry is None:
            if frame.camera.is_distorted:
                raise InputError('--odometry rgbd needs rectified images, these are distorted')
            odometry = RgbdOdometry(frame.camera, max_depth_m)
        yield dataclasses.replace(frame, T_odom_camera=odometry.track(frame.image, frame.depth_m))
