"""The retrieval methods an evaluation can compare, by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_s3e import S3EMethod
from s3e_gnn_ros.retrieval.inverted_index import InvertedIndex
from s3e_gnn_ros.retrieval.vocabulary import BowVector
from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary


class SimilarityMethod(Protocol):
    """Compares queries with a database.

    Attributes:
        name: short name, in tables and file names.
        embedding_ms: run time of describing each image, without its ORB features; appended to.
        query_ms: run time of comparing each query with the whole database; appended to.
    """

    name: str
    embedding_ms: list[float]
    query_ms: list[float]

    def similarity_matrix(
        self, queries: Sequence[Item], database: Sequence[Item]
    ) -> NDArray[np.float32]:
        """Compare each query with each image of the database.

        Which pairs count is decided afterwards. The similarity to images of one source must not
        depend on which other sources are in the database.

        Args:
            queries: one drive in order of its ``index``; a window of successive queries ends at
                the query itself.
            database: one or several drives, one after the other.

        Returns:
            (Q, N) float32, higher is better.
        """
        ...


class BowMethod:
    """Bag of words: tf-idf vectors of ORB, DBoW2's L1 score (symmetric)."""

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.embedding_ms: list[float] = []
        self.query_ms: list[float] = []
        self._vocabulary = load_vocabulary(config.retrieval.vocabulary)

    def similarity_matrix(
        self, queries: Sequence[Item], database: Sequence[Item]
    ) -> NDArray[np.float32]:
        """Return the L1 scores (Q, N) in [0, 1]."""
        index = InvertedIndex(self._vocabulary.num_words)
        for item in database:
            index.add(self._vector(item))
        return np.array([self._scores(index, self._vector(item)) for item in queries], np.float32)

    def _vector(self, item: Item) -> BowVector:
        start = time.perf_counter()
        vector = self._vocabulary.transform(item.features.descriptors)
        self.embedding_ms.append((time.perf_counter() - start) * 1e3)
        return vector

    def _scores(self, index: InvertedIndex, vector: BowVector) -> NDArray[np.float32]:
        start = time.perf_counter()
        scores = index.scores(vector)
        self.query_ms.append((time.perf_counter() - start) * 1e3)
        return scores


_METHODS: dict[str, Callable[[str, Config], SimilarityMethod]] = {
    's3e': S3EMethod,
    's3e-encoder': S3EMethod,
    'bow': BowMethod,
}


def method_names() -> tuple[str, ...]:
    """Return the names :func:`make_method` knows; S3E's also as 'NAME@WEIGHTS'."""
    return tuple(_METHODS)


def make_method(name: str, config: Config) -> SimilarityMethod:
    """Make a method.

    Raises:
        ConfigError: there is none of that name.
        InputError: its vocabulary or weights cannot be read.
    """
    method, _, weights = name.partition('@')
    if method not in _METHODS or (weights and method == 'bow'):
        raise ConfigError(f"unknown retrieval method '{name}'; known: {', '.join(method_names())}")
    return _METHODS[method](name, config)
