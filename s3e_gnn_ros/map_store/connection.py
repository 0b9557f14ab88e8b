"""Connections to a map's SQLite file, and what can go wrong with them in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from s3e_gnn_ros.errors import InputError, UnwritableError
from s3e_gnn_ros.map_store.damage import DamageError

_BUSY_MS = 5000
# By their text: Python 3.10 does not give SQLite's error codes.
_REASONS = (
    ('full', 'the disk is full'),
    ('readonly', 'it cannot be written'),
    ('unable to open', 'it or its folder cannot be opened'),
    ('locked', 'another process holds it'),
    ('disk I/O', 'the disk does not answer'),
    ('closed', 'it is closed already'),
)

_OF_THE_DISK = ('full', 'readonly', 'unable to open', 'disk I/O')


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a file that exists; ``mode`` as in SQLite's URI.

    Raises:
        InputError: it cannot be opened.
    """
    with told(path, 'open'):
        connection = sqlite3.connect(
            f'file:{quote(str(path.absolute()))}?{mode}',
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=_BUSY_MS / 1000,
        )
        connection.execute('PRAGMA trusted_schema = OFF')
        connection.execute('PRAGMA foreign_keys = ON')
    return connection


@contextmanager
def told(path: Path, doing: str) -> Iterator[None]:
    """Turn SQLite's errors into one sentence about the map.

    Raises:
        InputError: in place of any ``sqlite3.Error`` and ``DamageError``.
    """
    try:
        yield
    except DamageError as err:
        raise InputError(f"map '{path}' is damaged: {err}") from err
    except sqlite3.Error as err:
        if 'not a database' in str(err):
            raise InputError(f"'{path}' is no map: {err}") from err
        for part, reason in _REASONS:
            if part in str(err):
                kind = UnwritableError if part in _OF_THE_DISK else InputError
                raise kind(f"cannot {doing} map '{path}': {reason} ({err})") from err
        raise InputError(f"map '{path}' is damaged: {err}") from err


def get_meta(connection: sqlite3.Connection, name: str) -> str:
    """Return one value of the map's description; empty where it has none."""
    row = connection.execute('SELECT value FROM meta WHERE name = ?', (name,)).fetchone()
    return '' if row is None else str(row[0])


def set_meta(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Set one value of the map's description."""
    connection.execute('INSERT OR REPLACE INTO meta VALUES (?, ?)', (name, value))
