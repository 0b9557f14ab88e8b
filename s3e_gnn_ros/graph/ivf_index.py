"""Approximate maximum inner product search with FAISS, for more keyframes than fit a cache.

A vector is ``[v, h]`` and a query ``[u, -1]``, the score ``u . v - h``, as
:mod:`s3e_gnn_ros.graph.query` makes them. Lists of an inverted file need neighbourhoods, which an
inner product has not: ``h`` would draw every query to the same lists. So a vector becomes the
point ``[v, s]`` and a query ``[c u, 0]`` with ``s^2 = M + 2 c h - |v|^2``: their squared distance
is ``|c u|^2 + M - 2 c score`` (after Bachrach et al., RecSys 2014). With c = 4, a query lies
beside its match, as 4 (sigmoid(x) - 1/2) is about x.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError, InputError
from s3e_gnn_ros.graph.block_matrix import BlockMatrix
from s3e_gnn_ros.graph.exact_index import Found

_MIN_PER_LIST = 39  # training vectors that FAISS wants for each list
_SCALE = np.float32(4.0)  # c
_ALIGNMENT = 16  # FAISS compares codes of other lengths ten times slower
_SPARE = np.float32(2.0)  # M over the least that the sample needs


class IvfIndex:
    """An inverted file: vectors in lists by their nearest centre, in 8 bits per component.

    A query reads the lists of the nearest centres only. Vectors can be replaced and removed at a
    cost that does not grow with their number. They are kept in half precision as well: to decode
    a vector takes FAISS as long as to compare a hundred.

    Args:
        sample: (n, dim) float32 to find the centres with.
        num_lists: of the inverted file.
        num_probes: lists that a query reads.

    Raises:
        DependencyError: FAISS is not installed.
        InputError: the sample is too small for so many lists.
    """

    def __init__(
        self, sample: NDArray[np.float32], num_lists: int = 512, num_probes: int = 16
    ) -> None:
        if len(sample) < num_lists * _MIN_PER_LIST:
            raise InputError(
                f'{len(sample)} vectors instead of at least {num_lists * _MIN_PER_LIST} to find '
                f'{num_lists} centres'
            )
        self._faiss = import_faiss()
        self._num_columns = sample.shape[1]
        self._dim = -(-sample.shape[1] // _ALIGNMENT) * _ALIGNMENT
        self._offset = _SPARE * np.float32(_excess(sample).max(initial=0.0))  # M
        self._vectors = BlockMatrix(self._num_columns, np.float16)
        self._is_here = BlockMatrix(1, np.bool_)
        # Kept: the inverted file refers to it.
        self._centres = self._faiss.IndexFlatL2(self._dim)
        self._index = self._faiss.IndexIVFScalarQuantizer(
            self._centres,
            self._dim,
            num_lists,
            self._faiss.ScalarQuantizer.QT_8bit,
            self._faiss.METRIC_L2,
            False,
        )
        self._index.train(self._points(sample))
        self._index.nprobe = min(num_probes, num_lists)
        self._index.set_direct_map_type(self._faiss.DirectMap.Hashtable)

    def __len__(self) -> int:
        """Return the next id."""
        return len(self._vectors)

    @property
    def num_bytes(self) -> int:
        """Memory of vectors, codes, ids, centres and the table that finds a code by its id."""
        per_code = self._index.code_size + 8 + 40
        codes = int(self._index.ntotal * per_code + 4 * self._index.nlist * self._dim)
        return codes + self._vectors.num_bytes + self._is_here.num_bytes

    def add(
        self, vectors: NDArray[np.float32], ids: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Add vectors (n, dim) under consecutive ids, or under given ones, and return these."""
        if ids is None:
            ids = np.arange(len(self), len(self) + len(vectors))
        self.reserve(int(ids.max(initial=-1)) + 1)
        self._index.add_with_ids(self._points(vectors), ids)
        self._vectors.assign(ids, vectors)
        self._is_here.assign(ids, np.ones((len(ids), 1), dtype=bool))
        return ids

    def reserve(self, num_ids: int) -> None:
        """Give the next vector at least this id."""
        new = max(0, num_ids - len(self._vectors))
        self._vectors.append(np.zeros((new, self._num_columns), np.float16))
        self._is_here.append(np.zeros((new, 1), dtype=bool))

    def update(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Replace vectors (n, dim).

        Raises:
            InputError: an id is unknown or removed.
        """
        self.remove(ids)
        self.add(vectors, ids)

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Remove vectors; their ids are not used again.

        Raises:
            InputError: an id is unknown or removed.
        """
        removed = self._index.remove_ids(self._faiss.IDSelectorArray(ids))
        if removed != len(ids):
            raise InputError(f'the index has only {removed} of the vectors {ids.tolist()}')
        self._is_here.assign(ids, np.zeros((len(ids), 1), dtype=bool))

    def search(self, queries: NDArray[np.float32], k: int) -> Found:
        """Find about the k best for each of W queries (W, dim)."""
        points = np.zeros((len(queries), self._dim), dtype=np.float32)
        points[:, : queries.shape[1] - 1] = _SCALE * queries[:, :-1]
        distances, ids = self._index.search(points, k)
        lengths = np.square(points).sum(axis=1, keepdims=True)  # (W, 1)
        scores = (lengths + self._offset - distances) / (2 * _SCALE)
        return np.where(ids < 0, np.float32(-np.inf), scores), ids

    def ids(self) -> NDArray[np.int64]:
        """Return the ids (n,), ascending, of the vectors that were not removed."""
        return np.flatnonzero(np.concatenate(self._is_here.filled()))

    def rows(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return some vectors (n, dim), in half precision."""
        return self._vectors.rows(ids).astype(np.float32)

    def _points(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the points of vectors (n, dim), zeros behind; one beyond M moves to its edge."""
        points = np.zeros((len(vectors), self._dim), dtype=np.float32)
        dim = vectors.shape[1]
        points[:, : dim - 1] = vectors[:, :-1]
        points[:, dim - 1] = np.sqrt(np.maximum(self._offset - _excess(vectors), 0.0))
        return points


def _excess(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``|v|^2 - 2 c h`` (n,) of vectors (n, dim)."""
    v, h = vectors[:, :-1], vectors[:, -1]
    excess: NDArray[np.float32] = np.square(v).sum(axis=1) - 2 * _SCALE * h
    return excess


def import_faiss() -> Any:
    """Return the FAISS module.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        import faiss
    except ImportError as err:
        raise DependencyError(
            "the approximate index needs FAISS: pip install 's3e_gnn_ros[index]'"
        ) from err
    return faiss
