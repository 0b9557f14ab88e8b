"""The SparseConv encoder (paper Fig. 2) on MinkowskiEngine, where that is installed."""

from __future__ import annotations

import collections
import collections.abc
import importlib
import itertools
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from s3e_gnn_ros.encoder.output import EncoderOutput
from s3e_gnn_ros.encoder.paper_patches import flatten_patches
from s3e_gnn_ros.encoder.sparse_conv import KERNEL_SIZE, NUM_CONVOLUTIONS
from s3e_gnn_ros.errors import DependencyError


def import_minkowski() -> Any:
    """Return the module MinkowskiEngine.

    Raises:
        DependencyError: it is not installed.
    """
    # MinkowskiEngine 0.5.4 still asks for what Python 3.10 has moved.
    if not hasattr(collections, 'Sequence'):
        collections.Sequence = collections.abc.Sequence  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            # It says at each import that it was compiled for the CPU, as it was meant to be.
            warnings.filterwarnings('ignore', 'The MinkowskiEngine was compiled with CPU_ONLY')
            return importlib.import_module('MinkowskiEngine')
    except ImportError as err:
        raise DependencyError(
            'MinkowskiEngine is not installed: scripts/build_minkowski builds it, or use '
            'SparseConvEncoder, which computes the same without it'
        ) from err


class MinkowskiBlock(nn.Module):
    """Sparse convolution, batch norm, ReLU; names as in SparseConvBlock."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        engine = import_minkowski()
        self.conv = engine.MinkowskiConvolution(
            in_channels, out_channels, kernel_size=KERNEL_SIZE, dimension=2
        )
        self.norm = engine.MinkowskiBatchNorm(out_channels)
        self.relu = engine.MinkowskiReLU()

    def forward(self, cells: Any) -> Any:
        """Transform a sparse tensor of M cells to one of the same cells."""
        return self.relu(self.norm(self.conv(cells)))


class MinkowskiEncoder(nn.Module):
    """SparseConvEncoder on MinkowskiEngine: same input, output and names of parameters.

    ``load_state_dict`` takes the weights of either into the other.

    Args:
        patch_size_px: P.
        embedding_dim: D, also that of the descriptors.

    Shapes:
        - input: pixels (B, n, 3, P, P) uint8 or float grey levels; points_px (B, n, 2).
        - output: embedding (B, D), descriptors (B, n, D).

    Raises:
        DependencyError: MinkowskiEngine is not installed.
    """

    def __init__(self, patch_size_px: int = 16, embedding_dim: int = 256) -> None:
        super().__init__()
        self.patch_size_px = patch_size_px
        widths = [3 * patch_size_px**2] + [embedding_dim] * NUM_CONVOLUTIONS
        self.blocks = nn.ModuleList(MinkowskiBlock(*pair) for pair in itertools.pairwise(widths))
        self.pool = import_minkowski().MinkowskiGlobalAvgPooling()

    def forward(self, pixels: Tensor, points_px: Tensor) -> EncoderOutput:
        """Encode B images.

        Raises:
            InputError: no patch, or patches of another size.
        """
        cells = self._cells(pixels, points_px)
        inverse_mapping = cells.inverse_mapping.long()
        for block in self.blocks:
            cells = block(cells)
        pooled = self.pool(cells)
        in_order = pooled.C[:, 0].argsort()  # its images come in the order of a hash table
        embedding = functional.normalize(pooled.F[in_order], dim=1)
        descriptors = functional.normalize(cells.F, dim=1)[inverse_mapping]  # (B * n, D)
        return EncoderOutput(embedding, descriptors.view(*points_px.shape[:2], -1))

    def _cells(self, pixels: Tensor, points_px: Tensor) -> Any:
        engine = import_minkowski()
        dtype = next(self.parameters()).dtype
        tokens = flatten_patches(pixels, self.patch_size_px, dtype)
        # Rows before columns, as the kernels of SparseConv2d count.
        places = torch.floor(points_px / self.patch_size_px).int().flip(2)
        return engine.SparseTensor(
            features=tokens.flatten(0, 1),
            coordinates=engine.utils.batched_coordinates(list(places), device=pixels.device),
            quantization_mode=engine.SparseTensorQuantizationMode.UNWEIGHTED_AVERAGE,
        )
