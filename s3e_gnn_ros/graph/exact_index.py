"""Exact maximum inner product search."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.graph.block_matrix import BlockMatrix

Found = tuple[NDArray[np.float32], NDArray[np.int64]]
"""Scores (W, k) and ids (W, k), best first; -inf and -1 where fewer than k were found."""


# One inner product per row, where numpy (2 and later) has that: at 10,000 rows and more it reads
# memory twice as fast as OpenBLAS's product of a matrix and a vector.
_product_of_rows = getattr(np, 'vecdot', np.dot)


class ExactIndex:
    """Compares a query with every vector, in single precision.

    Args:
        dim: of the vectors.
    """

    def __init__(self, dim: int) -> None:
        self._vectors = BlockMatrix(dim, np.float32)
        self._removed: set[int] = set()
        self._removed_rows = np.zeros(0, dtype=np.int64)  # the same, to index with

    def __len__(self) -> int:
        """Return the number of vectors ever added: the next id."""
        return len(self._vectors)

    @property
    def num_bytes(self) -> int:
        """Memory of the vectors."""
        return self._vectors.num_bytes

    def add(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Add vectors (n, dim) and return their ids (n,), which are consecutive."""
        start = len(self)
        self._vectors.append(vectors)
        return np.arange(start, len(self))

    def update(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Replace vectors (n, dim).

        Raises:
            InputError: an id is unknown or removed.
        """
        self._check(ids)
        self._vectors.assign(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; their ids are not used again.

        Raises:
            InputError: an id is unknown or removed.
        """
        self._check(ids)
        self._removed.update(ids.tolist())
        self._removed_rows = np.append(self._removed_rows, ids)

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner products (N,) of a query (dim,) with all; -inf where removed."""
        scores = np.empty(len(self), dtype=np.float32)
        start = 0
        for block in self._vectors.filled():
            _product_of_rows(block, query, out=scores[start : start + len(block)])
            start += len(block)
        scores[self._removed_rows] = -np.inf
        return scores

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Find the k best for each of W queries (W, dim)."""
        found = [_best(self.scores(query), k) for query in queries]
        return np.stack([each[0] for each in found]), np.stack([each[1] for each in found])

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return a copy of some vectors (n, dim)."""
        return self._vectors.rows(ids)

    def ids(self) -> NDArray[np.int64]:
        """Return the ids (n,), ascending, of the vectors that were not removed."""
        return np.setdiff1d(np.arange(len(self)), self._removed_rows)

    def _check(self, ids: NDArray[np.int64]) -> None:
        for each in ids.tolist():
            if not 0 <= each < len(self) or each in self._removed:
                raise InputError(f'the index has no vector {each}')


def _best(scores: NDArray[np.float32], k: int) -> Found:
    """Return the k highest (k,) of scores (N,), padded."""
    count = min(k, len(scores))
    best = np.full(k, -np.inf, dtype=np.float32)
    ids = np.full(k, -1, dtype=np.int64)
    if count:
        chosen = np.argpartition(scores, len(scores) - count)[len(scores) - count :]
        chosen = chosen[np.argsort(-scores[chosen], kind='stable')]
        best[:count] = scores[chosen]
        ids[:count] = np.where(np.isneginf(best[:count]), -1, chosen)
    return best, ids
