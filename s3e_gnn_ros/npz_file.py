"""Read arrays from .npz files that may be damaged, or made to harm.

numpy's own reader takes the memory that a header asks for before it looks at what follows, and
unpacks whatever is packed. Here the sizes must agree first, and there is no pickle.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError

_KINDS = 'biufU'  # numbers and text
# What zipfile, zlib and numpy raise on bytes that are not what they should be.
_DAMAGE = (
    ValueError, KeyError, TypeError, EOFError, RuntimeError, NotImplementedError, SyntaxError,
    MemoryError, zipfile.BadZipFile, zlib.error, TokenError,
)  # fmt: skip


def read_npz(path: Path, names: Sequence[str], max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read some arrays of numbers or text.

    Args:
        path: the file.
        names: of the arrays; others in the file are not looked at.
        max_bytes: that they may take together.

    Raises:
        InputError: no such file, an array is missing or damaged, holds something else, or is too
            large.
    """
    try:
        with path.open('rb') as file, zipfile.ZipFile(file) as archive:
            members = [archive.getinfo(f'{name}.npy') for name in names]
            num_bytes = sum(member.file_size for member in members)
            if num_bytes > max_bytes:
                raise InputError(f"'{path}' unpacks to {num_bytes} bytes instead of {max_bytes}")
            return {
                name: _read_member(archive, member)
                for name, member in zip(names, members, strict=True)
            }
    except OSError as err:
        reason = err.strerror or 'it ends too early'
        raise InputError(f"cannot read '{path}': {reason}") from err
    except _DAMAGE as err:
        raise InputError(f"'{path}' does not hold the arrays {', '.join(names)}") from err


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        shape, is_fortran, dtype = _read_header(file)
        left = member.file_size - file.tell()
        if dtype.kind not in _KINDS or min(shape, default=0) < 0:
            raise ValueError(f'{member.filename} has type {dtype} and shape {shape}')
        if math.prod(shape) * dtype.itemsize != left:
            raise ValueError(f'{member.filename} has {left} bytes for {shape} of {dtype}')
        data = file.read(left + 1)  # one more: zipfile compares the checksum at the end
    array = np.frombuffer(data, dtype, math.prod(shape)) if dtype.itemsize else np.empty(0, dtype)
    return array.reshape(shape, order='F' if is_fortran else 'C').copy()


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file)
    if version == (2, 0):
        return npy.read_array_header_2_0(file)
    raise ValueError(f'version {version} of an array is unknown')
