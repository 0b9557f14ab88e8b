"""Retrieval by encoder and learned map: takes the place of bag of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.weights import Weights
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.interface import Scores, StoredEntries
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
            self._embedding(keyframe),
            T_odom_camera=keyframe.T_odom_camera,
            stamp_ns=keyframe.stamp_ns,
            session=keyframe.session,
        )

    def join(self, query: int, match: int) -> None:
        """Join two entries that were verified to see the same place."""
        self.map.join(query, match)

    def remove(self, entry: int) -> None:
        """Forget an entry.

        Raises:
            InputError: it is unknown, or removed already.
        """
        self.map.remove(entry)

    def restore(self, stored: StoredEntries) -> None:
        """Add the keyframes of a stored map, in one pass of the GNN.

        Raises:
            InputError: the map has no embeddings, or those of another encoder.
        """
        num = len(stored)
        if stored.embeddings is not None:
            num = int(np.isnan(stored.embeddings).any(axis=1).sum())
        if num or stored.embeddings is None:
            raise InputError(
                f'{num} of {len(stored)} stored keyframes have no embedding: retrieval by s3e '
                'needs one of each'
            )
        self.map.restore(
            stored.embeddings,
            stamps_ns=stored.stamps_ns,
            sessions=stored.sessions,
            T_odom_camera=stored.T_odom_camera,
            loops=stored.loops,
        )

    def similarities(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Compare a keyframe, with those before it, with every entry.

        Returns:
            (N,) float32 in [0, 1]: probability that the overlap is at least 0.3.
        """
        before = self.map.recent_embeddings(keyframe.session)
        return self.map.similarities(np.vstack([before, self._embedding(keyframe)]))

    def compare(self, keyframe: Keyframe, before: NDArray[np.float32] | None) -> Scores:
        """Compare a keyframe, after those before it, with every entry.

        Args:
            keyframe: with its embedding.
            before: (n, D) embeddings of those before it, oldest first.

        Returns:
            Raw: U of paper Eq. 2 along the best path, or the cosine without GNN.
        """
        own = self._embedding(keyframe)[None]
        window = own if before is None else np.concatenate([before, own])
        raw = self.map.scores(window)
        return Scores(raw, self.map.calibration.probability(raw))

    def embeddings(self, entries: Sequence[int]) -> NDArray[np.float32]:
        """Return the embeddings (n, D) of entries that were not removed."""
        return self.map.reference.graph.embeddings(np.array(entries, dtype=np.int64))

    def _embedding(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Return the embedding (D,) of a keyframe.

        Raises:
            InputError: it is of another encoder; another robot may have made it.
        """
        assert keyframe.encoding is not None  # the detector has made it
        embedding, dim = keyframe.encoding.embedding, self.map.config.embedding_dim
        if embedding.shape != (dim,):
            raise InputError(
                f'keyframe {keyframe.keyframe_id} of session {keyframe.session} has an embedding '
                f'of {embedding.shape} instead of ({dim},): it is of other weights'
            )
        return embedding
