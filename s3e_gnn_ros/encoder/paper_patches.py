"""The features of a patch as the paper's encoders read them: its flattened RGB pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from s3e_gnn_ros.errors import InputError


def flatten_patches(pixels: Tensor, patch_size_px: int, dtype: torch.dtype) -> Tensor:
    """Return (B, n, 3 P P) in [-0.5, 0.5] of patches (B, n, 3, P, P) of grey levels 0 to 255.

    Raises:
        InputError: no patch, or patches of another size.
    """
    expected = (3, patch_size_px, patch_size_px)
    if pixels.dim() != 5 or tuple(pixels.shape[2:]) != expected or pixels.shape[1] == 0:
        raise InputError(
            f'patches of shape {tuple(pixels.shape)} are not some of {expected} for each image'
        )
    return pixels.flatten(2).to(dtype) / 255 - 0.5
