"""Image in, embedding out: the encoder as its users see it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.encoder.inference import inference_form
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.patches import Patches, cut_patches
from s3e_gnn_ros.encoder.selection import select_keypoints
from s3e_gnn_ros.encoder.weights import Weights, load_weights
from s3e_gnn_ros.types import Encoding, Features

_PART = 'encoder'


class Encoder:
    """Embeds images.

    Keypoints -> selection and completion -> patches -> network (paper Fig. 1, left).

    Args:
        config: architecture, and the patches it takes.
        module: the network, trained; put into evaluation mode, and its weights are copied.
    """

    def __init__(self, config: EncoderConfig, module: nn.Module) -> None:
        self.config = config
        self._network = inference_form(module.eval())
        self._orb = OrbExtractor(FeatureConfig())

    @classmethod
    def from_weights(cls, weights: Weights, backend: str = 'torch') -> Encoder:
        """Make the encoder that a weights file describes.

        Args:
            weights: a file's content.
            backend: 'torch', or 'minkowski' for sparse convolutions by MinkowskiEngine.

        Raises:
            InputError: the file has no encoder, or that of another architecture.
            ConfigError: its description cannot be understood, or the backend does not have it.
            DependencyError: MinkowskiEngine is not installed.
        """
        config = EncoderConfig.from_dict(weights.configuration(_PART))
        return cls(config, weights.build(lambda: build_encoder(config, backend), _PART))

    def embed(
        self,
        image: NDArray[np.uint8],
        features: Features | None = None,
        depth_m: NDArray[np.float32] | None = None,
    ) -> Encoding:
        """Embed one image.

        An image of which no keypoint can be used, as of a bare wall, has nothing to be recognised
        by, and two of them are no closer to one another for that: its embedding is 0.

        Args:
            image: (H, W) grey, (H, W, 3) BGR or (H, W, 4) BGRA, uint8.
            features: its keypoints; any number. None: ORB with the default settings.
            depth_m: (H, W) float32, used by the selection 'attention' where known.

        Raises:
            InputError: the image has another shape or type, or the keypoints' arrays are not
                of one length.
        """
        if features is None:
            features = self._orb.detect(image)
        encoding = self.encode(self.cut(image, features, depth_m))
        if (encoding.keypoint_index >= 0).any():
            return encoding
        return replace(encoding, embedding=np.zeros_like(encoding.embedding))

    def cut(
        self,
        image: NDArray[np.uint8],
        features: Features,
        depth_m: NDArray[np.float32] | None = None,
    ) -> Patches:
        """Cut the patches of an image that this encoder takes."""
        config = self.config
        keypoints = select_keypoints(
            features,
            image,
            config.num_patches,
            config.selection,
            depth_m=depth_m,
            margin_px=config.margin_px,
        )
        return cut_patches(
            image,
            keypoints,
            config.form,
            config.patch_size_px,
            config.sampled_size_px,
            config.num_scales,
        )

    @torch.inference_mode()
    def encode(self, patches: Patches) -> Encoding:
        """Run the network on the patches of one image."""
        pixels = torch.from_numpy(patches.pixels)[None]  # (1, n, C, S, S)
        points_px = torch.from_numpy(patches.points_px)[None]  # (1, n, 2)
        embedding, descriptors = self._network(pixels, points_px)
        return Encoding(
            embedding[0].numpy(),
            descriptors[0].numpy(),
            patches.points_px,
            patches.keypoint_index,
        )


def load_encoder(name_or_path: str = '', backend: str = 'torch') -> Encoder:
    """Load an encoder by its name in the package, by path, or the default.

    Args:
        name_or_path: of the weights.
        backend: see :meth:`Encoder.from_weights`.

    Raises:
        InputError: no such weights, damaged, of another version or architecture.
        ConfigError: the backend is unknown, or has no such architecture.
        DependencyError: MinkowskiEngine is not installed.
    """
    return Encoder.from_weights(load_weights(name_or_path), backend)
