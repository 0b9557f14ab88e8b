"""Pictures of closures: query and match side by side, with the matches that agree."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.closure_error import ClosureCheck
from s3e_gnn_ros.evaluation.result import (
    InlierMatches,
    ReplayResult,
    match_key,
    query_key,
)

Image = NDArray[np.uint8]

HEIGHT_PX = 240
GAP_PX = 6
MAX_LINES = 40
_LINE_BGR = (115, 158, 0)  # bluish green, as accepted closures in the other figures


def thumbnail(image: Image, height_px: int = HEIGHT_PX) -> Image:
    """Return a BGR copy of a grey or BGR image at most ``height_px`` high."""
    grey = image.ndim == 2 or image.shape[2] == 1
    bgr = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if grey else image
    height, width = bgr.shape[:2]
    if height <= height_px:
        return np.array(bgr, dtype=np.uint8)
    size = (max(1, round(width * height_px / height)), height_px)
    return np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def choose_pairs(
    result: ReplayResult, checks: Sequence[ClosureCheck], max_pairs: int
) -> list[int]:
    """Choose which closures get a picture: the wrong ones first, the others spread evenly.

    Args:
        result: the run.
        checks: one per closure.
        max_pairs: how many at most.

    Returns:
        Increasing indices into ``result.closures``; only those with both images.
    """
    shown = [
        index
        for index, closure in enumerate(result.closures)
        if query_key(closure) in result.images and match_key(closure) in result.images
    ]
    wrong = [index for index in shown if checks[index].is_wrong][:max_pairs]
    others = [index for index in shown if not checks[index].is_wrong]
    num_others = min(max_pairs - len(wrong), len(others))
    spread = np.linspace(0, len(others) - 1, num_others).round().astype(int)
    return sorted([*wrong, *(others[i] for i in spread)])


def draw_pair(result: ReplayResult, index: int) -> Image:
    """Draw closure number ``index``: query left, match right, both ``HEIGHT_PX`` high.

    Raises:
        KeyError: the run has no image of one of them; see :func:`choose_pairs`.
    """
    closure = result.closures[index]
    keys = query_key(closure), match_key(closure)
    query, match = (_fit(thumbnail(result.images[key])) for key in keys)
    gap = np.full((HEIGHT_PX, GAP_PX, 3), 255, dtype=np.uint8)
    canvas = np.ascontiguousarray(np.hstack((query, gap, match)))
    matches = result.inliers.get(keys)
    if matches is not None and len(matches.query_px):
        _draw_matches(canvas, matches, query.shape[1], match.shape[1])
    return canvas


def encode(image: Image, extension: str) -> bytes:
    """Encode an image as ``.png`` or ``.jpg``.

    Raises:
        InputError: OpenCV cannot encode it.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, 82] if extension == '.jpg' else []
    done, data = cv2.imencode(extension, image, options)
    if not done:
        raise InputError(f'an image of shape {image.shape} cannot be written as {extension}')
    return bytes(data.tobytes())


def _fit(image: Image) -> Image:
    """Bring an image that is lower than the row to the row's height."""
    height, width = image.shape[:2]
    if height == HEIGHT_PX:
        return image
    size = (max(1, round(width * HEIGHT_PX / height)), HEIGHT_PX)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _draw_matches(
    canvas: Image, matches: InlierMatches, query_width: int, match_width: int
) -> None:
    width, height = matches.image_size_px
    rows = np.linspace(0, len(matches.query_px) - 1, min(MAX_LINES, len(matches.query_px)))
    rows = rows.round().astype(int)
    scale_y = HEIGHT_PX / height
    left = matches.query_px[rows] * (query_width / width, scale_y)
    right = matches.match_px[rows] * (match_width / width, scale_y) + (
        query_width + GAP_PX,
        0,
    )
    ends = np.hstack((left, right)).round().astype(int)  # (L, 4)
    for a, b in zip(ends[:, :2].tolist(), ends[:, 2:].tolist(), strict=True):
        cv2.line(canvas, a, b, _LINE_BGR, 1, cv2.LINE_AA)
        cv2.circle(canvas, a, 2, _LINE_BGR, -1, cv2.LINE_AA)
        cv2.circle(canvas, b, 2, _LINE_BGR, -1, cv2.LINE_AA)
