"""Projects many views into many others at once and compares depths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3e_gnn_ros.data.overlap_views import DepthView
from s3e_gnn_ros.geometry import se3

# In place of a target's depth: no finite z is within a tolerance of either.
_OUTSIDE = -np.inf
_UNKNOWN = np.inf

_TINY_M = 1e-30  # takes the place of z <= 0: divided by it, a pixel lies far outside


class ViewStack:
    """Views as tensors.

    Every test is a pass over all pixels of all pairs, so most are avoided. The depths of targets
    have a border of one pixel, to which what lands outside is clamped: looking it up there says
    so. Points behind the target are thrown far out, and unknown depth of a source is NaN, which
    ends on the border, too.

    Args:
        views: N views; smaller images are filled up to the size (H, W) of the largest.
        device: where they are kept and compared.
    """

    def __init__(self, views: Sequence[DepthView], device: torch.device) -> None:
        self._height = max((view.camera.height for view in views), default=1)
        self._width = max((view.camera.width for view in views), default=1)
        self._device = device
        N = len(views)
        depth = np.full((N, self._height, self._width), np.nan, dtype=np.float32)
        bordered = np.full((N, self._height + 2, self._width + 2), _OUTSIDE, dtype=np.float32)
        for i, view in enumerate(views):
            known = np.isfinite(view.depth_m) & (view.depth_m > 0)
            height, width = known.shape
            depth[i, :height, :width] = np.where(known, view.depth_m, np.nan)
            bordered[i, 1 : height + 1, 1 : width + 1] = np.where(known, view.depth_m, _UNKNOWN)
        self.num_valid = np.isfinite(depth).sum(axis=(1, 2), dtype=np.int32)  # (N,)
        self._depth = torch.from_numpy(depth).to(device)
        self._bordered = torch.from_numpy(bordered).to(device).flatten()
        self._columns = torch.arange(self._width, dtype=torch.float32, device=device)
        self._rows = torch.arange(self._height, dtype=torch.float32, device=device)[:, None]
        self._K = np.array([view.camera.matrix for view in views]).reshape(-1, 3, 3)
        self._K_inverse = np.linalg.inv(self._K)
        self._T = np.array([view.T_world_camera for view in views]).reshape(-1, 4, 4)

    @property
    def num_pixels(self) -> int:
        """Pixels of the largest image."""
        return self._height * self._width

    def compare(
        self, source: NDArray[np.intp], target: NDArray[np.intp], tolerance_m: float
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Count for C pairs the pixels of the source that agree with the target.

        Args:
            source: (C,) indices of views.
            target: (C,) indices of views.
            tolerance_m: at 1 m and nearer; grows with z beyond.

        Returns:
            (C,) pixels that agree, and (C,) pixels that land where the target has no depth.
        """
        x, y, z = self._project(source, target).unbind(1)  # (C, H, W) each
        seen = self._look_up(x, y, z, target)
        agrees = (z - seen).abs_() <= z.clamp(min=1.0).mul_(tolerance_m)
        flags = torch.stack([agrees.flatten(1), (seen == _UNKNOWN).flatten(1)])  # (2, C, H * W)
        counts = flags.sum(2, dtype=torch.int32).cpu().numpy()
        return counts[0], counts[1]

    def _project(self, source: NDArray[np.intp], target: NDArray[np.intp]) -> Tensor:
        """Map the pixels of C sources to homogeneous pixels (C, 3, H, W) of their targets.

        Their third component is z in the target's camera [m].
        """
        A, b = self._mappings(source, target)
        depth = self._depth.index_select(0, self._tensor(source))  # (C, H, W)
        # Linear in column and row: a row of numbers plus a column of numbers, no matrix product.
        along = A[:, :, 0, None, None] * self._columns  # (C, 3, 1, W)
        down = A[:, :, 1, None, None] * self._rows + A[:, :, 2, None, None]  # (C, 3, H, 1)
        points = along + down  # (C, 3, H, W)
        return points.mul_(depth[:, None]).add_(b[:, :, None, None])

    def _mappings(
        self, source: NDArray[np.intp], target: NDArray[np.intp]
    ) -> tuple[Tensor, Tensor]:
        """Return A (C, 3, 3) and b (C, 3): pixel (u, v) of depth z lands on z A (u, v, 1) + b."""
        T_target_source = se3.inverse(self._T[target]) @ self._T[source]
        K_target = self._K[target].copy()
        # One for the border, and a half: whole numbers are centres, so truncation then rounds.
        K_target[:, :2, 2] += 1.5
        A = K_target @ T_target_source[:, :3, :3] @ self._K_inverse[source]
        b = K_target @ T_target_source[:, :3, 3:]
        # Poses may be kilometres from the origin: only their difference is for single precision.
        both = torch.from_numpy(np.concatenate([A, b], axis=2)).to(self._device, torch.float32)
        return both[:, :, :3], both[:, :, 3]

    def _look_up(self, x: Tensor, y: Tensor, z: Tensor, target: NDArray[np.intp]) -> Tensor:
        """Return the target's depth (C, H, W) at x / z, y / z, or why there is none."""
        height, width = self._height + 2, self._width + 2
        z = z.clamp(min=_TINY_M)
        column = (x / z).nan_to_num_(nan=0.0).clamp_(0, width - 1).to(torch.int32)
        row = (y / z).nan_to_num_(nan=0.0).clamp_(0, height - 1).to(torch.int32)
        start = self._tensor(target * (height * width))
        index = row.mul_(width).add_(column) + start[:, None, None]  # int64
        return self._bordered.index_select(0, index.flatten()).view_as(z)

    def _tensor(self, indices: NDArray[np.intp]) -> Tensor:
        return torch.from_numpy(indices).to(self._device)
