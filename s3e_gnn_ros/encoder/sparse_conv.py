"""The SparseConv encoder (paper Fig. 2) in plain torch: no compiler needed."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from s3e_gnn_ros.encoder.output import EncoderOutput
from s3e_gnn_ros.encoder.paper_patches import flatten_patches
from s3e_gnn_ros.encoder.sparse_tensor import Cells, KernelMap, cells_of_points, find_neighbours

KERNEL_SIZE = 3
NUM_CONVOLUTIONS = 3


class SparseConv2d(nn.Module):
    r"""Convolves the features of occupied cells over occupied neighbours; stride 1.

    .. math:: y_u = \sum_k W_k^T x_{u + o_k}

    over the offsets :math:`o_k` of the kernel at which there is a cell (Choy et al., 4D
    Spatio-Temporal ConvNets, CVPR 2019, Eq. 3), by gather, multiplication and scatter. The
    parameter has the name and the shape of MinkowskiEngine's.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: K, odd.

    Shapes:
        - input: features (M, in_channels).
        - output: (M, out_channels).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int = KERNEL_SIZE
    ) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(kernel_size**2, in_channels, out_channels))
        bound = (in_channels * kernel_size**2) ** -0.5
        nn.init.uniform_(self.kernel, -bound, bound)

    def forward(self, features: Tensor, neighbours: KernelMap) -> Tensor:
        """Convolve the features (M, in_channels) of cells."""
        read = torch.split(features[neighbours.inputs], neighbours.counts)
        products = [rows @ weight for rows, weight in zip(read, self.kernel, strict=True)]
        result = features.new_zeros(len(features), self.kernel.shape[2])
        return result.index_add(0, neighbours.outputs, torch.cat(products))


class SparseBatchNorm(nn.Module):
    """Batch normalisation over the cells of all images (M, C), named as in MinkowskiEngine.

    A single cell has no variance: it is normalised by the running statistics in training too.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Normalise features (M, C)."""
        if self.training and len(features) < 2:
            bn = self.bn
            return functional.batch_norm(
                features, bn.running_mean, bn.running_var, bn.weight, bn.bias, eps=bn.eps
            )
        normalised: Tensor = self.bn(features)
        return normalised


class SparseConvBlock(nn.Module):
    """Sparse convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = SparseConv2d(in_channels, out_channels)
        self.norm = SparseBatchNorm(out_channels)

    def forward(self, features: Tensor, neighbours: KernelMap) -> Tensor:
        """Transform features (M, in_channels) to (M, out_channels)."""
        return functional.relu(self.norm(self.conv(features, neighbours)))


class SparseConvEncoder(nn.Module):
    """The paper's SparseConv encoder.

    Pixel coordinates divided by the patch size are the cells, the flattened RGB patches the
    features (those in one cell are averaged); three sparse convolutions, each with batch norm
    and ReLU; global average pooling (paper section III A, Fig. 2). Any number of points.

    The descriptor of a patch is the last layer at its cell, so patches in one cell share it.

    Args:
        patch_size_px: P.
        embedding_dim: D, also that of the descriptors.

    Shapes:
        - input: pixels (B, n, 3, P, P) uint8 or float grey levels; points_px (B, n, 2).
        - output: embedding (B, D), descriptors (B, n, D).
    """

    def __init__(self, patch_size_px: int = 16, embedding_dim: int = 256) -> None:
        super().__init__()
        self.patch_size_px = patch_size_px
        widths = [3 * patch_size_px**2] + [embedding_dim] * NUM_CONVOLUTIONS
        self.blocks = nn.ModuleList(SparseConvBlock(*pair) for pair in itertools.pairwise(widths))

    def forward(self, pixels: Tensor, points_px: Tensor) -> EncoderOutput:
        """Encode B images.

        Raises:
            InputError: no patch, or patches of another size.
        """
        dtype = next(self.parameters()).dtype
        tokens = flatten_patches(pixels, self.patch_size_px, dtype)
        cells = cells_of_points(points_px, self.patch_size_px)
        features = self.convolve(cells.average_points(tokens.flatten(0, 1)), cells)  # (M, D)
        embedding = functional.normalize(cells.average_cells(features), dim=1)
        descriptors = functional.normalize(features, dim=1)[cells.cell_of_point]  # (B * n, D)
        return EncoderOutput(embedding, descriptors.view(*points_px.shape[:2], -1))

    def convolve(self, features: Tensor, cells: Cells) -> Tensor:
        """Transform the features (M, 3 P P) of cells to (M, D)."""
        neighbours = find_neighbours(cells, KERNEL_SIZE)
        for block in self.blocks:
            features = block(features, neighbours)
        return features


class SparseContext(nn.Module):
    """Lets the points of an image learn of their neighbours by three sparse convolutions.

    Differs from the paper, whose convolutions end in one average: here each point gets the
    result at its cell back. The last convolution starts at zero and has neither batch norm nor
    ReLU, so that what is added to a point starts as nothing and may have either sign.

    Args:
        channels: C.
        cell_size_px: side of a cell.

    Shapes:
        - input: features (B, n, C); points_px (B, n, 2).
        - output: (B, n, C).
    """

    def __init__(self, channels: int, cell_size_px: int = 32) -> None:
        super().__init__()
        self.cell_size_px = cell_size_px
        self.blocks = nn.ModuleList(
            SparseConvBlock(channels, channels) for _ in range(NUM_CONVOLUTIONS - 1)
        )
        self.last = SparseConv2d(channels, channels)
        nn.init.zeros_(self.last.kernel)

    def forward(self, features: Tensor, points_px: Tensor) -> Tensor:
        """Return what to add to the features (B, n, C)."""
        cells = cells_of_points(points_px, self.cell_size_px)
        neighbours = find_neighbours(cells, KERNEL_SIZE)
        context = cells.average_points(features.flatten(0, 1))  # (M, C)
        for block in self.blocks:
            context = block(context, neighbours)
        added: Tensor = self.last(context, neighbours)[cells.cell_of_point]  # (B * n, C)
        return added.view_as(features)
