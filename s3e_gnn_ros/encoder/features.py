"""ORB features of a frame, lifted to landmarks where depth is known."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.image_planes import as_grey, check_image, expose
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.types import Features, Frame

_DEPTH_WINDOW_PX = 1


class OrbExtractor:
    """Extracts ORB features; the one place that decides what a keypoint is.

    Args:
        config: number of features, pyramid, thresholds, usable depth.
    """

    def __init__(self, config: FeatureConfig) -> None:
        self._config = config
        self._orb = cv2.ORB_create(
            nfeatures=config.num_features,
            scaleFactor=config.scale_factor,
            nlevels=config.num_levels,
            fastThreshold=config.fast_threshold,
        )

    def describe(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return only the descriptors (N, 32) uint8 of an image (H, W) or (H, W, 3) BGR."""
        _, descriptors = self._detect(expose(to_grey(image)))
        return _as_descriptors(descriptors)

    def detect(self, image: NDArray[np.uint8]) -> Features:
        """Detect and describe the features of an image without camera or depth.

        Args:
            image: (H, W) grey, (H, W, 3) BGR or (H, W, 4) BGRA, uint8.

        Returns:
            Features without landmarks, whose ``points_normalised`` are pixels.

        Raises:
            InputError: the image has another shape or type.
        """
        width, height = check_image(image)
        return self.extract(Frame(0, as_grey(image), PinholeCamera(width, height, 1, 1, 0, 0)))

    def extract(self, frame: Frame) -> Features:
        """Detect and describe features, and look up their landmarks in the depth image.

        An image without texture gives zero features.
        """
        keypoints, descriptors = self._detect(expose(to_grey(frame.image)))
        return self._features(frame, keypoints, descriptors)

    def extract_at(self, frame: Frame, points_px: NDArray[np.floating]) -> Features:
        """Describe given keypoints (N, 2) of a front end beside the detector's own.

        A front end's keypoints (about 150 tracked corners) are too few to match two views, as
        VINS-Mono's loop closing found as well: both sets are used, the front end's first.
        """
        size = 31.0  # ORB's patch at the finest level
        grey = expose(to_grey(frame.image))
        self._fit_pyramid(grey)
        own = self._orb.detect(grey, None)
        given = [cv2.KeyPoint(float(x), float(y), size, angle=-1) for x, y in points_px]
        # ORB gives no angle to keypoints it did not detect, and would describe them upright.
        _set_intensity_centroid_angles(grey, given)
        keypoints, descriptors = self._orb.compute(grey, [*given, *own])
        return self._features(frame, keypoints, descriptors)

    def _detect(
        self, grey: NDArray[np.uint8]
    ) -> tuple[tuple[cv2.KeyPoint, ...], NDArray[np.uint8] | None]:
        self._fit_pyramid(grey)
        keypoints, descriptors = self._orb.detectAndCompute(grey, None)
        return tuple(keypoints), descriptors

    def _fit_pyramid(self, grey: NDArray[np.uint8]) -> None:
        """Leave out the levels that would have no pixel: OpenCV raises on them."""
        num_steps = math.log(min(grey.shape)) / math.log(self._config.scale_factor)
        self._orb.setNLevels(min(self._config.num_levels, 1 + int(num_steps)))

    def _features(
        self,
        frame: Frame,
        keypoints: tuple[cv2.KeyPoint, ...],
        descriptors: NDArray[np.uint8] | None,
    ) -> Features:
        points_px = np.array([k.pt for k in keypoints], dtype=np.float32).reshape(-1, 2)
        normalised = frame.camera.normalise(points_px)
        return Features(
            points_px=points_px,
            points_normalised=normalised,
            sizes_px=np.array([k.size for k in keypoints], dtype=np.float32),
            angles_deg=np.array([k.angle for k in keypoints], dtype=np.float32),
            responses=np.array([k.response for k in keypoints], dtype=np.float32),
            descriptors=_as_descriptors(descriptors),
            landmarks_m=self._landmarks(frame, points_px, normalised),
        )

    def _landmarks(
        self, frame: Frame, points_px: NDArray[np.float32], normalised: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if frame.depth_m is None or len(points_px) == 0:
            return np.full((len(points_px), 3), np.nan)
        z = depth_at(frame.depth_m, points_px)
        z[(z < self._config.min_depth_m) | (z > self._config.max_depth_m)] = np.nan
        return np.column_stack([normalised * z[:, None], z])


def to_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a (H, W) grey image of a grey or BGR one."""
    if image.ndim == 2:
        return image
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), dtype=np.uint8)


def depth_at(depth_m: NDArray[np.float32], points_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """Look up the depth of the nearest surface in the 3x3 pixels around each point (N, 2).

    A corner on an edge belongs to the surface in front, and its exact pixel often has no depth.

    Returns:
        (N,) float64 in metres; NaN where no pixel around has depth.
    """
    height, width = depth_m.shape
    columns = np.clip(np.round(points_px[:, 0]).astype(np.intp), 0, width - 1)
    rows = np.clip(np.round(points_px[:, 1]).astype(np.intp), 0, height - 1)
    steps = np.arange(-_DEPTH_WINDOW_PX, _DEPTH_WINDOW_PX + 1)
    window = depth_m[
        np.clip(rows[:, None, None] + steps[:, None], 0, height - 1),
        np.clip(columns[:, None, None] + steps[None, :], 0, width - 1),
    ]  # (N, 3, 3)
    nearest = np.where(window > 0, window, np.inf).min(axis=(1, 2)).astype(np.float64)
    return np.where(np.isfinite(nearest), nearest, np.nan)


def _set_intensity_centroid_angles(
    grey: NDArray[np.uint8], keypoints: list[cv2.KeyPoint], radius: int = 15
) -> None:
    """Give keypoints the orientation ORB would (Rosin's intensity centroid over a disc)."""
    if not keypoints:
        return
    padded = cv2.copyMakeBorder(grey, *(radius,) * 4, cv2.BORDER_REFLECT_101)
    steps = np.arange(-radius, radius + 1)
    disc = (steps[:, None] ** 2 + steps[None, :] ** 2) <= radius**2
    centres = np.round([k.pt for k in keypoints]).astype(np.intp) + radius
    centres = np.clip(centres, radius, np.array(padded.shape[::-1]) - radius - 1)
    rows = centres[:, 1, None, None] + steps[:, None]
    columns = centres[:, 0, None, None] + steps[None, :]
    patches = padded[rows, columns] * disc  # (N, 31, 31)
    moments_y = (patches * steps[:, None]).sum(axis=(1, 2))
    moments_x = (patches * steps[None, :]).sum(axis=(1, 2))
    angles = np.degrees(np.arctan2(moments_y, moments_x)) % 360.0
    for keypoint, angle in zip(keypoints, angles, strict=True):
        keypoint.angle = float(angle)


def _as_descriptors(descriptors: NDArray[np.uint8] | None) -> NDArray[np.uint8]:
    return np.zeros((0, 32), dtype=np.uint8) if descriptors is None else descriptors
