"""Low-texture completion: more points where the detector found too few (paper Fig. 7)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# ORB's patch at the finest level, and the disc its orientation is measured on [px].
ORB_SIZE_PX = 31.0
_RADIUS_PX = 15

_STEPS = np.arange(-_RADIUS_PX, _RADIUS_PX + 1)
_DISC_Y, _DISC_X = (
    index - _RADIUS_PX
    for index in np.nonzero(_STEPS[:, None] ** 2 + _STEPS[None, :] ** 2 <= _RADIUS_PX**2)
)


def complete_points(
    points_px: NDArray[np.float32],
    image_size: tuple[int, int],
    num: int,
    rng: np.random.Generator,
    margin_px: float = 0.0,
) -> NDArray[np.float32]:
    """Draw points on the lines from each keypoint to the image centre (paper Fig. 7).

    All points of all lines are equally likely: a long line gets more of them. Without keypoints,
    or with all of them at the centre, there is no line, and the points are spread evenly over
    the image.

    Args:
        points_px: (N, 2) keypoints, N may be 0.
        image_size: width and height [px].
        num: number of points to draw.
        rng: source of chance.
        margin_px: distance kept from the border where there is no line.

    Returns:
        (num, 2) float32.
    """
    size = np.array(image_size, dtype=np.float64)
    # The last pixel's centre is at size - 1; a margin may not reach past the image's centre.
    low = np.minimum(margin_px, (size - 1) / 2)
    high = np.maximum(np.minimum(size - margin_px, size - 1), low)
    centre = (size - 1) / 2
    lines = centre - points_px  # (N, 2)
    lengths = np.linalg.norm(lines, axis=1)
    if lengths.sum() < 1.0:
        return rng.uniform(low, high, (num, 2)).astype(np.float32)
    chosen = rng.choice(len(lines), num, p=lengths / lengths.sum())
    fraction = rng.uniform(size=(num, 1))
    return np.asarray(points_px[chosen] + fraction * lines[chosen], dtype=np.float32)


def intensity_centroid_angles(
    grey: NDArray[np.uint8], points_px: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Give points the orientation ORB would (Rosin's intensity centroid over a disc).

    Args:
        grey: (H, W).
        points_px: (N, 2).

    Returns:
        (N,) float32 in [0, 360) degrees, clockwise in the image; 0 where nothing distinguishes
        a direction.
    """
    padded = cv2.copyMakeBorder(grey, *(_RADIUS_PX,) * 4, cv2.BORDER_REPLICATE)
    height, width = grey.shape
    columns = np.clip(np.round(points_px[:, 0]).astype(np.intp), 0, width - 1) + _RADIUS_PX
    rows = np.clip(np.round(points_px[:, 1]).astype(np.intp), 0, height - 1) + _RADIUS_PX
    stride = padded.shape[1]
    index = (rows * stride + columns)[:, None] + (_DISC_Y * stride + _DISC_X)  # (N, disc)
    values = padded.ravel()[index].astype(np.float32)
    # Below 2^24 in steps of one: exact in float32, and a flat disc gives exactly 0.
    moments_x = values @ _DISC_X.astype(np.float32)
    moments_y = values @ _DISC_Y.astype(np.float32)
    return np.asarray(np.degrees(np.arctan2(moments_y, moments_x)) % 360.0, dtype=np.float32)
