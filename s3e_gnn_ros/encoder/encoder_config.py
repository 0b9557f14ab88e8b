"""What an encoder is made of; stored with its weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s3e_gnn_ros.errors import ConfigError

BACKBONES = ('sparse_conv', 'vit', 'none')
FORMS = ('improved', 'paper')
PATCH_SIZES_PX = (16, 32, 64)
SELECTIONS = ('grid', 'response', 'random', 'attention')

_CHOICES: Mapping[str, tuple[Any, ...]] = {
    'backbone': BACKBONES,
    'form': FORMS,
    'patch_size_px': PATCH_SIZES_PX,
    'selection': SELECTIONS,
}
_RANGES = {
    'num_patches': (1, 4096),
    'embedding_dim': (1, 65536),
    'descriptor_dim': (1, 4096),
    'num_centres': (1, 4096),
    'reduced_dim': (1, 4096),
    'sampled_size_px': (8, 256),
    'num_scales': (1, 8),
    'width': (1, 4096),
    'num_layers': (1, 64),
}


@dataclass(frozen=True)
class EncoderConfig:
    """Architecture of an encoder, and the patches it takes.

    Attributes:
        backbone: 'sparse_conv', 'vit', or 'none': no exchange between the patches of an image.
        form: 'paper': as the paper writes it. 'improved': patches normalised by keypoint angle
            and scale, a patch network, the backbone as a residual, VLAD with whitening.
        patch_size_px: P, side of a patch in the image (at ORB's finest scale when improved).
        num_patches: n, patches per image.
        selection: how they are chosen among the keypoints.
        embedding_dim: D.
        descriptor_dim: E, of the local descriptors (improved).
        num_centres: of VLAD (improved).
        reduced_dim: of the descriptors that VLAD pools (improved).
        num_scales: C, patches of P, 2 P, 4 P ... around each keypoint (improved).
        sampled_size_px: S, side of the resampled patch (improved); a multiple of 8.
        width: channels of the first convolution (improved).
        num_layers: layers of the transformer.

    Raises:
        ConfigError: a value is out of range.
    """

    backbone: str = 'sparse_conv'
    form: str = 'improved'
    patch_size_px: int = 64
    num_scales: int = 2
    num_patches: int = 128
    selection: str = 'response'
    embedding_dim: int = 256
    descriptor_dim: int = 128
    num_centres: int = 64
    reduced_dim: int = 64
    sampled_size_px: int = 16
    width: int = 128
    num_layers: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise ConfigError(
                    f'{name} of the encoder is {getattr(self, name)!r} instead of one of {choices}'
                )
        for name, (minimum, maximum) in _RANGES.items():
            value = getattr(self, name)
            if type(value) is not int or not minimum <= value <= maximum:
                raise ConfigError(
                    f'{name} of the encoder is {value!r} instead of a whole number from '
                    f'{minimum} to {maximum}'
                )
        if self.sampled_size_px % 8:
            raise ConfigError(
                f'sampled_size_px of the encoder is {self.sampled_size_px} instead of a '
                'multiple of 8'
            )
        if self.backbone == 'none' and self.form == 'paper':
            raise ConfigError("the paper's form has no encoder without a backbone")

    @property
    def margin_px(self) -> float:
        """Distance that patches keep from the border: upright ones must not cross it."""
        return self.patch_size_px / 2 if self.form == 'paper' else 0.0

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EncoderConfig:
        """Read what :func:`dataclasses.asdict` wrote.

        Raises:
            ConfigError: an unknown name or a value out of range.
        """
        unknown = sorted(set(values) - {item.name for item in dataclasses.fields(cls)})
        if unknown:
            raise ConfigError(f"unknown name '{unknown[0]}' in the configuration of an encoder")
        return cls(**values)
