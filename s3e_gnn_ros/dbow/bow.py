"""Bag of words behind the database: DBoW2's tf-idf weights and L1 score, on ORB."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.dbow.backend import Prepared, stored
from s3e_gnn_ros.dbow.direct_index import FeatureVector, group_by_node, node_of_word
from s3e_gnn_ros.dbow.features import ImageFeatures, local_features
from s3e_gnn_ros.dbow.results import Comparison
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.inverted_index import InvertedIndex
from s3e_gnn_ros.retrieval.vocabulary import Vocabulary


class BowBackend:
    """Implements ``Backend`` with :class:`Vocabulary` and :class:`InvertedIndex`.

    The words of each entry's features are kept (4 kB for 1,000 features): they are DBoW2's direct
    index, and all that a file needs.

    Args:
        vocabulary: the words.
        features: how ORB is computed for images that come without descriptors.
    """

    method = 'bow'

    def __init__(self, vocabulary: Vocabulary, features: FeatureConfig) -> None:
        self._vocabulary = vocabulary
        self._features = features
        self._extractor = OrbExtractor(features)
        self._index = InvertedIndex(vocabulary.num_words)
        self._words: list[NDArray[np.int32]] = []
        self._nodes = lru_cache(maxsize=1)(lambda levels: node_of_word(vocabulary, levels))

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._index)

    @property
    def digest(self) -> str:
        """Hash of the vocabulary."""
        content = hashlib.sha256()
        for array in (self._vocabulary.centres, self._vocabulary.num_children):
            content.update(np.ascontiguousarray(array).tobytes())
        content.update(self._vocabulary.idf.tobytes())
        return content.hexdigest()

    def emptied(self) -> BowBackend:
        """Return an empty one with the same vocabulary."""
        return BowBackend(self._vocabulary, self._features)

    def prepare(self, given: ImageFeatures) -> Prepared:
        """Find the words of the descriptors, or of ORB computed in the image."""
        features = local_features(given, self._extractor)
        return Prepared(given, features, self._vocabulary.words_of(features.descriptors))

    def add(self, prepared: Prepared, *, is_next: bool = True) -> int:
        """Add an entry; whether it follows the last one makes no difference to words."""
        assert prepared.words is not None  # prepare() has found them
        entry = self._index.add(self._vocabulary.weigh(prepared.words))
        self._words.append(prepared.words)
        return entry

    def compare(self, prepared: Prepared, *, is_next: bool = True) -> Comparison:
        """Compute the L1 score of each entry."""
        assert prepared.words is not None  # prepare() has found them
        scores = self._index.scores(self._vocabulary.weigh(prepared.words))
        return Comparison(scores, scores)

    def join(self, first: int, second: int) -> None:
        """Do nothing: words know of no graph."""

    def node_of(self, words: NDArray[np.int32], levels_up: int) -> NDArray[np.intp]:
        """Return the node (N,) of each word; -1 where the word weighs nothing."""
        return np.where(self._vocabulary.idf[words] > 0, self._nodes(levels_up)[words], -1)

    def feature_vector(self, entry: int, levels_up: int) -> FeatureVector:
        """Return the direct index of an entry."""
        return group_by_node(self.node_of(self._words[entry], levels_up))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the words of all entries, one after the other, and how many each has."""
        words = [np.zeros(0, dtype=np.int32), *self._words]
        return {
            'words': np.concatenate(words),
            'lengths': np.array([len(each) for each in self._words], dtype=np.int64),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add the entries of :meth:`arrays`.

        Raises:
            InputError: the arrays are not such.
        """
        try:
            words = stored(arrays, 'words', np.int32, 1)
            lengths = stored(arrays, 'lengths', np.int64, 1)
        except (KeyError, ValueError) as err:
            raise InputError(f'its entries cannot be read: {err}') from err
        is_whole = (lengths >= 0).all() and lengths.sum() == len(words)
        if not is_whole or ((words < 0) | (words >= self._vocabulary.num_words)).any():
            raise InputError(f'{len(words)} words in {len(lengths)} entries do not fit together')
        for each in np.split(words, np.cumsum(lengths)[:-1]) if len(lengths) else []:
            self._index.add(self._vocabulary.weigh(each))
            self._words.append(each)
