"""Retrieval by encoder and learned map: takes the place of bag of words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.weights import Weights
from s3e_gnn_ros.retrieval.place_map import PlaceMap
from s3e_gnn_ros.types import Encoding, Features, Frame, Keyframe


class S3E:
    """A :class:`PlaceMap` of keyframes; implements ``Retrieval``.

    Args:
        weights: encoder, GNN and calibration.
        use_gnn: False compares the embeddings by their cosine.

    Raises:
        InputError: the weights lack a part, or are of another architecture.
    """

    def __init__(self, weights: Weights, use_gnn: bool = True) -> None:
        self.encoder = Encoder.from_weights(weights)
        self.map = PlaceMap(weights, use_gnn)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self.map)

    def encode(self, frame: Frame, features: Features) -> Encoding:
        """Embed the image of a keyframe; see :meth:`Encoder.embed`."""
        return self.encoder.embed(frame.image, features, frame.depth_m)

    def add(self, keyframe: Keyframe) -> int:
        """Add a keyframe and return its entry number."""
        return self.map.add(
            _embedding(keyframe),
            T_odom_camera=keyframe.T_odom_camera,
            stamp_ns=keyframe.stamp_ns,
            session=keyframe.session,
        )

    def join(self, query: int, match: int) -> None:
        """Join two entries that were verified to see the same place."""
        self.map.join(query, match)

    def similarities(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Compare a keyframe, with those before it, with every entry.

        Returns:
            (N,) float32 in [0, 1]: probability that the overlap is at least 0.3.
        """
        before = self.map.recent_embeddings(keyframe.session)
        return self.map.similarities(np.vstack([before, _embedding(keyframe)]))


def _embedding(keyframe: Keyframe) -> NDArray[np.float32]:
    assert keyframe.encoding is not None  # the detector has made it
    return keyframe.encoding.embedding
