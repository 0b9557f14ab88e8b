"""Answers of the database, and which entries a query may find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Result(NamedTuple):
    """One entry that a query found.

    Attributes:
        id: entry number, from 0 in order of addition.
        score: in [0, 1], higher is better.
    """

    id: int
    score: float


class QueryResults(list[Result]):
    """Results, best first."""

    @property
    def ids(self) -> list[int]:
        """Entry numbers, best first."""
        return [result.id for result in self]

    @property
    def scores(self) -> list[float]:
        """Scores, best first."""
        return [result.score for result in self]


class IdRule(Enum):
    """What ``max_id`` means; DBoW2's header and its code differ by one.

    In all of them -1 allows every entry, and a lower number none (DBoW2's header says that any
    negative number allows all; its code knows -1 alone).
    """

    DOCUMENTED = 'documented'
    """Entries up to and including ``max_id``, as DBoW2's header says."""

    DBOW2 = 'dbow2'
    """Entries below ``max_id``, as DBoW2's code does it."""

    VINS = 'vins'
    """Entries below ``max_id`` and the newest one: the copy of DBoW2 inside VINS-Mono and
    VINS-Fusion, which takes the score of the predecessor for the measure of a good one."""


def allowed(num_entries: int, max_id: int, rule: IdRule) -> NDArray[np.bool_]:
    """Mask (N,) of the entries that a query with this ``max_id`` may find."""
    ids = np.arange(num_entries)
    if max_id == -1:
        return np.ones(num_entries, dtype=bool)
    if rule is IdRule.DOCUMENTED:
        return np.asarray(ids <= max_id)
    if rule is IdRule.VINS:
        return np.asarray((ids < max_id) | (ids == num_entries - 1))
    return np.asarray(ids < max_id)


@dataclass(frozen=True, eq=False)
class Comparison:
    """An image compared with all N entries.

    Attributes:
        scores: (N,) float32 in [0, 1].
        ranks_by: (N,) float32, higher is better: finer than scores that have reached 1.
    """

    scores: NDArray[np.float32]
    ranks_by: NDArray[np.float32]


def best(comparison: Comparison, is_allowed: NDArray[np.bool_], max_results: int) -> QueryResults:
    """Choose the best of the allowed entries that have anything in common with the query.

    Args:
        comparison: with the entries.
        is_allowed: (N,) mask.
        max_results: at most so many; 0 or less: all.

    Returns:
        Best first, the older one first among equals.
    """
    scores = comparison.scores
    ids = np.flatnonzero(is_allowed & (scores > 0))
    order = ids[np.argsort(-comparison.ranks_by[ids], kind='stable')]
    if max_results > 0:
        order = order[:max_results]
    return QueryResults(Result(int(i), float(scores[i])) for i in order)
