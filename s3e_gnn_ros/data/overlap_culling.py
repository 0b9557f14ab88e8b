"""Which pairs of views can overlap at all: a test on the frusta of what they see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.overlap_views import DepthView
from s3e_gnn_ros.geometry import se3

_MARGIN_PX = 0.1  # beyond the border of the image; covers the rounding of single precision
_MARGIN = 1e-3  # of the depth, for the same reason
_BLOCK = 64


def frustum_candidates(views: Sequence[DepthView], tolerance_m: float) -> NDArray[np.intp]:
    """List the pairs that the frustum test leaves: every pair with overlap, and some without.

    All a view sees lies in the pyramid of its image, cut at its smallest and its largest depth.
    A point that counts lies in the pyramid of the source, and within the tolerance of a point of
    the target, so in the target's pyramid once both cuts are moved outwards by the tolerance. If
    one of the six faces of either pyramid has all eight corners of the other outside, no point is
    in both. The test is the same in both directions.

    Args:
        views: N views; one that sees nothing is in no pair.
        tolerance_m: of the depth comparison, below 1; see ``overlap``.

    Returns:
        (M, 2) indices of source and target, in order; a view and itself are a pair, too.
    """
    seeing = np.array([i for i, view in enumerate(views) if _known(view).size], dtype=np.intp)
    if not len(seeing):
        return np.zeros((0, 2), dtype=np.intp)
    pyramids = _Pyramids([views[i] for i in seeing], tolerance_m)
    meets = np.concatenate(list(pyramids.not_outside()))  # (N, N)
    return seeing[np.argwhere(meets & meets.T)]


def _known(view: DepthView) -> NDArray[np.float32]:
    depth = view.depth_m
    return np.asarray(depth[np.isfinite(depth) & (depth > 0)])


class _Pyramids:
    """Truncated pyramids around what N views see, with tolerance.

    Args:
        views: each with at least one known depth.
        tolerance_m: by which the cuts are moved.
    """

    def __init__(self, views: Sequence[DepthView], tolerance_m: float) -> None:
        limits = np.array([_depth_limits(_known(view), tolerance_m) for view in views])
        self._near, self._far = limits.T
        size = np.array([(view.camera.width, view.camera.height) for view in views])
        self._K = np.array([view.camera.matrix for view in views])
        self._low = np.full(size.shape, -0.5 - _MARGIN_PX)
        self._high = size - 0.5 + _MARGIN_PX
        self._T_world_camera = np.array([view.T_world_camera for view in views])
        self._corners = self._world_corners()  # (N, 8, 3)

    def not_outside(self) -> Iterator[NDArray[np.bool_]]:
        """Yield for blocks of views (B, N): no face of the one has all of the other outside."""
        for start in range(0, len(self._K), _BLOCK):
            rows = slice(start, start + _BLOCK)
            T_camera_world = se3.inverse(self._T_world_camera[rows])
            # Homogeneous pixels: divided by their third, the depth, they would be pixels.
            P = self._K[rows] @ T_camera_world[:, :3]  # (B, 3, 4)
            q = np.einsum('bij,nkj->bnki', P[:, :, :3], self._corners) + P[:, None, None, :, 3]
            z = q[..., 2:]
            low, high = (x[rows, None, None] for x in (self._low, self._high))
            near, far = (x[rows, None, None, None] for x in (self._near, self._far))
            faces = (q[..., :2] < low * z, q[..., :2] > high * z, z < near, z > far)
            outside = np.concatenate(faces, axis=-1).all(axis=2)  # (B, N, 6): all 8 corners
            yield np.asarray(~outside.any(axis=-1))

    def _world_corners(self) -> NDArray[np.float64]:
        """Return the (N, 8, 3) corners in the world."""
        ends = np.stack([self._low, self._high], axis=1)  # (N, 2, 2): low or high, x or y
        columns, rows = ends[:, [0, 1, 0, 1], 0], ends[:, [0, 0, 1, 1], 1]  # (N, 4)
        homogeneous = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
        rays = homogeneous @ np.linalg.inv(self._K).swapaxes(1, 2)  # (N, 4, 3), z = 1
        near, far = (x[:, None, None] for x in (self._near, self._far))
        corners = np.concatenate([rays * near, rays * far], axis=1)
        T = self._T_world_camera
        return np.asarray(corners @ T[:, :3, :3].swapaxes(1, 2) + T[:, None, :3, 3])


def _depth_limits(depth_m: NDArray[np.float32], tolerance_m: float) -> tuple[float, float]:
    """Return between which z a point can agree with one of the depths.

    It agrees with d when ``|z - d| <= tolerance * max(1, z)``: solved for z, on either side of 1.
    """
    low, high = float(depth_m.min()), float(depth_m.max())
    near = min(low - tolerance_m, low / (1 + tolerance_m))
    far = max(high + tolerance_m, high / (1 - tolerance_m))
    return max(0.0, near * (1 - _MARGIN)), far * (1 + _MARGIN)
