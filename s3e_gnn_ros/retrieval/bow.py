"""Retrieval by bag of words: the baseline that every learned method is compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.retrieval.inverted_index import InvertedIndex
from s3e_gnn_ros.retrieval.vocabulary import BowVector, Vocabulary
from s3e_gnn_ros.types import Features, Frame, Keyframe


class BagOfWords:
    """Compares keyframes by the visual words they share; implements ``Retrieval``.

    tf-idf weights and the L1 score of DBoW2 (Gálvez-López and Tardós 2012), on the keyframe's
    ORB descriptors.

    Args:
        vocabulary: the words.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._index = InvertedIndex(vocabulary.num_words)
        self._last: tuple[Features, BowVector] | None = None

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._index)

    @property
    def num_bytes(self) -> int:
        """Memory of the index."""
        return self._index.num_bytes

    def encode(self, frame: Frame, features: Features) -> None:
        """Return None: the features are all it needs."""
        return

    def add(self, keyframe: Keyframe) -> int:
        """Add a keyframe and return its entry number."""
        return self._index.add(self._vector(keyframe))

    def join(self, query: int, match: int) -> None:
        """Do nothing: words know of no graph."""

    def similarities(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Compare a keyframe with every entry.

        Returns:
            (N,) float32, the L1 score in [0, 1]; 0 everywhere for a keyframe without features.
        """
        return self._index.scores(self._vector(keyframe))

    def _vector(self, keyframe: Keyframe) -> BowVector:
        # A detector asks about a keyframe and then adds it: it is transformed only once.
        if self._last is None or self._last[0] is not keyframe.features:
            vector = self._vocabulary.transform(keyframe.features.descriptors)
            self._last = (keyframe.features, vector)
        return self._last[1]
