"""Where the entries of the database come from, as arrays that grow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.loop_closure.view import View


class Origins:
    """Session, id and stamp of each entry; adding one costs the same however many there are."""

    def __init__(self) -> None:
        self._table = np.zeros((64, 3), dtype=np.int64)
        self._size = 0

    def __len__(self) -> int:
        """Return the number of entries."""
        return self._size

    def add(self, view: View) -> None:
        """Append the next entry."""
        if self._size == len(self._table):
            self._table = np.vstack([self._table, np.zeros_like(self._table)])
        self._table[self._size] = view.session, view.keyframe_id, view.stamp_ns
        self._size += 1

    @property
    def sessions(self) -> NDArray[np.int64]:
        """Session (N,) of each entry."""
        return self._table[: self._size, 0]

    @property
    def keyframe_ids(self) -> NDArray[np.int64]:
        """Id (N,) of each entry within its session."""
        return self._table[: self._size, 1]

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamp (N,) of each entry."""
        return self._table[: self._size, 2]
