"""What a similarity matrix is worth: the four figures of an evaluation, and their intervals.

Each query's best candidate counts. Blocks of successive queries are drawn together (circular
block bootstrap, Politis and Romano 1992): neighbours on a drive see nearly the same, so single
queries would give intervals that are far too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.ranking import (
    average_precision,
    max_recall_at_full_precision,
    num_before_positive,
    recall_at_k,
)
from s3e_gnn_ros.evaluation.retrieval_relevance import JUNK, POSITIVE

METRICS = (
    'average_precision',
    'max_recall_at_full_precision',
    'recall_at_1',
    'recall_at_5',
)


@dataclass(frozen=True, eq=False)
class Answers:
    """What each of the Q queries that have a candidate got.

    Attributes:
        similarity: (Q,) of the best candidate.
        is_right: (Q,) whether it is positive; false where a wrong one is just as similar.
        has_positive: (Q,) whether there was anything to find.
        num_before: (Q,) wrong candidates placed before the best right one; NO_POSITIVE where
            there was none to find.
    """

    similarity: NDArray[np.float64]
    is_right: NDArray[np.bool_]
    has_positive: NDArray[np.bool_]
    num_before: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of queries."""
        return len(self.similarity)

    def take(self, rows: NDArray[np.intp]) -> Answers:
        """Return some of the queries, or some of them twice."""
        return Answers(
            self.similarity[rows],
            self.is_right[rows],
            self.has_positive[rows],
            self.num_before[rows],
        )


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval; NaN where it is undefined."""

    value: float
    low: float
    high: float


def find_answers(similarity: NDArray[np.floating], relevance: NDArray[np.int8]) -> Answers:
    """Leave out junk, then look at each query's candidates.

    Args:
        similarity: (Q, N) higher is better.
        relevance: (Q, N) POSITIVE, NEGATIVE or JUNK.

    Raises:
        InputError: shapes differ, or a candidate's similarity is not finite.
    """
    if similarity.shape != relevance.shape:
        raise InputError(f'similarity is {similarity.shape}, relevance {relevance.shape}')
    asked = (relevance != JUNK).any(axis=1)
    scores, truth = np.asarray(similarity[asked], np.float64), relevance[asked]
    if not np.isfinite(scores[truth != JUNK]).all():
        raise InputError('a similarity is not finite')
    positive = truth == POSITIVE
    right = np.where(positive, scores, -np.inf).max(axis=1, initial=-np.inf)
    is_wrong = (truth != JUNK) & ~positive
    wrong = np.where(is_wrong, scores, -np.inf).max(axis=1, initial=-np.inf)
    return Answers(
        similarity=np.maximum(right, wrong),
        is_right=right > wrong,
        has_positive=positive.any(axis=1),
        num_before=num_before_positive(np.where(truth == JUNK, np.nan, scores), positive),
    )


def metrics(answers: Answers) -> dict[str, float]:
    """Return the value of each of ``METRICS``; NaN where no query has a positive."""
    num = int(answers.has_positive.sum())
    ranking = (answers.similarity, answers.is_right, num)
    return {
        'average_precision': average_precision(*ranking),
        'max_recall_at_full_precision': max_recall_at_full_precision(*ranking),
        'recall_at_1': recall_at_k(answers.num_before, 1),
        'recall_at_5': recall_at_k(answers.num_before, 5),
    }


def block_samples(num_queries: int, num_samples: int, seed: int = 0) -> NDArray[np.intp]:
    """Draw queries in circular blocks of about the square root of their number.

    Returns:
        (num_samples, num_queries) indices of queries.
    """
    if num_queries == 0 or num_samples == 0:
        return np.zeros((num_samples, num_queries), dtype=np.intp)
    length = max(1, round(num_queries**0.5))
    num_blocks = -(-num_queries // length)
    starts = np.random.default_rng(seed).integers(num_queries, size=(num_samples, num_blocks, 1))
    rows = (starts + np.arange(length)) % num_queries  # (samples, blocks, length)
    return rows.reshape(num_samples, -1)[:, :num_queries].astype(np.intp)


@dataclass(frozen=True, eq=False)
class Sampled:
    """Figures of one method, averaged over seeds.

    Attributes:
        values: by metric.
        samples: by metric (S,), the same figure on each draw of the bootstrap.
    """

    values: dict[str, float]
    samples: dict[str, NDArray[np.float64]]

    def intervals(self) -> dict[str, Interval]:
        """Return each figure with its interval."""
        return {name: _interval(self.values[name], self.samples[name]) for name in METRICS}

    def minus(self, other: Sampled) -> dict[str, Interval]:
        """Return the paired differences: both were computed on the same draws of queries."""
        return {
            name: _interval(
                self.values[name] - other.values[name],
                self.samples[name] - other.samples[name],
            )
            for name in METRICS
        }


def sample_metrics(answers: Sequence[Answers], draws: NDArray[np.intp]) -> Sampled:
    """Compute the figures on all queries and on each draw (S, Q), averaged over seeds.

    Args:
        answers: one per seed, of the same queries.
        draws: from :func:`block_samples`.
    """

    def mean(rows: NDArray[np.intp] | None) -> list[float]:
        found = [metrics(each if rows is None else each.take(rows)) for each in answers]
        return [float(np.mean([values[name] for values in found])) for name in METRICS]

    table = np.array([mean(rows) for rows in draws]).reshape(-1, len(METRICS))
    values = mean(None)
    return Sampled(
        dict(zip(METRICS, values, strict=True)),
        {name: table[:, column] for column, name in enumerate(METRICS)},
    )


def _interval(value: float, samples: NDArray[np.float64]) -> Interval:
    known = samples[np.isfinite(samples)]  # a draw may hold no query with a positive
    if len(known) == 0:
        return Interval(value, float('nan'), float('nan'))
    low, high = np.percentile(known, [2.5, 97.5])
    return Interval(value, float(low), float(high))
