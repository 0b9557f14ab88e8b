"""An inverted index that grows by one image at a time and scores all of them at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.vocabulary import BowVector

_TAIL_ENTRIES = 64
"""Entries gathered before they become an indexed block."""

_MAX_BLOCK_ENTRIES = 2048
"""Larger blocks are not merged: bounds how long the slowest addition takes."""

_MAX_WAITING = 256
"""Removed entries whose postings are kept until there are as many."""

_NOTHING: BowVector = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)


class InvertedIndex:
    """For each word, the entries that show it, with their weights.

    The score of two vectors v and w with the sum 1 is DBoW2's ``1 - |v - w|_1 / 2``. As
    ``|a - b| = a + b - 2 min(a, b)``, this is the sum of ``min(v_i, w_i)`` over the words they
    share, so that only postings of the query's words count.

    Entries live in blocks of 64, 128 ... 2048 entries, each grouped by word, and a tail of less
    than 64 in order of arrival. A full tail becomes a block, and two blocks of one size below
    2048 become one, so that an entry is moved six times at most.

    Args:
        num_words: size of the vocabulary.
    """

    def __init__(self, num_words: int) -> None:
        self._num_words = num_words
        self._blocks: list[_Block] = []
        self._tail: list[BowVector] = []
        self._is_removed: list[bool] = []
        self._waiting: set[int] = set()  # removed, but their postings are still there
        self._query = np.zeros(num_words, dtype=np.float32)  # all zero between the calls

    def __len__(self) -> int:
        """Return the number of entries."""
        return sum(block.num_entries for block in self._blocks) + len(self._tail)

    @property
    def num_bytes(self) -> int:
        """Memory of all postings and tables."""
        tail = sum(words.nbytes + weights.nbytes for words, weights in self._tail)
        return sum(block.num_bytes for block in self._blocks) + tail + self._query.nbytes

    def add(self, vector: BowVector) -> int:
        """Add an entry and return its number."""
        entry = len(self)
        self._is_removed.append(False)
        self._tail.append(vector)
        if len(self._tail) == _TAIL_ENTRIES:
            block = _index(self._tail, self._num_words)
            self._tail = []
            while self._has_partner(block):
                block = _merge(self._blocks.pop(), block)
            self._blocks.append(block)
        return entry

    def remove(self, entry: int) -> None:
        """Forget an entry; its number is not used again.

        Raises:
            InputError: it is unknown, or removed already.
        """
        if not 0 <= entry < len(self) or self._is_removed[entry]:
            raise InputError(f'the inverted index has no entry {entry}')
        self._is_removed[entry] = True
        in_tail = entry - (len(self) - len(self._tail))
        if in_tail >= 0:
            self._tail[in_tail] = _NOTHING
            return
        self._waiting.add(entry)
        if len(self._waiting) == _MAX_WAITING:
            self._drop_postings()

    def scores(self, vector: BowVector) -> NDArray[np.float32]:
        """Score a vector against every entry; returns (N,) float32 in [0, 1], 0 where removed."""
        parts = [block.scores(vector) for block in self._blocks]
        parts.append(self._tail_scores(vector))
        scores = np.clip(np.concatenate(parts), 0.0, 1.0).astype(np.float32)
        scores[list(self._waiting)] = 0.0
        return scores

    def _drop_postings(self) -> None:
        """Free the postings of removed entries, of many at once: it goes through whole blocks."""
        start = 0
        for number, block in enumerate(self._blocks):
            end = start + block.num_entries
            if any(start <= entry < end for entry in self._waiting):
                self._blocks[number] = block.without(np.array(self._is_removed[start:end]))
            start = end
        self._waiting.clear()

    def _has_partner(self, block: _Block) -> bool:
        if not self._blocks or block.num_entries >= _MAX_BLOCK_ENTRIES:
            return False
        return self._blocks[-1].num_entries == block.num_entries

    def _tail_scores(self, vector: BowVector) -> NDArray[np.float64]:
        if not self._tail:
            return np.zeros(0)
        words, weights, entries = _concatenate(self._tail)
        self._query[vector[0]] = vector[1]
        shared = np.minimum(self._query[words], weights)
        self._query[vector[0]] = 0.0
        return _sums(entries, shared, len(self._tail))


@dataclass(frozen=True, eq=False)
class _Block:
    """Postings of consecutive entries, grouped by word.

    Attributes:
        starts: (W + 1,) int32, where the postings of each word begin.
        entries: (P,) int32, counted from the first entry of the block, ascending for each word.
        weights: (P,) float32.
        num_entries: how many entries the block covers.
    """

    starts: NDArray[np.int32]
    entries: NDArray[np.int32]
    weights: NDArray[np.float32]
    num_entries: int

    @property
    def num_bytes(self) -> int:
        return self.starts.nbytes + self.entries.nbytes + self.weights.nbytes

    def without(self, is_removed: NDArray[np.bool_]) -> _Block:
        """Return the block less the postings of some entries (num_entries,)."""
        kept = ~is_removed[self.entries]
        num_before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32)
        starts = num_before[self.starts] if kept.any() else _no_starts(len(self.starts))
        return _Block(starts, self.entries[kept], self.weights[kept], self.num_entries)

    def scores(self, vector: BowVector) -> NDArray[np.float64]:
        words, weights = vector
        starts = self.starts[words]
        counts = self.starts[words + 1] - starts
        # Position j of the concatenated postings lies at starts[i] + j - (postings before word i).
        offsets = starts - (np.cumsum(counts) - counts)
        postings = np.repeat(offsets, counts) + np.arange(counts.sum())
        shared = np.minimum(np.repeat(weights, counts), self.weights[postings])
        return _sums(self.entries[postings], shared, self.num_entries)


@lru_cache(maxsize=4)
def _no_starts(num: int) -> NDArray[np.int32]:
    """Return zeros (num,) that all blocks without postings share: a map is pruned for ever."""
    return np.zeros(num, dtype=np.int32)


def _sums(
    entries: NDArray[np.int32], shared: NDArray[np.float32], num_entries: int
) -> NDArray[np.float64]:
    """Add up what each entry shares with the query (bincount of nothing counts in integers)."""
    return np.bincount(entries, shared, minlength=num_entries).astype(np.float64, copy=False)


def _concatenate(
    vectors: list[BowVector],
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32]]:
    """Return the words, weights and entry numbers (P,) of all postings, in order of arrival."""
    words = np.concatenate([vector[0] for vector in vectors])
    weights = np.concatenate([vector[1] for vector in vectors])
    lengths = [len(vector[0]) for vector in vectors]
    return words, weights, np.repeat(np.arange(len(vectors), dtype=np.int32), lengths)


def _index(vectors: list[BowVector], num_words: int) -> _Block:
    words, weights, entries = _concatenate(vectors)
    order = np.argsort(words, kind='stable')
    starts = np.zeros(num_words + 1, dtype=np.int32)
    np.cumsum(np.bincount(words, minlength=num_words), out=starts[1:])
    return _Block(starts, entries[order], weights[order], len(vectors))


def _merge(first: _Block, second: _Block) -> _Block:
    """Put the postings of two neighbouring blocks together, without sorting."""
    # Each posting moves back by as many of the other block as now come before it.
    into = np.arange(len(first.entries)) + np.repeat(second.starts[:-1], np.diff(first.starts))
    behind = np.arange(len(second.entries)) + np.repeat(first.starts[1:], np.diff(second.starts))
    total = len(into) + len(behind)
    entries, weights = np.empty(total, dtype=np.int32), np.empty(total, dtype=np.float32)
    entries[into], weights[into] = first.entries, first.weights
    entries[behind] = second.entries + np.int32(first.num_entries)
    weights[behind] = second.weights
    num_entries = first.num_entries + second.num_entries
    return _Block(first.starts + second.starts, entries, weights, num_entries)
