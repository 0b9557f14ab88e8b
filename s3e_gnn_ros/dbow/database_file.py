"""Database files: safetensors, which hold arrays and text only; opening one runs nothing.

safetensors compares the sizes in its header with the file before it takes memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from s3e_gnn_ros.errors import InputError

FORMAT = 's3e_gnn_ros database'
VERSION = 1

_KEYS = ('method', 'models', 'content')


@dataclass(frozen=True, eq=False)
class DatabaseFile:
    """The content of a file.

    Attributes:
        method: of retrieval.
        models: hash of the vocabulary or weights that made the entries.
        arrays: the entries, as the method keeps them.
    """

    method: str
    models: str
    arrays: Mapping[str, NDArray[Any]]


def write_database(path: Path, content: DatabaseFile) -> None:
    """Write a file; an interrupted write leaves the old one whole.

    Raises:
        InputError: it cannot be written.
    """
    metadata = {
        'format': FORMAT,
        'version': str(VERSION),
        'method': content.method,
        'models': content.models,
        'content': _digest(content.arrays),
    }
    partial = path.with_name(path.name + '.part')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: np.ascontiguousarray(array) for name, array in content.arrays.items()}
        save_file(arrays, partial, metadata)
        partial.replace(path)
    except OSError as err:
        raise InputError(f"cannot write database '{path}': {err.strerror}") from err
    except SafetensorError as err:
        raise InputError(f"cannot write database '{path}': {err}") from err


def read_database(path: Path) -> DatabaseFile:
    """Read a file.

    Raises:
        InputError: no such file, a damaged one, something else, or another version.
    """
    if not path.is_file():
        raise InputError(f"no database '{path}'")
    try:
        with safe_open(path, framework='numpy') as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, MemoryError) as err:
        raise InputError(f"'{path}' is no database, or a damaged one: {err}") from err
    if metadata.get('format') != FORMAT:
        raise InputError(f"'{path}' is no database of this package")
    if metadata.get('version') != str(VERSION):
        version = metadata.get('version')
        raise InputError(f"database '{path}' has version {version} instead of {VERSION}")
    missing = [key for key in _KEYS if key not in metadata]
    if missing or metadata['content'] != _digest(arrays):
        raise InputError(f"database '{path}' is damaged: its checksum does not agree")
    return DatabaseFile(metadata['method'], metadata['models'], arrays)


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    result = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        result.update(f'{name} {array.dtype} {array.shape}'.encode())
        result.update(array.tobytes())
    return result.hexdigest()
