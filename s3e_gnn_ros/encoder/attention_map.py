"""Where to look in an image without having learned it: edges, near before far."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError

# The 3x3 Laplacian of Gaussian.
_KERNEL = np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]], dtype=np.float32)
# The diffused map is smooth: a quarter of the resolution holds all of it.
_SHRINK = 4
_DIFFUSION_PX = 8.0
_MIN_DEPTH_M = 0.2


def attention_map(
    grey: NDArray[np.uint8], depth_m: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return how much each region deserves attention.

    The unsupervised attention map of "Attention-based Representations in Deep Reinforcement
    Learning for Autonomous Driving" (appendix A, Fig. 1): edges by a 3x3 Laplacian of Gaussian,
    diffusion of the boundaries (here the heat equation, a Gaussian of 8 px), times inverse
    depth. Pixels without depth count as of median depth.

    Args:
        grey: (H, W).
        depth_m: (H, W), 0 or NaN where unknown. None: edges alone.

    Returns:
        (ceil(H / 4), ceil(W / 4)) float32, at least 0; entry (r, c) belongs to the pixels from
        (4 r, 4 c).

    Raises:
        InputError: depth and image differ in size.
    """
    if depth_m is not None and depth_m.shape != grey.shape:
        raise InputError(
            f'depth of shape {depth_m.shape} does not fit an image of shape {grey.shape}'
        )
    edges = np.abs(cv2.filter2D(grey, cv2.CV_16S, _KERNEL, borderType=cv2.BORDER_REPLICATE))
    height, width = grey.shape
    shape = (-(-width // _SHRINK), -(-height // _SHRINK))
    small = cv2.resize(edges.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    diffused = cv2.GaussianBlur(
        small, (0, 0), _DIFFUSION_PX / _SHRINK, borderType=cv2.BORDER_REPLICATE
    )
    if depth_m is not None:
        diffused = diffused * _inverse_depth(depth_m)
    return np.asarray(diffused, dtype=np.float32)


def attention_at(
    attention: NDArray[np.float32], points_px: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Look up the attention (N,) of points (N, 2) inside the image."""
    cells = (np.round(points_px) // _SHRINK).astype(np.intp)
    cells = np.clip(cells, 0, np.array(attention.shape[::-1]) - 1)
    return attention[cells[:, 1], cells[:, 0]]


def _inverse_depth(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    depth = np.ascontiguousarray(depth_m[::_SHRINK, ::_SHRINK])
    is_known = np.isfinite(depth) & (depth > 0)
    if not is_known.any():
        return np.ones_like(depth)
    depth = np.where(is_known, depth, np.median(depth[is_known]))
    return np.asarray(1.0 / np.maximum(depth, _MIN_DEPTH_M), dtype=np.float32)
