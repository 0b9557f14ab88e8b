"""The reading half of a map on disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from sqlite3 import Connection

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.map_store import columns, edge_rows, keyframe_rows, schema, values
from s3e_gnn_ros.map_store.connection import get_meta
from s3e_gnn_ros.map_store.database import Database
from s3e_gnn_ros.map_store.paths import companion
from s3e_gnn_ros.map_store.records import EdgeKind, MapRows, SessionRow, StoredEdge
from s3e_gnn_ros.map_store.thumbnail import decode_thumbnail
from s3e_gnn_ros.types import KeyframeKey, LoopClosure


class MapReader:
    """What can be asked of an open map; see ``MapStore``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.refresh()

    def refresh(self) -> None:
        """Look again which weights the map goes by."""
        with self._read() as connection:
            self._weights = int(get_meta(connection, schema.META_WEIGHTS))

    @property
    def weights_id(self) -> int:
        """Number of the weights inside the file."""
        return self._weights

    @property
    def database(self) -> Database:
        """The file below, for the other modules of this folder."""
        return self._database

    @property
    def path(self) -> Path:
        """Of the file."""
        return self._database.path

    @property
    def is_read_only(self) -> bool:
        """Whether it was opened only to be read."""
        return self._database.is_read_only

    @property
    def num_keyframes(self) -> int:
        """How many keyframes it holds."""
        with self._read() as connection:
            return int(connection.execute('SELECT count(*) FROM keyframe').fetchone()[0])

    @property
    def num_bytes(self) -> int:
        """Size on disk, with what has not been moved from the log into the file yet."""
        files = self.path, companion(self.path, '-wal')
        return sum(file.stat().st_size for file in files if file.exists())

    @property
    def version(self) -> int:
        """Version of the schema."""
        with self._read() as connection:
            return int(connection.execute('PRAGMA user_version').fetchone()[0])

    @property
    def weights_digest(self) -> str:
        """Of the weights its embeddings are made with; empty: without encoder."""
        return self._weights_row()[0]

    @property
    def weights_name(self) -> str:
        """Name of these weights."""
        return self._weights_row()[1]

    def check_weights(self, digest: str) -> None:
        """Refuse to search the map with other weights than its embeddings are made with.

        Raises:
            InputError: they differ.
        """
        found, name = self._weights_row()
        if found != digest:
            raise InputError(
                f"map '{self.path}' was made with weights '{name}' ({found[:12] or 'none'}) "
                f'instead of {digest[:12] or "none"}: it must be re-embedded'
            )

    def rows(self) -> MapRows:
        """Read all keyframes but their views, in order of addition."""
        with self._read() as connection:
            return columns.read_rows(connection, self._weights)

    def sessions(self) -> list[SessionRow]:
        """Read what sessions there are, in order of their first keyframe."""
        with self._read() as connection:
            return columns.read_sessions(connection)

    def view(self, key: KeyframeKey) -> View:
        """Read what verification needs of a keyframe.

        Raises:
            InputError: the map does not hold it.
        """
        with self._read() as connection:
            found = keyframe_rows.read_view(connection, key, self._weights)
        if found is None:
            raise InputError(f"map '{self.path}' does not hold keyframe {values.name_of(key)}")
        return found

    def views(self, keys: Iterable[KeyframeKey]) -> Iterator[View]:
        """Read the views of many keyframes one after the other; see :meth:`view`."""
        return map(self.view, keys)

    def thumbnail(self, key: KeyframeKey) -> NDArray[np.uint8] | None:
        """Read the picture (h, w) of a keyframe; None where it has none or is not there."""
        with self._read() as connection:
            seq = values.find_seq(connection, key)
            row = connection.execute('SELECT data FROM thumbnail WHERE seq = ?', (seq,)).fetchone()
            return None if row is None else decode_thumbnail(row[0])

    def closures(self, kind: EdgeKind = EdgeKind.CLOSURE) -> list[LoopClosure]:
        """Read the closures, or the REJECTED ones, in order of addition."""
        with self._read() as connection:
            return edge_rows.read_closures(connection, kind)

    def edges(self, kind: EdgeKind | None = None) -> list[StoredEdge]:
        """Read the edges of a kind, or all, in order of addition."""
        with self._read() as connection:
            return edge_rows.read_edges(connection, kind)

    def _weights_row(self) -> tuple[str, str]:
        with self._read() as connection:
            row = connection.execute(
                'SELECT digest, name FROM weights WHERE id = ?', (self._weights,)
            ).fetchone()
        if row is None:
            raise InputError(f"map '{self.path}' is damaged: it does not name its weights")
        return str(row[0]), str(row[1])

    def _read(self) -> AbstractContextManager[Connection]:
        return self._database.read()
