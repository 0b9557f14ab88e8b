"""Copies of maps: as a file, and keyframe by keyframe into another map."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.map_store import schema
from s3e_gnn_ros.map_store.connection import connect, set_meta, told
from s3e_gnn_ros.map_store.database import Database
from s3e_gnn_ros.map_store.files import new_file
from s3e_gnn_ros.map_store.keyframe_rows import CAMERA, ORIGIN, find_or_insert
from s3e_gnn_ros.map_store.values import (
    pose_from_blob,
    pose_to_blob,
    session_from_sql,
    session_to_sql,
)

_KEYFRAME = 'session, keyframe_id, stamp_ns, origin, camera, depth_camera, T_odom_camera'
_EDGE = 'kind, i, j, T_i_j, covariance, similarity, num_inliers, inlier_ratio, weight'


def save_database(source: Path, path: Path, *, overwrite: bool) -> None:
    """Copy a map that may be written meanwhile, as of one moment.

    Raises:
        InputError: ``path`` exists and may not be overwritten or has a writer, or it cannot be
            written.
    """
    with (
        new_file(path, overwrite=overwrite) as temporary,
        # A connection of its own: those who write need not wait.
        told(source, 'copy'),
        contextlib.closing(connect(source, 'mode=ro')) as original,
        contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as copy,
    ):
        original.backup(copy)
        set_meta(copy, schema.META_IN_USE, '0')


class KeyframeCopier:
    """Copies keyframes and edges between two open maps, as they are stored.

    Args:
        source: the map that is read.
        target: the map that is written.
        weights: ids of the same weights in the two.
        T_target_source: (4, 4) applied to corrected poses; None: they become unknown.
        sessions: new numbers of sessions, where they change.
    """

    def __init__(
        self,
        source: Database,
        target: Database,
        weights: tuple[int, int],
        T_target_source: Pose | None,
        sessions: Mapping[int, int],
    ) -> None:
        self._databases = source, target
        self._weights = weights
        self._T_target_source = T_target_source
        self._sessions = sessions
        self._numbers: dict[tuple[str, int | None], int | None] = {}
        self._seqs: dict[int, int] = {}  # of a keyframe in the source -> in the target

    def copy(self, batch_size: int | None) -> int:
        """Copy everything that is not there yet; returns the number of keyframes copied.

        Args:
            batch_size: keyframes per transaction; None: all in one, with the edges.
        """
        source, target = self._databases
        with source.read() as connection:
            seqs = [row[0] for row in connection.execute('SELECT seq FROM keyframe ORDER BY seq')]
        size = max(1, batch_size or len(seqs))
        num_copied = 0
        for start in range(0, len(seqs), size):
            with target.transaction() as self._target, source.read() as self._source:
                num_copied += sum(map(self._copy, seqs[start : start + size]))
                if start + size >= len(seqs):
                    self._copy_edges()
            time.sleep(0.001)  # a lock that is taken again at once is not given to who waits
        return num_copied

    def _copy(self, seq: int) -> bool:
        """Copy one keyframe; False when it is there already, or was removed meanwhile."""
        row = self._source.execute(
            f'SELECT T_map_camera, {_KEYFRAME} FROM keyframe WHERE seq = ?', (seq,)
        ).fetchone()
        if row is None:
            return False
        T_map_camera, session, keyframe_id, *rest = row
        key = self._new_session(session), keyframe_id
        there = self._target.execute(
            'SELECT seq FROM keyframe WHERE session = ? AND keyframe_id = ?', key
        ).fetchone()
        if there is not None:
            self._seqs[seq] = there[0]
            return False
        self._seqs[seq] = self._copy_keyframe(key, rest, T_map_camera)
        self._copy_parts(seq, self._seqs[seq])
        return True

    def _copy_keyframe(
        self, key: tuple[int, int], rest: list[Any], T_map_camera: bytes | None
    ) -> int:
        stamp_ns, origin, camera, depth_camera, T_odom_camera = rest
        values = (
            *key,
            stamp_ns,
            self._number('origin', ORIGIN, origin),
            self._number('camera', CAMERA, camera),
            self._number('camera', CAMERA, depth_camera),
            T_odom_camera,
            self._move(T_map_camera),
        )
        marks = ', '.join('?' * len(values))
        seq = self._target.execute(
            f'INSERT INTO keyframe ({_KEYFRAME}, T_map_camera) VALUES ({marks})', values
        ).lastrowid
        assert seq is not None  # an INSERT has one
        return seq

    def _copy_parts(self, old: int, new: int) -> None:
        """Copy what hangs on a keyframe, unread."""
        for table in ('view', 'thumbnail'):
            for (data,) in self._source.execute(f'SELECT data FROM {table} WHERE seq = ?', (old,)):
                self._target.execute(f'INSERT INTO {table} VALUES (?, ?)', (new, data))
        encodings = self._source.execute(
            'SELECT embedding, patches FROM encoding WHERE seq = ? AND weights = ?',
            (old, self._weights[0]),
        )
        for values in encodings:
            self._target.execute(
                'INSERT INTO encoding VALUES (NULL, ?, ?, ?, ?)', (new, self._weights[1], *values)
            )

    def _copy_edges(self) -> None:
        there = {row[0] for row in self._target.execute('SELECT seq FROM keyframe')}
        for kind, i, j, *rest in self._source.execute(f'SELECT {_EDGE} FROM edge ORDER BY id'):
            ends = self._seqs.get(i), self._seqs.get(j)
            if there.issuperset(ends):
                self._target.execute(
                    f'INSERT OR IGNORE INTO edge ({_EDGE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
                    (kind, *ends, *rest),
                )

    def _number(self, table: str, columns: str, old: int | None) -> int | None:
        """Return the id in the target of a row that many keyframes share."""
        if old is None:
            return None
        if (table, old) not in self._numbers:
            row = self._source.execute(f'SELECT {columns} FROM {table} WHERE id = ?', (old,))
            values = row.fetchone()
            if table == 'origin':
                values = self._new_session(values[0]), *values[1:]
            self._numbers[table, old] = find_or_insert(self._target, table, columns, values)
        return self._numbers[table, old]

    def _new_session(self, value: int) -> int:
        session = session_from_sql(value)
        return session_to_sql(self._sessions.get(session, session))

    def _move(self, blob: bytes | None) -> bytes | None:
        T_source_camera = pose_from_blob(blob)
        if T_source_camera is None or self._T_target_source is None:
            return None
        return pose_to_blob(np.asarray(self._T_target_source @ T_source_camera))
