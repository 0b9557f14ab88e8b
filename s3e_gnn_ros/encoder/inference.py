"""A trained improved encoder as it runs on the robot: fewer and larger operations, same result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from s3e_gnn_ros.encoder.model import ImprovedEncoder
from s3e_gnn_ros.encoder.output import EncoderOutput
from s3e_gnn_ros.encoder.patch_network import PatchNetwork
from s3e_gnn_ros.encoder.sparse_conv import KERNEL_SIZE, SparseContext, SparseConvBlock
from s3e_gnn_ros.encoder.vlad import VladHead

_MIN_CONTRAST = 2.0
_ROW = 1 << 21  # between the numbers of two cells of one column


def inference_form(module: nn.Module) -> Callable[[Tensor, Tensor], EncoderOutput]:
    """Return a trained encoder as a faster function of the patches of one image.

    Batch norms are folded into the products before them, the sparse convolutions become one
    product each; equal within 1e-5. The weights are copied: later changes do not arrive. The
    paper's encoders come back as they are.

    Args:
        module: of :func:`~s3e_gnn_ros.encoder.model.build_encoder`, in evaluation mode, on a CPU.

    Returns:
        Function of pixels (1, n, C, S, S) uint8 and points_px (1, n, 2).
    """
    return _FastEncoder(module) if isinstance(module, ImprovedEncoder) else module


class _FastEncoder:
    """:class:`ImprovedEncoder` for one image."""

    @torch.no_grad()
    def __init__(self, encoder: ImprovedEncoder) -> None:
        self._describe = _FastPatchNetwork(encoder.patch_network)
        context = encoder.context
        self._context = _FastContext(context) if isinstance(context, SparseContext) else context
        self._pool = _FastHead(encoder.head)

    @torch.no_grad()
    def __call__(self, pixels: Tensor, points_px: Tensor) -> EncoderOutput:
        """Encode one image."""
        descriptors = self._describe(pixels[0])  # (n, E)
        informed = descriptors
        if self._context is not None:
            added = self._context(descriptors[None], points_px)[0]
            informed = _normalise(added + descriptors)
        return EncoderOutput(self._pool(informed)[None], descriptors[None])


class _FastPatchNetwork:
    """:class:`PatchNetwork` without its batch norms."""

    def __init__(self, network: PatchNetwork) -> None:
        weight, self._first_bias = _fold_norm(network.first.weight.T, network.first_norm)
        # Here the channels of a block come before its pixels: neighbours in memory stay so.
        self._first = weight.view(16, -1, weight.shape[1]).transpose(0, 1).flatten(0, 1)
        self._second, self._second_bias = _fold_norm(network.second.weight.T, network.second_norm)
        self._last = network.last.weight.T.contiguous()
        self._last_bias = network.last.bias.clone()

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return descriptors (n, E) of pixels (n, C, S, S)."""
        num, channels, side, _ = pixels.shape
        grey = pixels.float().flatten(2)  # (n, C, S * S)
        grey -= grey.mean(dim=2, keepdim=True)
        contrast = torch.linalg.vector_norm(grey, dim=2, keepdim=True) / side  # (n, C, 1)
        grey /= contrast + _MIN_CONTRAST
        side //= 8
        # Four neighbours are moved as one number of 16 bytes: twice as fast. Cells that the
        # second product reads together come to lie side by side, which spares another copy.
        quads = grey.view(torch.complex128).view(num, channels, side, 2, 4, side, 2)
        quads = quads.permute(0, 2, 5, 3, 6, 1, 4).contiguous()  # (n, S / 8, S / 8, 2, 2, C, 4)
        x = quads.view(torch.float32)
        x = torch.addmm(self._first_bias, x.view(-1, len(self._first)), self._first).relu_()
        x = x.view(-1, len(self._second))  # (n (S / 8)^2, 4 w)
        x = torch.addmm(self._second_bias, x, self._second).relu_()
        return _normalise(torch.addmm(self._last_bias, x.view(num, -1), self._last))


