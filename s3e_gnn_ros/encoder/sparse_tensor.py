"""Points of images in the cells of a sparse grid, and which cells are neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# A cell is one 63-bit number: 21 bits each of image, row and column, the latter two off zero by
# 2^20. Neighbours are then a fixed difference apart.
_BITS = 21
_ZERO = 1 << (_BITS - 1)


@dataclass(frozen=True, eq=False)
class Cells:
    """The occupied cells of B images, sorted by image, row and column.

    Attributes:
        keys: (M,) int64, ascending; one number per cell.
        cell_of_point: (N,) int64, in which cell each point lies.
        num_images: B.
    """

    keys: Tensor
    cell_of_point: Tensor
    num_images: int

    @property
    def coordinates(self) -> Tensor:
        """Return (M, 3) int64: image, row, column."""
        mask = (1 << _BITS) - 1
        image = self.keys >> (2 * _BITS)
        rows = (self.keys >> _BITS & mask) - _ZERO
        return torch.stack([image, rows, (self.keys & mask) - _ZERO], dim=1)

    def average_points(self, features: Tensor) -> Tensor:
        """Return (M, C), the mean of the features (N, C) of the points in each cell."""
        return _average(features, self.cell_of_point, len(self.keys))

    def average_cells(self, features: Tensor) -> Tensor:
        """Return (B, C), the mean of the features (M, C) of the cells of each image."""
        return _average(features, self.keys >> (2 * _BITS), self.num_images)


@dataclass(frozen=True, eq=False)
class KernelMap:
    """Which cells a convolution reads for which, in the order of the kernel's offsets.

    Attributes:
        inputs: (T,) int64, cell read.
        outputs: (T,) int64, cell written.
        counts: K * K numbers that add up to T, how many pairs belong to each offset.
    """

    inputs: Tensor
    outputs: Tensor
    counts: list[int]


def cells_of_points(points_px: Tensor, cell_size_px: float) -> Cells:
    """Put points (B, n, 2) of B images into square cells (the paper divides by the patch size)."""
    columns, rows = torch.floor(points_px / cell_size_px).long().flatten(0, 1).unbind(1)
    num_images, num_points = points_px.shape[:2]
    images = torch.arange(num_images, device=points_px.device).repeat_interleave(num_points)
    return cells_of_coordinates(torch.stack([images, rows, columns], dim=1), num_images)


def cells_of_coordinates(coordinates: Tensor, num_images: int) -> Cells:
    """Group points by integer coordinates (N, 3): image, row, column, within +- 2^20."""
    images, rows, columns = coordinates.long().unbind(1)
    keys = (images << _BITS | (rows + _ZERO)) << _BITS | (columns + _ZERO)
    unique, cell_of_point = torch.unique(keys, return_inverse=True)
    return Cells(unique, cell_of_point, num_images)


def find_neighbours(cells: Cells, kernel_size: int) -> KernelMap:
    """Return which occupied cells lie at each offset of a K x K kernel around each cell.

    Offset k = K * column + row, as MinkowskiEngine counts; images do not mix.
    """
    reach = torch.arange(kernel_size, device=cells.keys.device) - kernel_size // 2
    steps = (reach[:, None] + (reach[None, :] << _BITS)).flatten()  # (K * K,) row changes fastest
    wanted = cells.keys + steps[:, None]  # (K * K, M)
    found = torch.searchsorted(cells.keys, wanted).clamp_(max=max(0, len(cells.keys) - 1))
    is_there = cells.keys[found] == wanted
    offsets, outputs = is_there.nonzero(as_tuple=True)
    counts = torch.bincount(offsets, minlength=kernel_size**2).tolist()
    return KernelMap(found[offsets, outputs], outputs, counts)


def _average(features: Tensor, groups: Tensor, num_groups: int) -> Tensor:
    sums = features.new_zeros(num_groups, features.shape[1]).index_add(0, groups, features)
    counts = torch.bincount(groups, minlength=num_groups).clamp_(min=1)
    return sums / counts[:, None]
