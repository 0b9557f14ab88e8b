"""Patches of an image around its keypoints: what the networks read."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.completion import ORB_SIZE_PX
from s3e_gnn_ros.encoder.image_planes import as_grey, as_rgb, check_image, expose
from s3e_gnn_ros.encoder.selection import PatchKeypoints
from s3e_gnn_ros.errors import ConfigError

FORMS = ('improved', 'paper')

# cv2.remap takes no more rows than a 16-bit number counts.
_MAX_ROWS = 32_000
# Steps of the image pyramid per halving: samples are then at most 19% too far apart or too near.
_STEPS_PER_OCTAVE = 2
_MIN_LEVEL_PX = 8


@dataclass(frozen=True, eq=False)
class Patches:
    """The n patches of one image.

    Attributes:
        pixels: (n, C, S, S) uint8; C = 3 RGB and S = P in the paper's form, else one
            grey channel per scale.
        points_px: (n, 2) float32, their centres.
        sizes_px: (n,) float32, diameter of the keypoints.
        angles_deg: (n,) float32, orientation of the keypoints.
        keypoint_index: (n,) intp, position among the features; -1 for a completed point.
        image_size: width and height of the image [px].
    """

    pixels: NDArray[np.uint8]
    points_px: NDArray[np.float32]
    sizes_px: NDArray[np.float32]
    angles_deg: NDArray[np.float32]
    keypoint_index: NDArray[np.intp]
    image_size: tuple[int, int]

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.pixels)


def cut_patches(
    image: NDArray[np.uint8],
    keypoints: PatchKeypoints,
    form: str = 'improved',
    patch_size_px: int = 32,
    sampled_size: int = 32,
    num_scales: int = 1,
) -> Patches:
    """Cut one patch around each keypoint.

    Form 'paper': upright P x P crops at whole pixels, RGB; past the border the last pixel is
    repeated (the selection's margin keeps keypoints away from it).

    Form 'improved': grey squares of side P * size / 31, turned by the keypoint's angle, sampled
    S x S from the level of an image pyramid that fits their scale; further channels show twice,
    four times ... the surroundings. Differs from the paper, whose patches change when the robot
    rolls or comes nearer.

    Args:
        image: (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA, uint8.
        keypoints: n of them.
        form: 'improved' or 'paper'.
        patch_size_px: P; at ORB's finest scale in the improved form.
        sampled_size: S, of the improved form.
        num_scales: C, of the improved form.

    Raises:
        ConfigError: unknown form.
        InputError: an image of another shape or type.
    """
    image_size = check_image(image)
    if form == 'paper':
        pixels = _crop(image, keypoints.points_px, patch_size_px)
    elif form == 'improved':
        sides_px = [patch_size_px * 2**k for k in range(num_scales)]
        pixels = _sample(expose(as_grey(image)), keypoints, sides_px, sampled_size)
    else:
        raise ConfigError(f'form of the patches is {form!r} instead of one of {FORMS}')
    return Patches(
        pixels,
        keypoints.points_px,
        keypoints.sizes_px,
        keypoints.angles_deg,
        keypoints.keypoint_index,
        image_size,
    )


def _crop(
    image: NDArray[np.uint8], points_px: NDArray[np.float32], side: int
) -> NDArray[np.uint8]:
    """Return upright crops (n, 3, P, P); pixel (P / 2, P / 2) is the one of the keypoint."""
    corners = np.round(points_px).astype(np.intp) - side // 2  # (n, 2) x, y
    size = np.array(image.shape[1::-1])
    before = max(0, -int(corners.min(initial=0)))
    after = max(0, int((corners + side - size).max(initial=0)))
    if before or after:
        padding = (before, after, before, after)
        image = np.asarray(
            cv2.copyMakeBorder(image, *padding, cv2.BORDER_REPLICATE), dtype=np.uint8
        )
        corners = corners + before
    planes = image.reshape(*image.shape[:2], -1)
    windows = np.lib.stride_tricks.sliding_window_view(planes, (side, side), axis=(0, 1))
    return as_rgb(windows[corners[:, 1], corners[:, 0]])  # (n, C, P, P) -> (n, 3, P, P)


def _sample(
    grey: NDArray[np.uint8], keypoints: PatchKeypoints, sides_px: list[int], sampled_size: int
) -> NDArray[np.uint8]:
    """Return turned and scaled patches (n, C, S, S), one channel per side."""
    num, num_scales = len(keypoints), len(sides_px)
    per_pixel = np.array(sides_px, np.float32) / np.float32(ORB_SIZE_PX * sampled_size)
    steps_px = np.outer(keypoints.sizes_px, per_pixel).ravel()  # (n * C,)
    levels = np.round(np.log2(np.maximum(steps_px, 1.0)) * _STEPS_PER_OCTAVE).astype(np.intp)
    levels = np.minimum(levels, _top_level(grey.shape))
    order = np.argsort(levels, kind='stable')  # samples of one level side by side
    pyramid = _pyramid(grey, int(levels.max(initial=0)))
    scales = np.array([shrunk.shape for shrunk in pyramid]) / grey.shape  # (L, 2)
    x, y = _sample_positions(
        keypoints, order // num_scales, steps_px[order], scales[levels[order]], sampled_size
    )
    sampled = _read(pyramid, np.bincount(levels, minlength=len(pyramid)), x, y)
    pixels = np.empty_like(sampled)
    pixels[order] = sampled
    return pixels.reshape(num, num_scales, sampled_size, sampled_size)


def _read(
    pyramid: list[NDArray[np.uint8]],
    counts: NDArray[np.intp],
    x: NDArray[np.float32],
    y: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """Return the grey levels at positions (N, S * S), ``counts`` rows of each level in turn."""
    sampled = np.empty(x.shape, dtype=np.uint8)
    ends = np.cumsum(counts).tolist()
    for shrunk, count, end in zip(pyramid, counts.tolist(), ends, strict=True):
        for start in range(end - count, end, _MAX_ROWS):
            part = slice(start, min(start + _MAX_ROWS, end))
            sampled[part] = cv2.remap(
                shrunk, x[part], y[part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
    return sampled


def _sample_positions(
    keypoints: PatchKeypoints,
    rows: NDArray[np.intp],
    steps_px: NDArray[np.float32],
    scales_yx: NDArray[np.float64],
    sampled_size: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return x and y (N, S * S) in a pyramid level, row by row of the patch.

    Args:
        keypoints: n of them.
        rows: (N,) which keypoint is sampled.
        steps_px: (N,) between two samples, in the image.
        scales_yx: (N, 2) of the level.
        sampled_size: S.
    """
    angles = np.radians(keypoints.angles_deg[rows])
    cos, sin = steps_px * np.cos(angles), steps_px * np.sin(angles)
    # Pixel centres are whole numbers: half a pixel off is the border, which all levels share.
    centres = (keypoints.points_px[rows] + 0.5) * scales_yx[:, ::-1] - 0.5
    scale_y, scale_x = scales_yx.T
    grid = _patch_grid(sampled_size)
    x = np.stack([scale_x * cos, -scale_x * sin, centres[:, 0]], axis=1)
    y = np.stack([scale_y * sin, scale_y * cos, centres[:, 1]], axis=1)
    return x.astype(np.float32) @ grid, y.astype(np.float32) @ grid


@functools.cache
def _patch_grid(sampled_size: int) -> NDArray[np.float32]:
    """Return (3, S * S): columns, rows and ones, the centre of the patch at zero."""
    ticks = np.arange(sampled_size, dtype=np.float32) - (sampled_size - 1) / 2
    v, u = np.meshgrid(ticks, ticks, indexing='ij')
    return np.stack([u.ravel(), v.ravel(), np.ones(u.size)]).astype(np.float32)


def _top_level(shape: tuple[int, ...]) -> int:
    """Return the coarsest level that still is an image."""
    return max(0, int(_STEPS_PER_OCTAVE * math.log2(max(min(shape) / _MIN_LEVEL_PX, 1.0))))


def _pyramid(grey: NDArray[np.uint8], top: int) -> list[NDArray[np.uint8]]:
    """Return levels 1 / sqrt(2) apart, from the image itself to the level ``top``."""
    levels = [grey]
    for level in range(1, top + 1):
        factor = 2.0 ** (-level / _STEPS_PER_OCTAVE)
        size = [max(1, round(side * factor)) for side in grey.shape[::-1]]
        # Bilinear over an octave is the average of 2x2 pixels, many times faster than areas. Over
        # half an octave it needs a small blur against aliasing first.
        below = levels[max(0, level - _STEPS_PER_OCTAVE)]
        if level < _STEPS_PER_OCTAVE:
            below = cv2.GaussianBlur(below, (3, 3), 0, borderType=cv2.BORDER_REPLICATE)
        shrunk = cv2.resize(below, size, interpolation=cv2.INTER_LINEAR)
        levels.append(np.asarray(shrunk, dtype=np.uint8))
    return levels
