"""Multi-octave noise and small marks that keep painted surfaces from being flat."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Colour = tuple[float, float, float]
"""Blue, green, red, 0 to 255."""


def fractal_noise(
    rng: Rng, height: int, width: int, coarsest_px: float, octaves: int, gain: float = 0.6
) -> NDArray[np.float32]:
    """Smooth noise (H, W) with mean 0 and deviation 1.

    Args:
        rng: source of chance.
        height: rows.
        width: columns.
        coarsest_px: size of the largest blobs.
        octaves: number of layers, each of half the size of the one before.
        gain: strength of a layer relative to the one before.
    """
    total = np.zeros((height, width), np.float32)
    for k in range(octaves):
        cell = max(1.0, coarsest_px / 2**k)
        rows, columns = int(height / cell) + 2, int(width / cell) + 2
        grid = rng.standard_normal((rows, columns), dtype=np.float32)
        layer = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
        total += np.asarray(layer, np.float32) * np.float32(gain**k)
    total -= total.mean()
    return np.asarray(total / (total.std() + 1e-6), np.float32)


def canvas(height: int, width: int, colour: Colour) -> NDArray[np.float32]:
    """One colour, (H, W, 3) float32."""
    return np.full((height, width, 3), colour, np.float32)


def finish(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Clip to the range of a texture."""
    return np.clip(image, 5, 250).astype(np.uint8)


def grain(rng: Rng, image: NDArray[np.float32], coarse: float, fine: float) -> NDArray[np.float32]:
    """Add blotches of deviation ``coarse`` and grain of deviation ``fine`` grey levels."""
    height, width = image.shape[:2]
    blotches = fractal_noise(rng, height, width, 200, 4) * coarse
    speckle = fractal_noise(rng, height, width, 6, 3, gain=0.9) * fine
    return image + (blotches + speckle)[..., None]


def marks(rng: Rng, image: NDArray[np.float32], per_mpx: float, contrast: float) -> None:
    """Draw scuffs, specks and scratches in place, ``per_mpx`` per million pixels."""
    height, width = image.shape[:2]
    for _ in range(int(per_mpx * height * width / 1e6)):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        shade = float(rng.choice([-1, -1, 1]) * rng.uniform(0.4, 1.0) * contrast)
        around = image[y, x] + shade
        colour = tuple(float(c) for c in np.clip(around, 0, 255))
        if rng.random() < 0.6:
            axes = (int(rng.integers(2, 6)), int(rng.integers(2, 5)))
            angle = float(rng.uniform(0, 180))
            cv2.ellipse(image, (x, y), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)
        else:
            dx, dy = rng.integers(-22, 23, 2)
            end = (x + int(dx), y + int(dy))
            cv2.line(image, (x, y), end, colour, int(rng.integers(1, 3)), cv2.LINE_AA)


def jitter(rng: Rng, colour: Colour, amount: float) -> Colour:
    """Return a colour near the given one: brightness and tint vary by about ``amount``."""
    shift = rng.normal(0, amount) + rng.normal(0, amount * 0.35, 3)
    b, g, r = np.clip(np.array(colour) + shift, 0, 255)
    return float(b), float(g), float(r)
