"""What spoils a robot's images: darkness, motion, defocus, noise, lamps, things in the way.

Each function takes a uint8 image (H, W) or (H, W, 3) and returns a new one of the same shape.
None moves a point of the image, so that the truth of a view stays true but where a thing in the
way hides it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Rng = np.random.Generator

_FULL_WELL = 255.0


def expose(image: Image, gain: float, gamma: float, contrast: float) -> Image:
    """Change exposure, gamma and contrast: 255 * (gain * I / 255)^gamma, spread about its mean."""
    levels = (np.arange(256, dtype=np.float64) / 255 * gain) ** gamma * 255
    mean = float(levels[image].mean())
    return _lookup(image, (levels - mean) * contrast + mean)


def darken(
    image: Image, light: float, gain: float, read_noise: float, shot_noise: float, rng: Rng
) -> Image:
    """Take the image at a share of the light, as a camera's sensor and its gain do.

        I' = gain * round(light * I + n),   n ~ N(0, read^2 + shot * light * I)

    What the sensor rounded away no gain brings back: a dark image made bright again has few
    grey levels, and noise of many.

    Args:
        image: at full light.
        light: share of the light that is left, in (0, 1].
        gain: amplification after the sensor, 1 for none.
        read_noise: deviation of noise in the dark [grey levels, before the gain].
        shot_noise: growth of its variance with brightness [grey levels, before the gain].
        rng: source of the noise.
    """
    signal = image.astype(np.float32) * np.float32(light)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= np.sqrt(np.float32(read_noise**2) + np.float32(shot_noise) * signal)
    recorded = np.clip(np.round(signal + noise), 0, _FULL_WELL)
    return _to_uint8(recorded * np.float32(gain))


def add_noise(image: Image, sigma: float, rng: Rng) -> Image:
    """Add white noise of a deviation [grey levels]."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    return _to_uint8(image + noise * np.float32(sigma))


def motion_blur(image: Image, length_px: float, angle_deg: float) -> Image:
    """Average along a straight line of a length [px] and direction, its middle staying put."""
    return np.asarray(
        cv2.filter2D(image, -1, line_kernel(length_px, angle_deg), borderType=cv2.BORDER_REFLECT),
        np.uint8,
    )


def line_kernel(length_px: float, angle_deg: float) -> NDArray[np.float32]:
    """Weights (K, K) of a line through the middle, drawn with bilinear weights; their sum is 1."""
    half = int(np.ceil(length_px / 2)) + 1
    angle = np.deg2rad(angle_deg)
    share = np.linspace(-0.5, 0.5, 4 * half + 1)
    x = half + share * length_px * np.cos(angle)
    y = half + share * length_px * np.sin(angle)
    x0, y0 = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    fx, fy = x - x0, y - y0
    kernel = np.zeros((2 * half + 2, 2 * half + 2))
    for dx, dy, weight in (
        (0, 0, (1 - fx) * (1 - fy)),
        (1, 0, fx * (1 - fy)),
        (0, 1, (1 - fx) * fy),
        (1, 1, fx * fy),
    ):
        np.add.at(kernel, (y0 + dy, x0 + dx), weight)
    kernel = kernel[: 2 * half + 1, : 2 * half + 1]  # odd: its middle is a pixel
    return np.asarray(kernel / kernel.sum(), np.float32)


def defocus(image: Image, radius_px: float) -> Image:
    """Average over a disc of a radius [px], as a lens out of focus does."""
    half = int(np.ceil(radius_px))
    steps = np.arange(-half, half + 1)
    distance = np.hypot(steps[:, None], steps[None, :])
    disc = np.clip(radius_px + 0.5 - distance, 0, 1).astype(np.float32)
    return np.asarray(
        cv2.filter2D(image, -1, disc / disc.sum(), borderType=cv2.BORDER_REFLECT), np.uint8
    )


def compress(image: Image, quality: int) -> Image:
    """Encode as JPEG of a quality in 1..100, and decode."""
    _, data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), np.uint8)


def vignette(image: Image, loss: float) -> Image:
    """Darken towards the corners, where the share ``loss`` of the light is lost."""
    height, width = image.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return _scale(image, 1 - np.float32(loss) * (x**2 + y**2) / 2)


def cast_shadow(image: Image, strength: float, rng: Rng) -> Image:
    """Darken (or, with a negative strength, brighten) one side of a random soft line."""
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    x = np.arange(width, dtype=np.float32) - np.float32(rng.uniform(0.2, 0.8) * width)
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(rng.uniform(0.2, 0.8) * height)
    softness = np.float32(rng.uniform(1, 0.1 * width))
    distance = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) / softness
    side = np.clip(distance, -0.5, 0.5) + np.float32(0.5)
    return _scale(image, 1 - np.float32(strength) * side)


def light_lamp(image: Image, strength: float, rng: Rng) -> Image:
    """Add the glare of one lamp at a random place; ``strength`` grey levels in its middle."""
    height, width = image.shape[:2]
    radius = np.float32(rng.uniform(0.08, 0.3) * width)
    x = np.arange(width, dtype=np.float32) - np.float32(rng.uniform(0, width))
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(rng.uniform(0, height))
    glow = np.float32(strength) * np.exp(-(x**2 + y**2) / (2 * radius**2))
    return _to_uint8(image + (glow[..., None] if image.ndim == 3 else glow))


def occlude(image: Image, num: int, max_share: float, rng: Rng) -> tuple[Image, NDArray[np.bool_]]:
    """Put flat or noisy convex things in the way, each up to a share of the image's area.

    Returns:
        The image, and a mask (H, W) of what they hide.
    """
    height, width = image.shape[:2]
    out = image.copy()
    is_hidden = np.zeros((height, width), np.bool_)
    for _ in range(num):
        radius = np.sqrt(rng.uniform(0.1, 1) * max_share * height * width / np.pi)
        corners = rng.normal(0, 0.7 * radius, (6, 2)) + rng.uniform((0, 0), (width, height))
        hull = cv2.convexHull(corners.astype(np.float32)).astype(np.int32)
        mask = np.zeros((height, width), np.uint8)
        cv2.fillConvexPoly(mask, hull, 1)
        cover = np.full(image.shape, rng.integers(5, 250, image.shape[2:]), np.uint8)
        cover = add_noise(cover, rng.uniform(0, 12), rng)
        out[mask > 0] = cover[mask > 0]
        is_hidden |= mask > 0
    return out, is_hidden


def _scale(image: Image, factor: NDArray[np.floating]) -> Image:
    """Multiply by a field (H, W)."""
    field = factor.astype(np.float32)
    return _to_uint8(image * (field[..., None] if image.ndim == 3 else field))


def _lookup(image: Image, levels: NDArray[np.float64]) -> Image:
    table = _to_uint8(levels.astype(np.float32))
    return np.asarray(table[image], np.uint8)


def _to_uint8(image: NDArray[np.float32]) -> Image:
    return np.asarray(np.clip(image + np.float32(0.5), 0, 255), np.uint8)
