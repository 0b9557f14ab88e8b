"""The index of the reference graph: exact while that is fast, approximate beyond."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError
from s3e_gnn_ros.graph.exact_index import ExactIndex, Found
from s3e_gnn_ros.graph.ivf_index import IvfIndex

MAX_EXACT = 100_000
_GROWTH = 2
_NUM_LISTS = 2048
_NUM_PROBES = 32
_SAMPLES_PER_LIST = 40
_MAX_COMPARED = 1024
_CHUNK = 65_536


class GrowingIndex:
    """An exact index that becomes an approximate one when it grows large.

    The change takes some 20 seconds. The lists of an approximate index fit the vectors that were
    there when it was made, and those of new places crowd in a few of them: it is made anew
    whenever it has doubled. Without FAISS the index stays exact and gets slower.

    Args:
        dim: of the vectors.
        max_exact: vectors up to which the search is exact.
    """

    def __init__(self, dim: int, max_exact: int = MAX_EXACT) -> None:
        self._index: ExactIndex | IvfIndex = ExactIndex(dim)
        self._max_size = max_exact  # until which it is good
        self._can_change = True

    def __len__(self) -> int:
        """Return the number of vectors ever added: the next id."""
        return len(self._index)

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared."""
        return isinstance(self._index, ExactIndex)

    @property
    def num_bytes(self) -> int:
        """Memory of the index."""
        return self._index.num_bytes

    def add(self, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        """Add vectors (n, dim) and return their ids (n,), which are consecutive."""
        ids = self._index.add(vectors)
        if len(self) > self._max_size and self._can_change:
            self._change()
        return ids

    def update(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Replace vectors (n, dim).

        Raises:
            InputError: an id is unknown or removed.
        """
        self._index.update(ids, vectors)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; their ids are not used again.

        Raises:
            InputError: an id is unknown or removed.
        """
        self._index.remove(ids)

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some vectors (n, dim), as precise as the index keeps them."""
        return self._index.rows(ids)

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Find the k best for each of W queries (W, dim), or about the best beyond the limit."""
        return self._index.search(queries, k)

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the inner products (N,) of a query (dim,) with all; -inf where removed.

        Beyond the limit those that :meth:`compared` leaves out have -inf as well.
        """
        ids, found = self.compared(query)
        if ids is None:
            return found
        scores = np.full(len(self), -np.inf, dtype=np.float32)
        scores[ids] = found
        return scores

    def compared(
        self, query: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64] | None, NDArray[np.float32]]:
        """Return the inner products (n,) of a query (dim,) with those it is compared with.

        Beyond the limit these are the vectors in the query's lists, the best 1,024 at most.

        Returns:
            Their ids (n,), or None for all of them in order; -inf where one is removed.
        """
        if isinstance(self._index, ExactIndex):
            return None, self._index.scores(query)
        found, ids = self._index.search(query[None], _MAX_COMPARED)
        return ids[ids >= 0], found[ids >= 0]

    def _change(self) -> None:
        """Find lists for the vectors that are here now, unless nearly all were removed."""
        old = self._index
        ids = old.ids()
        if len(ids) < _SAMPLES_PER_LIST:
            return
        num_lists = min(_NUM_LISTS, len(ids) // _SAMPLES_PER_LIST)
        step = max(1, len(ids) // (num_lists * _SAMPLES_PER_LIST))
        try:
            index = IvfIndex(old.rows(ids[::step]), num_lists, _NUM_PROBES)
        except DependencyError:
            self._can_change = False  # asked once: a failed import is not cached
            return
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            index.add(old.rows(part), part)
        index.reserve(len(old))
        self._index = index
        self._max_size = _GROWTH * len(old)
