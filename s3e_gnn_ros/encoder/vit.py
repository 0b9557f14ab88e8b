"""The ViT encoder of the paper: patches as tokens of a transformer."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from s3e_gnn_ros.encoder.output import EncoderOutput
from s3e_gnn_ros.encoder.paper_patches import flatten_patches
from s3e_gnn_ros.errors import ConfigError

# What the encoding of positions tells apart, from neighbouring patches to a whole image [px].
_MIN_WAVELENGTH_PX = 32.0
_MAX_WAVELENGTH_PX = 8192.0


class PixelEncoding(nn.Module):
    """Encodes pixel coordinates: sines and cosines of many wavelengths, then a linear layer.

    Args:
        channels: C.
        num_frequencies: F, of each coordinate.

    Shapes:
        - input: points_px (B, n, 2).
        - output: (B, n, C).
    """

    angular: Tensor

    def __init__(self, channels: int, num_frequencies: int = 16) -> None:
        super().__init__()
        octaves = torch.linspace(
            math.log(_MIN_WAVELENGTH_PX), math.log(_MAX_WAVELENGTH_PX), num_frequencies
        )
        self.register_buffer('angular', 2 * math.pi * torch.exp(-octaves), persistent=False)
        self.linear = nn.Linear(4 * num_frequencies, channels)

    def forward(self, points_px: Tensor) -> Tensor:
        """Encode points (B, n, 2)."""
        points_px = points_px.to(self.angular.dtype)
        phases = (points_px[..., None] * self.angular).flatten(2)  # (B, n, 2 F)
        encoded: Tensor = self.linear(torch.cat([phases.sin(), phases.cos()], dim=2))
        return encoded


class PointTransformer(nn.Module):
    """Transformer encoder over the points of an image, which knows where they lie.

    Pre-norm layers (Dosovitskiy et al., ViT, ICLR 2021). The order of the points does not
    matter, and there may be any number of them.

    Args:
        in_channels: channels of the input.
        channels: C.
        num_layers: transformer layers.
        num_heads: attention heads; a divisor of C.

    Shapes:
        - input: features (B, n, in_channels); points_px (B, n, 2).
        - output: (B, n, C).

    Raises:
        ConfigError: the heads do not divide the channels.
    """

    def __init__(
        self, in_channels: int, channels: int, num_layers: int = 2, num_heads: int = 4
    ) -> None:
        super().__init__()
        if channels % num_heads:
            raise ConfigError(f'{channels} channels do not divide into {num_heads} heads')
        self.embed = nn.Linear(in_channels, channels)
        self.norm = nn.LayerNorm(channels)
        self.position = PixelEncoding(channels)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                channels,
                num_heads,
                dim_feedforward=2 * channels,
                dropout=0.0,
                activation='gelu',
                batch_first=True,
                norm_first=True,
            )
            for _ in range(num_layers)
        )
        self.last_norm = nn.LayerNorm(channels)

    def forward(self, features: Tensor, points_px: Tensor) -> Tensor:
        """Return tokens (B, n, C)."""
        tokens = self.norm(self.embed(features)) + self.position(points_px)
        for layer in self.layers:
            tokens = layer(tokens)
        normalised: Tensor = self.last_norm(tokens)
        return normalised


class VitEncoder(nn.Module):
    """The paper's ViT encoder.

    The flattened RGB patches, projected, are the tokens; their pixel coordinates are encoded and
    added; transformer; average (paper section III A).

    Differs from the paper: any number of patches, where the paper needs a fixed one.

    Args:
        patch_size_px: P.
        embedding_dim: D, also that of the tokens and descriptors.
        num_layers: transformer layers.
        num_heads: attention heads.

    Shapes:
        - input: pixels (B, n, 3, P, P) uint8 or float grey levels; points_px (B, n, 2).
        - output: embedding (B, D), descriptors (B, n, D).
    """

    def __init__(
        self,
        patch_size_px: int = 16,
        embedding_dim: int = 256,
        num_layers: int = 2,
        num_heads: int = 4,
    ) -> None:
        super().__init__()
        self.patch_size_px = patch_size_px
        self.transformer = PointTransformer(
            3 * patch_size_px**2, embedding_dim, num_layers, num_heads
        )

    def forward(self, pixels: Tensor, points_px: Tensor) -> EncoderOutput:
        """Encode B images.

        Raises:
            InputError: no patch, or patches of another size.
        """
        dtype = self.transformer.embed.weight.dtype
        features = flatten_patches(pixels, self.patch_size_px, dtype)
        tokens = self.transformer(features, points_px)  # (B, n, D)
        embedding = functional.normalize(tokens.mean(dim=1), dim=1)
        return EncoderOutput(embedding, functional.normalize(tokens, dim=2))


class TransformerContext(nn.Module):
    """Lets the points of an image learn of one another by a transformer.

    Differs from the paper, whose tokens end in one average: here each point gets its token back.
    The last layer starts at zero, so that what is added to a point starts as nothing.

    Args:
        channels: C.
        num_layers: transformer layers.
        num_heads: attention heads.

    Shapes:
        - input: features (B, n, C); points_px (B, n, 2).
        - output: (B, n, C).
    """

    def __init__(self, channels: int, num_layers: int = 2, num_heads: int = 4) -> None:
        super().__init__()
        self.transformer = PointTransformer(channels, channels, num_layers, num_heads)
        self.last = nn.Linear(channels, channels)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, features: Tensor, points_px: Tensor) -> Tensor:
        """Return what to add to the features (B, n, C)."""
        context: Tensor = self.last(self.transformer(features, points_px))
        return context
