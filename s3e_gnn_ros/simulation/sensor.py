"""What a real camera does to a perfect view: noise, exposure, blur, holes in depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.simulation.noise import Rng

# Doubling an image linearly weighs neighbours 3:1 along each axis; this is the deviation left.
_UPSAMPLED_DEVIATION = 0.625


@dataclass(frozen=True)
class DepthNoise:
    """Depth from a stereo pair, stated in disparity d = focal * baseline / z.

        d' = round((d + n) / step) * step,   n ~ N(0, disparity_px^2)

    so the deviation of depth is z^2 * disparity_px / (focal * baseline). n is correlated over
    about two pixels. No depth beyond the range, on surfaces seen at a grazing angle, in a band
    beside steps in depth (half of it, at random), and in single random pixels. Depth is in whole
    millimetres.

    Attributes:
        baseline_m: between the two imagers.
        disparity_px: deviation of disparity.
        step_px: quantisation of disparity.
        min_m: nearest depth.
        max_m: farthest depth.
        min_cosine: of the angle between ray and normal; flatter surfaces give no depth.
        edge_px: half width of the band beside steps in depth.
        dropout: share of pixels lost anywhere.
    """

    baseline_m: float = 0.095
    disparity_px: float = 0.08
    step_px: float = 1 / 32
    min_m: float = 0.3
    max_m: float = 6.0
    min_cosine: float = 0.12
    edge_px: int = 2
    dropout: float = 0.002

    def sigma_m(self, depth_m: float, camera: PinholeCamera) -> float:
        """Deviation of depth [m] at a depth [m], before rounding."""
        return depth_m**2 * self.disparity_px / (camera.fx * self.baseline_m)

    def apply(
        self, depth_m: NDArray[np.float32], camera: PinholeCamera, rng: Rng
    ) -> NDArray[np.float32]:
        """Return what the sensor measures of the true depth (H, W); 0 where nothing."""
        height, width = depth_m.shape
        is_seen = depth_m > 0
        inverse = np.divide(1, depth_m, out=np.zeros_like(depth_m), where=is_seen)
        coarse = rng.standard_normal(((height + 1) // 2, (width + 1) // 2), dtype=np.float32)
        noise = cv2.resize(coarse, (coarse.shape[1] * 2, coarse.shape[0] * 2))[:height, :width]
        scale = np.float32(camera.fx * self.baseline_m)
        disparity = inverse * scale + noise * np.float32(self.disparity_px / _UPSAMPLED_DEVIATION)
        disparity = np.maximum(np.round(disparity / self.step_px), 1) * self.step_px
        measured = np.round(scale / disparity * 1000).astype(np.float32) / np.float32(1000)
        is_valid = is_seen & (measured >= self.min_m) & (measured <= self.max_m)
        chance = rng.random(depth_m.shape, dtype=np.float32)
        is_valid &= _cosines(inverse, camera) >= self.min_cosine
        is_valid &= ~(self._edges(inverse) & (chance < 0.5)) & (chance >= self.dropout)
        return np.where(is_valid, measured, np.float32(0))

    def _edges(self, inverse: NDArray[np.float32]) -> NDArray[np.bool_]:
        steps = np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > 0.04 * inverse
        size = 2 * self.edge_px - 1
        return np.asarray(cv2.dilate(steps.astype(np.uint8), np.ones((size, size), np.uint8)) > 0)


def _cosines(inverse: NDArray[np.float32], camera: PinholeCamera) -> NDArray[np.float32]:
    """Cosine (H, W) of the angle between ray and normal; inverse depth is linear on a plane."""
    nx = cv2.Sobel(inverse, cv2.CV_32F, 1, 0, ksize=1) * np.float32(camera.fx / 2)
    ny = cv2.Sobel(inverse, cv2.CV_32F, 0, 1, ksize=1) * np.float32(camera.fy / 2)
    x = ((np.arange(camera.width) - camera.cx) / camera.fx).astype(np.float32)
    y = ((np.arange(camera.height) - camera.cy) / camera.fy).astype(np.float32)[:, None]
    nz = inverse - nx * x - ny * y
    norm = np.sqrt((nx**2 + ny**2 + nz**2) * (1 + x**2 + y**2))
    return np.asarray(np.divide(inverse, norm, out=np.zeros_like(inverse), where=norm > 0))


@dataclass(frozen=True)
class ColourNoise:
    """Exposure, vignetting, motion blur and noise of a colour image.

        I' = gain * vignette * blur(I) + n,   n ~ N(0, read^2 + shot * I')

    Attributes:
        read: deviation of noise in the dark [grey levels].
        shot: growth of its variance with brightness [grey levels].
        vignetting: loss of light at the corners, as a share.
        target: mean brightness that automatic exposure strives for [grey levels].
        swing: slow wandering of exposure, as a share.
        exposure_s: time the shutter is open.
    """

    read: float = 1.0
    shot: float = 0.03
    vignetting: float = 0.12
    target: float = 115.0
    swing: float = 0.08
    exposure_s: float = 0.006

    def apply(
        self,
        image: NDArray[np.uint8],
        camera: PinholeCamera,
        angular_velocity_rps: NDArray[np.float64],
        time_s: float,
        rng: Rng,
    ) -> NDArray[np.uint8]:
        """Return what the sensor records of the view (H, W, 3).

        Args:
            image: perfect view, BGR.
            camera: its intrinsics.
            angular_velocity_rps: (3,) in the optical frame; it blurs.
            time_s: since the start; exposure wanders with it.
            rng: source of the noise.
        """
        blurred = _blur(image, camera, angular_velocity_rps * self.exposure_s).astype(np.float32)
        gain = np.clip((self.target / max(float(image.mean()), 1.0)) ** 0.6, 0.6, 1.8)
        gain *= 1 + self.swing * np.sin(0.7 * time_s) * np.cos(0.23 * time_s + 1)
        light = blurred * (self._vignette(camera) * np.float32(gain))[..., None]
        noise = rng.standard_normal(light.shape, dtype=np.float32)
        noise *= np.sqrt(np.float32(self.read**2) + np.float32(self.shot) * light)
        return np.asarray(np.clip(light + noise + np.float32(0.5), 0, 255), np.uint8)

    def _vignette(self, camera: PinholeCamera) -> NDArray[np.float32]:
        x = (np.arange(camera.width) - camera.cx) / (camera.width / 2)
        y = (np.arange(camera.height) - camera.cy) / (camera.height / 2)
        radius2 = (x**2 + y[:, None] ** 2) / 2
        return np.asarray(1 - self.vignetting * radius2, np.float32)


def _blur(
    image: NDArray[np.uint8], camera: PinholeCamera, turn_rad: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Average along the straight line that the middle of the image moves while turning."""
    dx, dy = -turn_rad[1] * camera.fx, turn_rad[0] * camera.fy
    length = float(np.hypot(dx, dy))
    if length < 0.5:
        return image
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for share in np.linspace(-0.5, 0.5, 4 * half + 1):
        x, y = half + share * dx, half + share * dy
        x0, y0 = int(x), int(y)
        fx, fy = x - x0, y - y0
        weights = np.outer((1 - fy, fy), (1 - fx, fx))
        kernel[y0 : y0 + 2, x0 : x0 + 2] += weights
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
