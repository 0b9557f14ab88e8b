"""Arrays as bytes and back: as they are, or compressed where that is smaller. No pickle."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from s3e_gnn_ros.map_store.damage import DamageError

_RAW, _DEFLATED, _SHUFFLED = range(3)
_HEAD = struct.Struct('<BI')  # how, number of bytes that follow
_LEVEL = 6


def pack_array(array: NDArray[Any], dtype: DTypeLike) -> bytes:
    """Write the values of an array, little endian, in the shortest of three ways.

    The reader must know shape and type. *Shuffled*: all first bytes, then all second bytes ...,
    so that the exponents of floating-point numbers come to lie side by side.
    """
    values = np.ascontiguousarray(array, dtype=np.dtype(dtype).newbyteorder('<'))
    raw = values.tobytes()
    forms = [(len(raw), _RAW, raw)]
    ways = [(_DEFLATED, raw)]
    if values.itemsize > 1:
        ways.append((_SHUFFLED, _shuffle(values)))
    for how, data in ways:
        packed = zlib.compress(data, _LEVEL)
        forms.append((len(packed), how, packed))
    size, how, body = min(forms)
    return _HEAD.pack(how, size) + body


class ArrayReader:
    """Reads arrays one after the other from bytes that may be damaged.

    Args:
        data: what :func:`pack_array` made, concatenated.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def read(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return the next array; no more memory is taken than its shape needs.

        Raises:
            DamageError: the bytes do not hold an array of this shape.
        """
        kind = np.dtype(dtype)
        num_bytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        raw = self._unpack(num_bytes, kind.itemsize)
        return np.frombuffer(raw, kind.newbyteorder('<')).astype(kind).reshape(shape)

    def finish(self) -> None:
        """Check that nothing is left.

        Raises:
            DamageError: something is.
        """
        if self._offset != len(self._data):
            raise DamageError(f'{len(self._data) - self._offset} bytes are left over')

    def _unpack(self, num_bytes: int, item_bytes: int) -> bytes:
        how, size = self._head()
        body = self._data[self._offset : self._offset + size]
        self._offset += size
        raw = body if how == _RAW else _inflate(body, num_bytes)
        if len(body) != size or len(raw) != num_bytes or how > _SHUFFLED:
            raise DamageError(f'an array of {num_bytes} bytes has {len(raw)}')
        if how == _SHUFFLED:
            return np.frombuffer(raw, np.uint8).reshape(item_bytes, -1).T.tobytes()
        return raw

    def _head(self) -> tuple[int, int]:
        try:
            how, size = _HEAD.unpack_from(self._data, self._offset)
        except struct.error as err:
            raise DamageError(f'an array is missing at byte {self._offset}') from err
        self._offset += _HEAD.size
        return how, size


def _shuffle(values: NDArray[Any]) -> bytes:
    return values.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T.tobytes()


def _inflate(body: bytes, num_bytes: int) -> bytes:
    """Decompress at most one byte more than expected."""
    try:
        return zlib.decompressobj().decompress(body, num_bytes + 1)
    except zlib.error as err:
        raise DamageError(f'an array cannot be decompressed: {err}') from err
