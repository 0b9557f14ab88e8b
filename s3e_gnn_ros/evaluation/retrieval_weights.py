"""What is known of the weights behind a learned method: architecture and calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.weights import DEFAULT_WEIGHTS, load_weights
from s3e_gnn_ros.evaluation.retrieval_methods import BOW, S3E, split_name
from s3e_gnn_ros.graph.calibration import Calibration
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.retrieval.place_map import CALIBRATION, ENCODER, GNN, load_calibration


@dataclass(frozen=True)
class Architecture:
    """What differs between methods that are not merely other weights.

    Attributes:
        method: 's3e' or 's3e-encoder'.
        encoder: of the weights.
        gnn: of the weights; None where the method does without.
    """

    method: str
    encoder: EncoderConfig
    gnn: GNNConfig | None

    @property
    def label(self) -> str:
        """For tables, such as ``s3e (sparse_conv, improved, 64 px)``."""
        encoder = self.encoder
        return f'{self.method} ({encoder.backbone}, {encoder.form}, {encoder.patch_size_px} px)'


@dataclass(frozen=True, eq=False)
class MethodWeights:
    """The weights of one method.

    Attributes:
        name: packaged name or path.
        architecture: of the method.
        calibration: of its similarity; None where the weights have none.
    """

    name: str
    architecture: Architecture
    calibration: Calibration | None

    def overlap(self, similarity: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the overlap to expect; the similarity itself without a calibration."""
        if self.calibration is None:
            return similarity.astype(np.float32)
        return self.calibration.overlap(similarity)


def method_weights(method_name: str, config: Config) -> MethodWeights | None:
    """Return what is known of a method's weights; None for bag of words.

    Raises:
        ConfigError: there is no such method, or the description of the weights is unknown.
        InputError: the weights cannot be read.
    """
    method, weights_name = split_name(method_name)
    if method == BOW:
        return None
    name = weights_name or config.retrieval.weights or DEFAULT_WEIGHTS
    weights = load_weights(name)
    gnn = GNNConfig.from_dict(weights.configuration(GNN)) if method == S3E else None
    encoder = EncoderConfig.from_dict(weights.configuration(ENCODER))
    calibration = None
    if weights.has(CALIBRATION):
        calibration = load_calibration(weights, GNN if method == S3E else ENCODER)
    return MethodWeights(name, Architecture(method, encoder, gnn), calibration)
