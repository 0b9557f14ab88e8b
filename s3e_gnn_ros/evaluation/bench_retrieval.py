"""How retrieval grows with the number of keyframes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.evaluation.bench_timing import Timing, measure
from s3e_gnn_ros.retrieval.inverted_index import InvertedIndex
from s3e_gnn_ros.retrieval.vocabulary import BowVector, Vocabulary

_FRAMES_PER_MIXTURE = 3
_NUM_QUERIES = 50


@dataclass(frozen=True, eq=False)
class Growth:
    """Retrieval with a number of keyframes in the index.

    Attributes:
        num_keyframes: how many.
        query: comparing one more keyframe with all of them.
        add: adding one, over all additions since the size before.
        num_bytes: memory of the index.
    """

    num_keyframes: int
    query: Timing
    add: Timing
    num_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Summarise in plain values."""
        return {
            'num_keyframes': self.num_keyframes,
            'query_p50_ms': float(np.median(self.query.samples_ms)),
            'add_p50_ms': float(np.median(self.add.samples_ms)),
            'bytes_per_keyframe': self.num_bytes / self.num_keyframes,
        }


def mixtures(
    images: Sequence[NDArray[np.uint8]], vocabulary: Vocabulary, rng: np.random.Generator
) -> Iterator[BowVector]:
    """Make up the vectors of ever new keyframes, with the statistics of real ones.

    Each has as many features as an image has, drawn from the features of three images.

    Args:
        images: descriptors (N_i, 32) uint8 of each image, one of them at least.
        vocabulary: the words.
        rng: draws.
    """
    words = [vocabulary.words_of(descriptors) for descriptors in images]
    while True:
        chosen = rng.integers(len(words), size=_FRAMES_PER_MIXTURE)
        size = len(words[chosen[0]])
        pool = np.concatenate([words[index] for index in chosen])
        found, counts = np.unique(rng.choice(pool, size, replace=False), return_counts=True)
        weights = counts * vocabulary.idf[found].astype(np.float64)
        found, weights = found[weights > 0], weights[weights > 0]
        if len(found):
            yield found, (weights / weights.sum()).astype(np.float32)


def time_growth(
    vectors: Iterator[BowVector], num_words: int, sizes: Sequence[int]
) -> Iterator[Growth]:
    """Fill an index and measure it at each size.

    Args:
        vectors: endless.
        num_words: of the vocabulary.
        sizes: numbers of keyframes, ascending.
    """
    index = InvertedIndex(num_words)
    for size in sizes:
        add_ms = [_add_ms(index, next(vectors)) for _ in range(size - len(index))]
        query_ms = [_query_ms(index, next(vectors)) for _ in range(_NUM_QUERIES)]
        yield Growth(
            num_keyframes=size,
            query=Timing(f'compare with {size:,} keyframes', np.array(query_ms)),
            add=Timing(f'add a keyframe, up to {size:,}', np.array(add_ms)),
            num_bytes=index.num_bytes,
        )


def _query_ms(index: InvertedIndex, vector: BowVector) -> float:
    return measure(lambda: index.scores(vector))


def _add_ms(index: InvertedIndex, vector: BowVector) -> float:
    return measure(lambda: index.add(vector))
