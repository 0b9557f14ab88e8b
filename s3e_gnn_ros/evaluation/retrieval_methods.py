"""The retrieval methods an evaluation can compare, by name."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import MIN_GAP
from s3e_gnn_ros.evaluation.retrieval_s3e import S3EMethod
from s3e_gnn_ros.retrieval.inverted_index import InvertedIndex
from s3e_gnn_ros.retrieval.vocabulary import BowVector
from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary
from s3e_gnn_ros.types import Encoding

S3E, S3E_ENCODER, BOW = 's3e', 's3e-encoder', 'bow'


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

        Which of the pairs count is decided afterwards: barred ones stay in the database, as they
        stay in a robot's map. The similarity to one image may depend on what else is in the
        database: S3E follows paths through the whole map. So the caller hands over no image that
        the robot would not have; what a query may not know yet of its own source is the method's
        to leave out.

        Args:
            queries: one drive in order of its ``index``; a window of successive queries ends at
                the query itself.
            database: one or several drives, one after the other, and nothing else. Another call
                may hand over another database; nothing of this one may be left in its answer.

        Returns:
            (Q, N) float32, higher is better.
        """
        ...


@runtime_checkable
class LearnedMethod(SimilarityMethod, Protocol):
    """A method whose encoder describes patches of an image, too: verification may use them."""

    def encoding(self, item: Item) -> Encoding:
        """Return what the encoder makes of an image."""
        ...

    def matches(self, query: Item, match: Item) -> NDArray[np.intp]:
        """Match the patches of two images: (P, 2) indices of features of both."""
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


def method_names() -> tuple[str, ...]:
    """Return the names :func:`make_method` knows; S3E's also as 'NAME@WEIGHTS'."""
    return (S3E, S3E_ENCODER, BOW)


def split_name(name: str) -> tuple[str, str]:
    """Return the method that a name stands for, and the weights in it ('' for none).

    Raises:
        ConfigError: there is no such method, or it takes no weights.
    """
    method, at, weights = name.partition('@')
    if method not in method_names():
        raise ConfigError(f"unknown retrieval method '{name}'; known: {', '.join(method_names())}")
    if at and (method == BOW or not weights):
        raise ConfigError(f"retrieval method '{name}' names no weights, or takes none")
    return method, weights


def make_method(name: str, config: Config, min_gap: int = MIN_GAP) -> SimilarityMethod:
    """Make a method.

    Args:
        name: one of :func:`method_names`, S3E's also as 'NAME@WEIGHTS'.
        config: vocabulary and weights where the name has none.
        min_gap: keyframes of a recording this far before the query are in its database.

    Raises:
        ConfigError: there is none of that name.
        InputError: its vocabulary or weights cannot be read.
    """
    method, _ = split_name(name)
    return BowMethod(name, config) if method == BOW else S3EMethod(name, config, min_gap)
