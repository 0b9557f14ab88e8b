"""Keeps the camera that a stream of camera_info messages describes."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.messages import Message, camera_from_message
from s3e_gnn_ros.data.options import CameraOverride
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.camera import PinholeCamera

_RECTIFIED = re.compile(r'(^|[/_])rect')


def is_rectified_topic(topic: str) -> bool:
    """Tell from a topic's name (``image_rect``, ``rectified``) whether it is rectified."""
    return _RECTIFIED.search(topic) is not None


class CameraTracker:
    """The camera of the images now: the last valid camera_info, whose size never changes.

    Args:
        override: intrinsics that take the place of camera_info.
        is_rectified: images are rectified; see :func:`camera_from_message`.
    """

    def __init__(
        self, override: CameraOverride | None = None, *, is_rectified: bool = False
    ) -> None:
        """Start without a camera."""
        self._override = override
        self._is_rectified = is_rectified
        self.camera: PinholeCamera | None = None

    def update(self, info: Message) -> None:
        """Take a sensor_msgs/CameraInfo; the camera known before stays when it is refused.

        Raises:
            DropError: ``camera_info``, when it is invalid or of another size than the first.
        """
        if self._override is not None:
            return
        camera = camera_from_message(info, is_rectified=self._is_rectified)
        known = self.camera
        if known is not None and (known.width, known.height) != (camera.width, camera.height):
            raise DropError(
                'camera_info',
                f'camera_info changes its size from {known.width}x{known.height} '
                f'to {camera.width}x{camera.height}',
            )
        self.camera = camera

    def camera_of(self, image: NDArray[np.uint8]) -> PinholeCamera:
        """Return the camera of an image (H, W) or (H, W, 3).

        Raises:
            DropError: ``no_camera_info``, when none has come yet.
        """
        if self.camera is None and self._override is not None:
            height, width = image.shape[:2]
            self.camera = self._override.camera(width, height)
        if self.camera is None:
            raise DropError('no_camera_info', 'no valid camera_info has come before the image')
        return self.camera
