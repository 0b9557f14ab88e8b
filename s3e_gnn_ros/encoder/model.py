"""The encoders as networks: patches of an image in, embedding and local descriptors out."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.minkowski import MinkowskiEncoder
from s3e_gnn_ros.encoder.output import EncoderOutput
from s3e_gnn_ros.encoder.patch_network import PatchNetwork
from s3e_gnn_ros.encoder.sparse_conv import SparseContext, SparseConvEncoder
from s3e_gnn_ros.encoder.vit import TransformerContext, VitEncoder
from s3e_gnn_ros.encoder.vlad import VladHead
from s3e_gnn_ros.errors import ConfigError


class ImprovedEncoder(nn.Module):
    """Patch network -> exchange between patches -> VLAD and whitening.

    Differs from the paper: patches become local descriptors first; the sparse convolutions or
    the transformer add to them (their last layer starts at zero, so that training starts from
    what the descriptors alone achieve); VLAD with whitening pools instead of the average.

    Shapes:
        - input: pixels (B, n, C, S, S) uint8 or float; points_px (B, n, 2).
        - output: :class:`EncoderOutput`.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.patch_network = PatchNetwork(
            config.sampled_size_px, config.num_scales, config.width, config.descriptor_dim
        )
        self.context = _make_context(config)
        self.head = VladHead(
            config.descriptor_dim, config.num_centres, config.embedding_dim, config.reduced_dim
        )

    def forward(self, pixels: Tensor, points_px: Tensor) -> EncoderOutput:
        """Encode B images."""
        descriptors = self.describe(pixels)
        return EncoderOutput(self.pool(descriptors, points_px), descriptors)

    def describe(self, pixels: Tensor) -> Tensor:
        """Return the local descriptors (B, n, E) of patches (B, n, C, S, S)."""
        batch, num = pixels.shape[:2]
        descriptors: Tensor = self.patch_network(pixels.flatten(0, 1))  # (B * n, E)
        return descriptors.view(batch, num, descriptors.shape[1])  # (B, n, E)

    def pool(self, descriptors: Tensor, points_px: Tensor) -> Tensor:
        """Return the embedding (B, D) of local descriptors (B, n, E)."""
        embedding: Tensor = self.head(self.exchange(descriptors, points_px))
        return embedding

    def exchange(self, descriptors: Tensor, points_px: Tensor) -> Tensor:
        """Return descriptors (B, n, E), unit length, that know of their neighbours."""
        if self.context is None:
            return descriptors
        return functional.normalize(descriptors + self.context(descriptors, points_px), dim=2)


BACKENDS = ('torch', 'minkowski')
"""What computes the paper's sparse convolutions; weights and output are the same."""


def build_encoder(config: EncoderConfig, backend: str = 'torch') -> nn.Module:
    """Make an untrained encoder.

    Args:
        config: architecture.
        backend: one of ``BACKENDS``.

    Raises:
        ConfigError: the backend is unknown, or has no such architecture.
        DependencyError: MinkowskiEngine is not installed.
    """
    if backend not in BACKENDS:
        raise ConfigError(f'backend of the encoder is {backend!r} instead of one of {BACKENDS}')
    if backend == 'minkowski':
        return _on_minkowski(config)
    if config.form == 'improved':
        return ImprovedEncoder(config)
    if config.backbone == 'sparse_conv':
        return SparseConvEncoder(config.patch_size_px, config.embedding_dim)
    return VitEncoder(config.patch_size_px, config.embedding_dim, num_layers=config.num_layers)


def _on_minkowski(config: EncoderConfig) -> nn.Module:
    if (config.form, config.backbone) != ('paper', 'sparse_conv'):
        raise ConfigError(
            "backend 'minkowski' has the paper's SparseConv encoder alone, not form "
            f'{config.form!r} with backbone {config.backbone!r}'
        )
    return MinkowskiEncoder(config.patch_size_px, config.embedding_dim)


def _make_context(config: EncoderConfig) -> nn.Module | None:
    if config.backbone == 'sparse_conv':
        return SparseContext(config.descriptor_dim, cell_size_px=config.patch_size_px)
    if config.backbone == 'vit':
        return TransformerContext(config.descriptor_dim, num_layers=config.num_layers)
    return None
