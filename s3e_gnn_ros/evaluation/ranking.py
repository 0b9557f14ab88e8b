"""Precision and recall of a ranking, exact where similarities are equal.

Equal similarities are one group: no threshold can accept one of them and refuse the other, so
the order in which a sort happens to leave them never matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s3e_gnn_ros.errors import InputError

NO_POSITIVE = np.iinfo(np.int64).max
"""Stands for the number of candidates before a positive where there is none."""


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """One entry per distinct similarity, from the highest down.

    Attributes:
        thresholds: (T,) accept what is at least this similar.
        precision: (T,) share of the accepted that are positive.
        recall: (T,) share of the positives that are accepted; NaN without positives.
    """

    thresholds: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


def precision_recall(
    similarity: ArrayLike, is_positive: ArrayLike, num_positives: int | None = None
) -> PrecisionRecall:
    """Return precision and recall at every threshold.

    Args:
        similarity: (N,) higher is better; NaN leaves the item out (junk).
        is_positive: (N,) bool, the truth.
        num_positives: all there are to be found, when the ranking may have missed some; those
            in the ranking when None.

    Raises:
        InputError: lengths differ, or ``num_positives`` is less than the ranking holds.
    """
    scores, positive = _ranked(similarity, is_positive)
    total = int(positive.sum()) if num_positives is None else num_positives
    if total < positive.sum():
        raise InputError(f'num_positives is {total}, the ranking holds {int(positive.sum())}')
    # The last item of each group of equal similarities.
    last = np.flatnonzero(np.diff(scores, append=-np.inf))  # (T,)
    hits = np.cumsum(positive)[last].astype(np.float64)  # (T,)
    recall = hits / total if total else np.full(len(last), np.nan)
    return PrecisionRecall(scores[last], hits / (last + 1.0), recall)


def average_precision(
    similarity: ArrayLike, is_positive: ArrayLike, num_positives: int | None = None
) -> float:
    """Return the area under the precision-recall steps; NaN when there is no positive.

    ``sum_t (recall_t - recall_{t-1}) * precision_t`` over distinct similarities. Arguments and
    errors as :func:`precision_recall`.
    """
    curve = precision_recall(similarity, is_positive, num_positives)
    if len(curve.recall) == 0:
        return 0.0 if num_positives else float('nan')
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def max_recall_at_full_precision(
    similarity: ArrayLike, is_positive: ArrayLike, num_positives: int | None = None
) -> float:
    """Return the largest recall before the first false one; NaN when there is no positive.

    A positive that ties with a false one is not counted. Arguments and errors as
    :func:`precision_recall`.
    """
    curve = precision_recall(similarity, is_positive, num_positives)
    if len(curve.recall) == 0:
        return 0.0 if num_positives else float('nan')
    if np.isnan(curve.recall[0]):
        return float('nan')
    return float(np.max(curve.recall[curve.precision == 1.0], initial=0.0))


def num_before_positive(similarity: ArrayLike, is_positive: ArrayLike) -> NDArray[np.int64]:
    """Count the false candidates of each query that are placed before its best positive.

    One that ties with the best positive is placed before it.

    Args:
        similarity: (Q, N) of each query to each candidate; NaN leaves the candidate out.
        is_positive: (Q, N) bool.

    Returns:
        (Q,), ``NO_POSITIVE`` for queries without a positive.

    Raises:
        InputError: shapes differ.
    """
    scores = np.atleast_2d(np.asarray(similarity, dtype=np.float64))
    positive = np.atleast_2d(np.asarray(is_positive, dtype=bool))
    if scores.shape != positive.shape:
        raise InputError(f'similarity has shape {scores.shape}, is_positive {positive.shape}')
    known = np.isfinite(scores)
    positive = positive & known  # a copy: the caller keeps his
    best = np.where(positive, scores, -np.inf).max(
        axis=1, keepdims=True, initial=-np.inf
    )  # (Q, 1)
    num_before = (known & ~positive & (np.where(known, scores, -np.inf) >= best)).sum(axis=1)
    return np.where(positive.any(axis=1), num_before, NO_POSITIVE).astype(np.int64)


def recall_at_k(num_before: NDArray[np.int64], k: int) -> float:
    """Return the share of queries with a positive among their k best; NaN without any positive.

    Args:
        num_before: (Q,) from :func:`num_before_positive`. Queries without a positive are left out.
        k: at least 1.

    Raises:
        InputError: k is below 1.
    """
    if k < 1:
        raise InputError(f'k is {k} instead of at least 1')
    asked = num_before[num_before != NO_POSITIVE]
    return float((asked < k).mean()) if len(asked) else float('nan')


def _ranked(
    similarity: ArrayLike, is_positive: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Sort from the most similar down, without the items that are left out."""
    scores = np.asarray(similarity, dtype=np.float64).ravel()
    positive = np.asarray(is_positive, dtype=bool).ravel()
    if scores.shape != positive.shape:
        raise InputError(f'{len(scores)} similarities, {len(positive)} truths')
    known = ~np.isnan(scores)
    scores, positive = scores[known], positive[known]
    order = np.argsort(-scores, kind='stable')
    return scores[order], positive[order]
