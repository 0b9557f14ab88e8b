"""A matrix that grows row by row and never moves what it holds."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_SHIFT = 17
_BLOCK_ROWS = 1 << _SHIFT

Scalar = TypeVar('Scalar', bound=np.generic)


class BlockMatrix(Generic[Scalar]):
    """Rows in blocks of 131,072: an addition costs the same however many there are.

    One array that doubles would be copied now and then, 100 MB at 100,000 keyframes, while the
    robot waits. A block is reserved as a whole, but the operating system gives memory only as it
    is written; so most maps are one block, and finding rows in it is one operation.

    Args:
        num_columns: of each row.
        dtype: of each value.
    """

    def __init__(self, num_columns: int, dtype: type[Scalar]) -> None:
        self._num_columns = num_columns
        self._dtype = dtype
        self._blocks: list[NDArray[Scalar]] = []
        self._num_rows = 0

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._num_rows

    @property
    def num_bytes(self) -> int:
        """Memory of the rows; what is reserved beyond them is not written to."""
        return self._num_rows * self._num_columns * np.dtype(self._dtype).itemsize

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows (n, C) at the end."""
        done = 0
        while done < len(rows):
            start = self._num_rows & (_BLOCK_ROWS - 1)
            if start == 0:
                self._blocks.append(np.empty((_BLOCK_ROWS, self._num_columns), self._dtype))
            count = min(_BLOCK_ROWS - start, len(rows) - done)
            self._blocks[-1][start : start + count] = rows[done : done + count]
            self._num_rows += count
            done += count

    def rows(self, ids: NDArray[np.int64]) -> NDArray[Scalar]:
        """Return a copy (n, C) of some rows."""
        if len(self._blocks) == 1:  # most maps; take() is faster than an index
            return self._blocks[0].take(ids, axis=0)
        found = np.empty((len(ids), self._num_columns), self._dtype)
        for block, chosen, offsets in self._located(ids):
            found[chosen] = block[offsets]
        return found

    def row(self, index: int) -> NDArray[Scalar]:
        """Return one row (C,), which may be written to."""
        row: NDArray[Scalar] = self._blocks[index >> _SHIFT][index & (_BLOCK_ROWS - 1)]
        return row

    def assign(self, ids: NDArray[np.int64], rows: NDArray[Any]) -> None:
        """Overwrite some rows with (n, C)."""
        for block, chosen, offsets in self._located(ids):
            block[offsets] = rows[chosen]

    def filled(self) -> list[NDArray[Scalar]]:
        """Return the rows in use, block by block, without a copy."""
        counts = range(self._num_rows, 0, -_BLOCK_ROWS)
        return [block[:count] for block, count in zip(self._blocks, counts, strict=True)]

    def _located(
        self, ids: NDArray[np.int64]
    ) -> list[tuple[NDArray[Scalar], Any, NDArray[np.int64]]]:
        """Return the blocks that hold some rows, which of the rows, and where in the block."""
        if not len(ids):
            return []
        numbers, offsets = ids >> _SHIFT, ids & (_BLOCK_ROWS - 1)
        if (numbers == numbers[0]).all():  # nearly always
            return [(self._blocks[numbers[0]], slice(None), offsets)]
        parts = [(number, np.flatnonzero(numbers == number)) for number in np.unique(numbers)]
        return [(self._blocks[number], part, offsets[part]) for number, part in parts]
