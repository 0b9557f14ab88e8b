"""Messages between two processes of ours: names, numbers and arrays; never code.

A message is a table of plain values (what JSON knows) and numpy arrays. On the wire: the lengths
of header and arrays (two uint64), a header in JSON, in which an array is its type and shape, and
the arrays' bytes one after the other.
"""

from __future__ import annotations

import json
import math
import socket
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LENGTHS = struct.Struct('<QQ')
_ARRAY = '__array__'

Message = Mapping[str, Any]
"""Values by name: None, bool, int, float, str, lists and tables of these, or an array."""


def send(connection: socket.socket, message: Message) -> None:
    """Send a message; waits until all of it is on its way.

    Raises:
        OSError: nobody is there to take it.
    """
    arrays: list[NDArray[Any]] = []
    header = {name: _described(value, arrays) for name, value in message.items()}
    head = json.dumps(header).encode()
    body = [np.ascontiguousarray(array) for array in arrays]
    lengths = _LENGTHS.pack(len(head), sum(array.nbytes for array in body))
    connection.sendall(b''.join([lengths, head, *(array.tobytes() for array in body)]))


def receive(connection: socket.socket) -> dict[str, Any]:
    """Wait for a message.

    Raises:
        EOFError: the other end is gone.
        OSError: likewise.
    """
    head_length, body_length = _LENGTHS.unpack(_exactly(connection, _LENGTHS.size))
    header = json.loads(_exactly(connection, head_length))
    body = _exactly(connection, body_length)
    out: dict[str, Any] = {}
    start = 0
    for name, value in header.items():
        if not (isinstance(value, dict) and _ARRAY in value):
            out[name] = value
            continue
        kind, shape = np.dtype(value[_ARRAY]), value['shape']
        count = math.prod(shape)
        array = np.frombuffer(body, kind, count, start).reshape(shape)
        out[name] = array.copy()  # a buffer of bytes is read-only
        start += array.nbytes
    return out


def _described(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind not in 'biuf':
        raise TypeError(f'an array of {value.dtype} cannot be sent')
    arrays.append(value)
    return {_ARRAY: value.dtype.str, 'shape': value.shape}


def _exactly(connection: socket.socket, number: int) -> bytes:
    """Read so many bytes."""
    buffer = bytearray(number)
    view = memoryview(buffer)
    while view:
        read = connection.recv_into(view)
        if read == 0:
            raise EOFError('the other process is gone')
        view = view[read:]
    return bytes(buffer)
