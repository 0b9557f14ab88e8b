"""Vocabulary files: a compressed .npz of plain arrays."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.npz_file import read_npz
from s3e_gnn_ros.resources import packaged_file
from s3e_gnn_ros.retrieval.vocabulary import Vocabulary

MAGIC = 's3e_gnn_ros ORB vocabulary'
VERSION = 1
DEFAULT_VOCABULARY = 'retrieval/resources/orb_vocabulary.npz'

_ARRAYS = ('centres', 'num_children', 'idf')
_MAX_BYTES = 1 << 28  # a million words have a sixth of it


def check_writable(path: Path) -> None:
    """Make the folder of a file to be, and try whether it can be written there.

    Raises:
        InputError: it cannot.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path)
        partial.touch()
        partial.unlink()
    except OSError as err:
        raise InputError(f"cannot write vocabulary '{path}': {err.strerror}") from err


def save_vocabulary(vocabulary: Vocabulary, path: Path) -> None:
    """Write a vocabulary; the same vocabulary gives the same bytes.

    Raises:
        InputError: the file cannot be written.
    """
    check_writable(path)
    partial = _partial(path)
    try:
        with partial.open('wb') as file:
            np.savez_compressed(
                file,
                magic=np.array(MAGIC),
                version=np.array(VERSION),
                **{name: getattr(vocabulary, name) for name in _ARRAYS},
            )
        partial.replace(path)  # an interrupted run leaves the old file whole
    except OSError as err:
        raise InputError(f"cannot write vocabulary '{path}': {err.strerror}") from err


def load_vocabulary(path: str | Path = '') -> Vocabulary:
    """Read a vocabulary.

    Args:
        path: the file; empty for the one inside the package.

    Raises:
        InputError: no such file, a damaged one, something else, or another version.
    """
    path = Path(path) if str(path) else packaged_file(DEFAULT_VOCABULARY)
    arrays = _read(path)
    try:
        return Vocabulary(**{name: arrays[name] for name in _ARRAYS})
    except InputError as err:
        raise InputError(f"vocabulary '{path}' is damaged: {err}") from err


def _partial(path: Path) -> Path:
    return path.with_name(path.name + '.part')


def _read(path: Path) -> dict[str, Any]:
    """Read the arrays of a file that says it is a vocabulary of this version."""
    try:
        content = read_npz(path, ('magic', 'version', *_ARRAYS), _MAX_BYTES)
    except InputError as err:
        raise InputError(f"'{path}' is not a vocabulary file, or a damaged one: {err}") from err
    if str(content['magic']) != MAGIC:
        raise InputError(f"'{path}' is not a vocabulary file")
    version = str(content['version'])
    if version != str(VERSION):
        raise InputError(f"vocabulary '{path}' has version {version} instead of {VERSION}")
    return {name: content[name] for name in _ARRAYS}
