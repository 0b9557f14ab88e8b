"""The SQLite file under a map: opened, checked and locked, for several threads."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from s3e_gnn_ros.errors import InputError, UnwritableError
from s3e_gnn_ros.map_store import schema
from s3e_gnn_ros.map_store.checks import check_content, check_file, has_log
from s3e_gnn_ros.map_store.connection import connect, set_meta, told
from s3e_gnn_ros.map_store.damage import DamageError
from s3e_gnn_ros.map_store.lock import WriterLock, has_writer


class Database:
    """A connection that several threads may use, one at a time.

    Args:
        path: of the map; it exists.
        read_only: change nothing; SQLite may still complete the file from its log.

    Raises:
        InputError: no such file, no map, damaged, of a newer version, or it cannot be written.
    """

    def __init__(self, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.is_read_only = read_only
        self._mutex = threading.RLock()
        check_file(path)
        had_writer = has_writer(path)
        self._writer = None if read_only else WriterLock(path)
        try:
            self._connection = self._open()
            with self.read() as connection:
                check_content(path, connection, check_pages=not had_writer)
            if not read_only:
                self._prepare_writing()
        except BaseException:
            self._release()
            raise

    def _open(self) -> sqlite3.Connection:
        is_writable = _may_write(self.path)
        if not self.is_read_only and not is_writable:
            raise UnwritableError(f"map '{self.path}' cannot be written: it is read-only")
        if is_writable and _may_write(self.path.parent):
            # Readers too: SQLite then clears away its log when the last of them goes.
            connection = connect(self.path, 'mode=rw')
            connection.execute(f'PRAGMA query_only = {int(self.is_read_only)}')
            return connection
        return self._open_unwritable()

    def _open_unwritable(self) -> sqlite3.Connection:
        connection = connect(self.path, 'mode=ro')
        try:
            connection.execute('PRAGMA schema_version').fetchone()
        except sqlite3.OperationalError:
            # SQLite shares an index of its log with writers, and cannot make it here. Without a
            # log there can be no writer and nothing to share.
            connection.close()
            if has_log(self.path):
                raise InputError(
                    f"map '{self.path}' was not closed by its writer, and to complete it its "
                    'folder must be writable'
                ) from None
            connection = connect(self.path, 'mode=ro&immutable=1')
        except sqlite3.DatabaseError:
            pass  # the check of its content tells
        return connection

    def _prepare_writing(self) -> None:
        with told(self.path, 'open'):
            self._connection.execute('PRAGMA journal_mode = WAL')
            self._connection.execute('PRAGMA synchronous = NORMAL')
        with self.transaction('open') as connection:
            set_meta(connection, schema.META_IN_USE, '1')

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread, for reading what the map holds at one moment.

        Raises:
            InputError: the file is damaged or cannot be read.
        """
        with self._mutex, told(self.path, 'read'):
            is_outermost = not self._connection.in_transaction
            if is_outermost:
                self._connection.execute('BEGIN')
            try:
                yield self._connection
            except (TypeError, ValueError, OverflowError) as err:
                # SQLite puts a value of any type into any column.
                raise DamageError(str(err)) from err
            finally:
                if is_outermost:
                    with contextlib.suppress(sqlite3.Error):
                        self._connection.execute('COMMIT')

    @contextmanager
    def transaction(self, doing: str = 'write') -> Iterator[sqlite3.Connection]:
        """Give the connection to one thread; everything done with it happens, or nothing.

        Args:
            doing: a verb, for the message when it fails.

        Raises:
            InputError: the disk is full, the map read-only, or its file damaged.
        """
        if self.is_read_only:
            raise InputError(f"map '{self.path}' was opened read-only")
        with self._mutex, told(self.path, doing):
            self._connection.execute('BEGIN IMMEDIATE')
            try:
                yield self._connection
                self._connection.execute('COMMIT')
            except BaseException:
                # A full disk may have rolled it back already.
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute('ROLLBACK')
                raise

    def close(self) -> None:
        """Write what is in the log into the file and let go of it; a second call does nothing."""
        with self._mutex:
            # On a full disk the mark stays, and the next one to open the map checks its pages.
            with contextlib.suppress(InputError):
                if not self.is_read_only:
                    with self.transaction('close') as connection:
                        set_meta(connection, schema.META_IN_USE, '0')
            self._release()

    def _release(self) -> None:
        if hasattr(self, '_connection'):
            self._connection.close()
        if self._writer is not None:
            self._writer.release()


def _may_write(path: Path) -> bool:
    return os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