class _FastContext:
    """:class:`SparseContext` of one image, each convolution as one product."""

    def __init__(self, context: SparseContext) -> None:
        self._cell_size_px = context.cell_size_px
        self._layers = []
        for block in context.blocks:
            assert isinstance(block, SparseConvBlock)
            self._layers.append(_fold_norm(block.conv.kernel.flatten(0, 1), block.norm.bn))
        self._last = context.last.kernel.flatten(0, 1).clone()

    def __call__(self, features: Tensor, points_px: Tensor) -> Tensor:
        """Return what to add to features (1, n, C)."""
        table, cell_of_point = _neighbour_table(points_px[0].numpy(), self._cell_size_px)
        neighbours, cells = torch.from_numpy(table), torch.from_numpy(cell_of_point)
        counts = torch.bincount(cells)[:, None]  # (M, 1)
        # The last row stands for cells without a point.
        x = features.new_zeros(len(counts) + 1, features.shape[2])
        x.index_add_(0, cells, features[0])
        x[:-1].div_(counts)
        for weight, bias in self._layers:
            torch.addmm(bias, x[neighbours].flatten(1), weight, out=x[:-1]).relu_()
        return (x[neighbours].flatten(1) @ self._last)[cells][None]


class _FastHead:
    """:class:`VladHead` of one image."""

    def __init__(self, head: VladHead) -> None:
        self._centres = head.centres.clone()
        self._reduction = head.reduction.weight.T.contiguous()
        self._assignment = (head.sharpness * head.centres).T.contiguous()
        self._assignment_bias = -0.5 * head.sharpness * head.centres.square().sum(dim=1)
        self._weight = 1.0 * head.weight.weight.T
        self._weight_bias = head.weight.bias.clone()
        # 4 MB that numpy's product reads faster than torch's.
        self._projection = head.projection.weight.detach().clone().numpy()
        self._projection_bias = head.projection.bias.clone()

    def __call__(self, descriptors: Tensor) -> Tensor:
        """Return the embedding (D,) of descriptors (n, E)."""
        reduced = _normalise(descriptors @ self._reduction)  # (n, R)
        share = torch.addmm(self._assignment_bias, reduced, self._assignment).softmax(dim=1)
        weight = torch.addmm(self._weight_bias, descriptors, self._weight).sigmoid_()  # (n, 1)
        share.mul_(weight.mul_(2.0))  # (n, K)
        total = share.sum(dim=0)[:, None]  # (K, 1)
        residual = torch.addcmul(share.T @ reduced, total, self._centres, value=-1.0)  # (K, R)
        vlad = _normalise(_normalise(residual).flatten())
        projected = torch.from_numpy(self._projection @ vlad.numpy())
        return _normalise(projected.add_(self._projection_bias))


def _fold_norm(weight: Tensor, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return weight (in, out) and bias (out,) of a product with the batch norm behind it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return (weight * scale).contiguous(), norm.bias - norm.running_mean * scale


def _normalise(x: Tensor) -> Tensor:
    """Give rows unit length, in place."""
    return x.div_(torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min_(1e-12))


def _neighbour_table(
    points_px: NDArray[np.float32], cell_size_px: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which cell lies at each offset of a kernel, as sparse_tensor.find_neighbours does.

    Returns:
        (M, K * K), M where there is no cell; and the cell (n,) of each point.
    """
    columns, rows = np.floor(points_px / np.float32(cell_size_px)).astype(np.int64).T
    keys, cell_of_point = np.unique(rows * _ROW + columns, return_inverse=True)
    reach = np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2
    steps = (reach[:, None] + reach * _ROW).ravel()  # (K * K,) row changes fastest
    wanted = keys[:, None] + steps  # (M, K * K)
    found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[found] == wanted, found, len(keys)), cell_of_point
