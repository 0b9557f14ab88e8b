"""What :mod:`s3e_gnn_ros.graph.query` computes, in numpy: for the few rows of one keyframe."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, log_expit

_LOG_2 = np.float32(math.log(2.0))

_Array = NDArray[np.float32]


def reference_vectors(logits: _Array, form: str = 'improved') -> _Array:
    """Return the vectors (N, K + 1) to search among, for logits (N, K)."""
    if form == 'paper':
        return _with_column(log_expit(logits), np.float32(0.0))
    half = 0.5 * np.abs(logits)
    # log cosh(x / 2), without overflow.
    h = np.log1p(np.exp(-2.0 * half)) + (half - _LOG_2)
    return _with_column(logits, h.sum(axis=1))


def query_vectors(q: _Array, form: str = 'improved') -> _Array:
    """Return the vectors (W, K + 1) to search with, for q (W, K)."""
    return _with_column(q if form == 'paper' else q - np.float32(0.5), np.float32(-1.0))


def similarity_of_scores(scores: _Array, q: _Array, eta: float, form: str = 'improved') -> _Array:
    """Turn inner products (W, N) into U (W, N), in place, for q (W, K)."""
    best = np.float32(eta)  # 1 / U of a perfect match
    if form == 'paper':
        np.subtract(best, scores, out=scores)
    else:
        # Two large numbers with a small difference: single precision would leave 1e-5 of U to
        # the rounding of q.
        exact = q.astype(np.float64)
        entropy = (entr(exact) + entr(1.0 - exact)).sum(axis=1, keepdims=True)  # (W, 1)
        deficit = (math.log(2.0) * q.shape[1] - entropy).astype(np.float32)
        np.subtract(deficit, scores, out=scores)
        np.maximum(scores, np.float32(0.0), out=scores)
        scores += best
    return np.reciprocal(scores, out=scores)


def _with_column(rows: _Array, last: _Array | np.float32) -> _Array:
    wide = np.empty((len(rows), rows.shape[1] + 1), dtype=np.float32)
    wide[:, :-1] = rows
    wide[:, -1] = last
    return wide
