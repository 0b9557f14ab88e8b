"""Is this file a map, of this version, and whole?"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store import schema
from s3e_gnn_ros.map_store.connection import get_meta
from s3e_gnn_ros.map_store.paths import companion


def check_file(path: Path) -> None:
    """Refuse what is not there, or no file.

    It is not opened: to close it again would drop the locks that SQLite holds on it in this
    process.

    Raises:
        InputError: there is no such file.
    """
    if not path.exists():
        raise InputError(f"no map '{path}'")
    if not path.is_file():
        raise InputError(f"'{path}' is no map: it is no file")


def check_content(path: Path, connection: sqlite3.Connection, *, check_pages: bool) -> None:
    """Refuse what is not a map or of another version, and look for the damage of a crash.

    Args:
        path: of the map.
        connection: to it.
        check_pages: whether nobody writes it: its size must fit then, and all of it is read when
            its last writer did not close it.

    Raises:
        InputError: no map, of a newer version, or damaged.
    """
    (application,) = connection.execute('PRAGMA application_id').fetchone()
    if application != schema.APPLICATION_ID:
        raise InputError(f"'{path}' is no map: its application id is {application}")
    (version,) = connection.execute('PRAGMA user_version').fetchone()
    if version > schema.VERSION:
        raise InputError(
            f"map '{path}' is of version {version}, this program reads up to {schema.VERSION}"
        )
    if version < 1:
        raise InputError(f"map '{path}' is damaged: its version is {version}")
    # Also against a file that was made to harm: nothing in it may run by itself.
    differing = schema.described(connection) ^ schema.expected()
    if differing:
        raise InputError(f"map '{path}' is damaged: its table '{min(differing)[0]}' is another")
    if not check_pages:
        return
    _check_size(path, connection)
    if get_meta(connection, schema.META_IN_USE) != '0':
        (problem,) = connection.execute('PRAGMA quick_check(1)').fetchone()
        if problem != 'ok':
            raise InputError(f"map '{path}' is damaged: {problem.splitlines()[-1]}")


def has_log(path: Path) -> bool:
    """Whether there are changes that SQLite has not moved into the file yet."""
    log = companion(path, '-wal')
    return log.exists() and log.stat().st_size > 0


def _check_size(path: Path, connection: sqlite3.Connection) -> None:
    if has_log(path):  # it completes the file
        return
    (num_pages,) = connection.execute('PRAGMA page_count').fetchone()
    (page_bytes,) = connection.execute('PRAGMA page_size').fetchone()
    num_bytes = path.stat().st_size
    if num_bytes != num_pages * page_bytes:
        raise InputError(
            f"map '{path}' is damaged: it has {num_bytes} bytes instead of "
            f'{num_pages * page_bytes}'
        )
