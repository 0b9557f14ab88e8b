"""Retrieval by bag of words: the baseline that every learned method is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.retrieval.interface import Scores, StoredEntries
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

    def remove(self, entry: int) -> None:
        """Forget an entry.

        Raises:
            InputError: it is unknown, or removed already.
        """
        self._index.remove(entry)

    def restore(self, stored: StoredEntries) -> None:
        """Add the keyframes of a stored map: their words are looked up anew."""
        # All before the first is added: a damaged map must not leave a half of itself here.
        for vector in [self._vocabulary.transform(each) for each in stored.descriptors]:
            self._index.add(vector)

    def similarities(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Compare a keyframe with every entry.

        Returns:
            (N,) float32, the L1 score in [0, 1]; 0 everywhere for a keyframe without features.
        """
        return self._index.scores(self._vector(keyframe))

    def compare(self, keyframe: Keyframe, before: NDArray[np.float32] | None) -> Scores:
        """Compare a keyframe with every entry; those before it do not matter.

        Returns:
            The L1 score, twice: it lies in [0, 1] already.
        """
        scores = self.similarities(keyframe)
        return Scores(scores, scores)

    def embeddings(self, entries: Sequence[int]) -> None:
        """Return None: there are none."""
        return

    def _vector(self, keyframe: Keyframe) -> BowVector:
        # A detector asks about a keyframe and then adds it: it is transformed only once.
        if self._last is None or self._last[0] is not keyframe.features:
            vector = self._vocabulary.transform(keyframe.features.descriptors)
            self._last = (keyframe.features, vector)
        return self._last[1]
