"""Textures of walls, floors, ceilings and furniture, drawn from noise and simple shapes."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.simulation.noise import (
    Colour,
    Rng,
    canvas,
    finish,
    fractal_noise,
    grain,
    jitter,
    marks,
)
from s3e_gnn_ros.simulation.scene import Texture

Image = NDArray[np.float32]


def plaster(rng: Rng, size_px: tuple[int, int], colour: Colour) -> Texture:
    """Old painted plaster with trowel strokes and marks; size is (width, height)."""
    width, height = size_px
    image = grain(rng, canvas(height, width, colour), 5, 4)
    strokes = fractal_noise(rng, height, width, 24, 3)
    ridges = np.clip(np.abs(strokes) - 1.4, 0, 1)[..., None]
    image -= ridges * 45
    marks(rng, image, 700, 42)
    return finish(image)


def wallpaper(rng: Rng, size_px: tuple[int, int], colour: Colour, accent: Colour) -> Texture:
    """Stripes with rows of small motifs, each drawn a little differently."""
    width, height = size_px
    image = canvas(height, width, colour)
    pitch = int(rng.integers(44, 60))
    for k, x in enumerate(range(0, width, pitch)):
        if k % 2:
            image[:, x : x + pitch] = jitter(rng, tuple(image[0, x] - 10), 2)
        for y in range(-(k % 2) * pitch // 2, height + pitch, pitch):
            _motif(rng, image, x + pitch // 2, y + pitch // 2, pitch // 4, accent)
    image = grain(rng, image, 4, 3)
    marks(rng, image, 120, 30)
    return finish(image)


def _motif(rng: Rng, image: Image, x: int, y: int, radius: int, accent: Colour) -> None:
    turn = float(rng.uniform(0, 360))
    petals = int(rng.integers(3, 7))
    ink = jitter(rng, accent, 14)
    for k in range(petals):
        angle = np.radians(turn + 360 * k / petals)
        at = (int(x + radius * 0.7 * np.cos(angle)), int(y + radius * 0.7 * np.sin(angle)))
        axes = (max(2, int(radius * rng.uniform(0.35, 0.6))), max(2, radius // 4))
        cv2.ellipse(image, at, axes, float(np.degrees(angle)), 0, 360, ink, -1, cv2.LINE_AA)
    cv2.circle(image, (x, y), max(2, radius // 4), jitter(rng, accent, 30), -1, cv2.LINE_AA)


def bricks(rng: Rng, size_px: tuple[int, int], colour: Colour, px_per_m: float) -> Texture:
    """A wall of bricks in running bond, every brick of its own shade."""
    width, height = size_px
    image = canvas(height, width, (150, 158, 162))
    length, course = int(0.25 * px_per_m), int(0.085 * px_per_m)
    for row, y in enumerate(range(0, height, course)):
        for x in range(-(row % 2) * length // 2, width, length):
            left, right = x + int(rng.integers(1, 3)), x + length - int(rng.integers(2, 5))
            top, bottom = y + 1, y + course - int(rng.integers(2, 4))
            shade = jitter(rng, colour, 22)
            cv2.rectangle(image, (left, top), (right, bottom), shade, -1)
    image = grain(rng, image, 6, 6)
    marks(rng, image, 260, 35)
    return finish(image)


def tiles(
    rng: Rng, size_px: tuple[int, int], colours: list[Colour], tile_px: int, decorated: float
) -> Texture:
    """Square tiles with joints; a share ``decorated`` of them carries an ornament."""
    width, height = size_px
    image = canvas(height, width, (120, 122, 124))
    for y in range(0, height, tile_px):
        for x in range(0, width, tile_px):
            base = colours[int(rng.integers(len(colours)))]
            corner, end = (x + 1, y + 1), (x + tile_px - 3, y + tile_px - 3)
            cv2.rectangle(image, corner, end, jitter(rng, base, 9), -1)
            if rng.random() < decorated:
                middle = (x + tile_px // 2, y + tile_px // 2)
                _motif(rng, image, *middle, int(tile_px * 0.35), jitter(rng, (120, 70, 50), 40))
    image = grain(rng, image, 4, 3)
    marks(rng, image, 150, 30)
    return finish(image)


def planks(rng: Rng, size_px: tuple[int, int], colour: Colour, plank_px: int) -> Texture:
    """A floor of boards with grain, knots and joints, running along x."""
    width, height = size_px
    image = canvas(height, width, colour)
    for y in range(0, height, plank_px):
        x = -int(rng.integers(0, plank_px * 5))
        while x < width:
            end = x + int(rng.integers(plank_px * 4, plank_px * 8))
            image[y : y + plank_px, max(x, 0) : end] = jitter(rng, colour, 15)
            x = end
            if 0 <= x < width:
                image[y : y + plank_px, x : x + 2] *= 0.55
        image[y : y + 2] *= 0.6
    lines = cv2.resize(
        rng.standard_normal((height, width // 24 + 2), dtype=np.float32), (width, height)
    )
    warp = fractal_noise(rng, height, width, 60, 3)
    image += (np.asarray(lines) * 7 + np.sin(warp * 6) * 5)[..., None]
    _knots(rng, image, colour)
    marks(rng, image, 150, 26)
    return finish(image)


def _knots(rng: Rng, image: Image, colour: Colour) -> None:
    height, width = image.shape[:2]
    dark = (colour[0] * 0.45, colour[1] * 0.45, colour[2] * 0.45)
    for _ in range(int(height * width / 22000)):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(4, 11)), int(rng.integers(2, 6)))
        cv2.ellipse(image, at, axes, float(rng.uniform(-15, 15)), 0, 360, dark, -1, cv2.LINE_AA)


def terrazzo(rng: Rng, size_px: tuple[int, int], colour: Colour, chips: list[Colour]) -> Texture:
    """A polished floor with stone chips and brass joints."""
    width, height = size_px
    image = canvas(height, width, colour)
    for _ in range(int(height * width / 420)):
        at = rng.uniform((0, 0), (width, height))
        corners = at + rng.normal(0, rng.uniform(2, 6.5), (5, 2))
        hull = cv2.convexHull(corners.astype(np.int32).reshape(-1, 1, 2))
        cv2.fillConvexPoly(image, hull, jitter(rng, chips[int(rng.integers(len(chips)))], 15))
    for x in range(0, width, 200):
        image[:, x : x + 2] = (90, 130, 150)
    return finish(grain(rng, image, 4, 2))


def carpet(rng: Rng, size_px: tuple[int, int], colour: Colour, accents: list[Colour]) -> Texture:
    """A woven rug: border, rows of ornaments, coarse pile."""
    width, height = size_px
    image = canvas(height, width, colour)
    border = max(14, min(width, height) // 12)
    for k, accent in enumerate(accents):
        inset = border * (k + 1) // 2
        end = (width - inset, height - inset)
        cv2.rectangle(image, (inset, inset), end, jitter(rng, accent, 10), border // 4)
    pitch = border * 2
    for y in range(pitch + border, height - pitch, pitch):
        for x in range(pitch + border, width - pitch, pitch):
            accent = accents[int(rng.integers(len(accents)))]
            if rng.random() < 0.5:
                _motif(rng, image, x, y, int(pitch * 0.4), accent)
            else:
                _diamond(rng, image, x, y, int(pitch * 0.42), accent)
    return finish(grain(rng, image, 4, 11))


def _diamond(rng: Rng, image: Image, x: int, y: int, radius: int, colour: Colour) -> None:
    for scale in (1.0, 0.6, 0.3):
        r = int(radius * scale * rng.uniform(0.8, 1.1))
        corners = np.array([[x - r, y], [x, y - r], [x + r, y], [x, y + r]], np.int32)
        cv2.fillConvexPoly(image, corners, jitter(rng, colour, 30), cv2.LINE_AA)


def ceiling_panels(rng: Rng, size_px: tuple[int, int], panel_px: int) -> Texture:
    """Mineral-fibre panels with holes in a metal grid."""
    width, height = size_px
    image = canvas(height, width, (196, 198, 200))
    for _ in range(int(height * width / 260)):
        at = (int(rng.integers(width)), int(rng.integers(height)))
        depth = float(rng.uniform(95, 165))
        cv2.circle(image, at, int(rng.integers(1, 4)), (depth, depth, depth), -1, cv2.LINE_AA)
    for x in range(0, width, panel_px):
        image[:, x : x + 3] = 150
    for y in range(0, height, panel_px):
        image[y : y + 3] = 150
    return finish(grain(rng, image, 3, 2))


def wood(rng: Rng, size_px: tuple[int, int], colour: Colour) -> Texture:
    """Veneer of furniture, grain along x."""
    width, height = size_px
    image = canvas(height, width, colour)
    warp = fractal_noise(rng, height, max(8, width // 6), 50, 3)
    warp = np.asarray(cv2.resize(warp, (width, height)))
    image += (np.sin(warp * 7) * 11 + fractal_noise(rng, height, width, 5, 2) * 4)[..., None]
    _knots(rng, image, colour)
    marks(rng, image, 350, 32)
    return finish(image)


def fabric(rng: Rng, size_px: tuple[int, int], colour: Colour, accent: Colour) -> Texture:
    """Woven cloth in a check of uneven bands."""
    width, height = size_px
    image = canvas(height, width, colour)
    for axis, length in ((0, height), (1, width)):
        at = 0
        while at < length:
            band = int(rng.integers(6, 26))
            mix = float(rng.choice([0, 0, 0.25, 0.5]))
            rows = (slice(at, at + band), slice(None)) if axis == 0 else (
                slice(None), slice(at, at + band)
            )  # fmt: skip
            image[rows] = image[rows] * (1 - mix) + np.array(accent, np.float32) * mix
            at += band
    image = grain(rng, image, 4, 7)
    marks(rng, image, 150, 25)
    return finish(image)
