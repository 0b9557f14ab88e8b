"""Map files: made complete before they have their name, replaced and deleted."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s3e_gnn_ros.errors import InputError, UnwritableError
from s3e_gnn_ros.map_store import schema
from s3e_gnn_ros.map_store.connection import set_meta, told
from s3e_gnn_ros.map_store.lock import WriterLock
from s3e_gnn_ros.map_store.paths import OF_SQLITE, companion


def create_file(path: Path, weights_digest: str, weights_name: str, *, overwrite: bool) -> None:
    """Make an empty map, complete before it has its name.

    Raises:
        InputError: there is one and it may not be overwritten or has a writer, or it cannot be
            written.
    """
    with new_file(path, overwrite=overwrite) as temporary, told(path, 'create'):
        connection = sqlite3.connect(temporary, isolation_level=None)
        try:
            schema.create_schema(connection)
            connection.execute(
                'INSERT INTO weights VALUES (1, ?, ?)', (weights_digest, weights_name)
            )
            set_meta(connection, schema.META_WEIGHTS, '1')
            set_meta(connection, schema.META_IN_USE, '0')
            set_meta(connection, schema.META_CREATED, str(time.time_ns()))
        finally:
            connection.close()


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give the name of a temporary file that becomes ``path`` in the end, or nothing.

    Raises:
        InputError: ``path`` exists and may not be overwritten or has a writer, or the folder
            cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise UnwritableError(f"cannot write map '{path}': {err.strerror}") from err
    lock = WriterLock(path)
    temporary = path.with_name(f'.{path.name}.new')
    try:
        if path.exists() and not overwrite:
            raise InputError(f"map '{path}' exists already")
        _remove_unfinished(path)
        yield temporary
        _replace(temporary, path)
    except OSError as err:
        raise UnwritableError(f"cannot write map '{path}': {err.strerror}") from err
    finally:
        _remove_unfinished(path)
        lock.release()


def remove_file(path: Path) -> None:
    """Delete a map and what lies beside it.

    Raises:
        InputError: no such map, it has a writer, or the folder cannot be written.
    """
    if not path.is_file():
        raise InputError(f"no map '{path}'")
    lock = WriterLock(path)
    try:
        _remove(path)
    except OSError as err:
        raise InputError(f"cannot delete map '{path}': {err.strerror}") from err
    finally:
        lock.release()


def _replace(temporary: Path, path: Path) -> None:
    """Give a finished file its name, durably."""
    with temporary.open('rb') as file:
        os.fsync(file.fileno())
    # The log of a map that was not closed would be applied to the one that takes its place.
    for suffix in OF_SQLITE:
        companion(path, suffix).unlink(missing_ok=True)
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_unfinished(path: Path) -> None:
    """Remove the temporary file: our own, or what a killed process left."""
    with contextlib.suppress(OSError):
        _remove(path.with_name(f'.{path.name}.new'))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    for suffix in OF_SQLITE:
        companion(path, suffix).unlink(missing_ok=True)
