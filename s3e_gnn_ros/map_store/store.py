"""A map on disk, as the rest of the program uses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.map_store import edge_rows, keyframe_rows, values
from s3e_gnn_ros.map_store.copying import KeyframeCopier, save_database
from s3e_gnn_ros.map_store.database import Database
from s3e_gnn_ros.map_store.files import create_file
from s3e_gnn_ros.map_store.reader import MapReader
from s3e_gnn_ros.map_store.records import EdgeKind, StoredEdge, StoredKeyframe
from s3e_gnn_ros.types import KeyframeKey, LoopClosure


class MapStore(MapReader):
    """One SQLite file with the keyframes and edges of a map.

    What a method has written when it returns survives the death of the process at any moment; a
    power failure may take the last transactions, never the file. Any thread may call any method.
    One process writes, others may read meanwhile.

    Every method raises an :class:`InputError` when the disk is full, the file is damaged or
    read-only, or the store is closed; what it was about to write is then not written at all.

    Made by :meth:`create` and :meth:`open`.
    """

    @classmethod
    def create(
        cls,
        path: Path | str,
        *,
        weights_digest: str,
        weights_name: str = '',
        overwrite: bool = False,
    ) -> MapStore:
        """Make an empty map and open it.

        Args:
            path: of the file; its folder is made where it does not exist.
            weights_digest: of the weights its embeddings are made with; empty: without encoder.
            weights_name: of these weights, for messages.
            overwrite: whether a map of this name may be lost.

        Raises:
            InputError: there is one already, or it cannot be written.
        """
        create_file(Path(path), weights_digest, weights_name, overwrite=overwrite)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str, *, read_only: bool = False) -> MapStore:
        """Open a map; one that was not closed properly is checked first.

        Raises:
            InputError: no such file, no map, damaged, of a newer version, or it cannot be
                written; another process writes it already.
        """
        database = Database(Path(path), read_only=read_only)
        try:
            return cls(database)
        except BaseException:
            database.close()
            raise

    def __enter__(self) -> MapStore:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the map."""
        self.close()

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        self._database.close()

    def add(
        self,
        keyframe: StoredKeyframe,
        closures: Sequence[LoopClosure] = (),
        edges: Sequence[StoredEdge] = (),
    ) -> None:
        """Write a keyframe with its closures and other edges, all or nothing.

        Raises:
            InputError: it is there already, or an edge leads to a keyframe that is not.
        """
        with self._change() as connection:
            keyframe_rows.insert_keyframe(connection, keyframe, self._weights)
            for edge in [*map(edge_rows.edge_of_closure, closures), *edges]:
                edge_rows.insert_edge(connection, edge)

    def add_closure(self, closure: LoopClosure) -> None:
        """Write a closure.

        Raises:
            InputError: it is there already, or one of its keyframes is not.
        """
        self.add_edge(edge_rows.edge_of_closure(closure))

    def add_edge(self, edge: StoredEdge) -> None:
        """Write an edge of any kind.

        Raises:
            InputError: it is there already, or one of its keyframes is not.
        """
        with self._change() as connection:
            edge_rows.insert_edge(connection, edge)

    def replace_closure(self, closure: LoopClosure) -> None:
        """Put a better measurement in the place of a closure.

        Raises:
            InputError: there is none between its keyframes.
        """
        edge = edge_rows.edge_of_closure(closure)
        with self._change() as connection:
            edge_rows.delete_edge(connection, edge.kind, edge.i, edge.j)
            edge_rows.insert_edge(connection, edge)

    def remove_closure(self, query: KeyframeKey, match: KeyframeKey) -> None:
        """Forget a closure; :meth:`reject_closure` keeps it to be put back.

        Raises:
            InputError: there is none.
        """
        with self._change() as connection:
            edge_rows.delete_edge(connection, EdgeKind.CLOSURE, match, query)

    def reject_closure(self, query: KeyframeKey, match: KeyframeKey) -> None:
        """Turn a closure into a REJECTED edge.

        Raises:
            InputError: there is none.
        """
        kinds = EdgeKind.CLOSURE, EdgeKind.REJECTED
        with self._change() as connection:
            edge_rows.change_kind(connection, match, query, *kinds)

    def restore_closure(self, query: KeyframeKey, match: KeyframeKey) -> None:
        """Turn a REJECTED edge into a closure again.

        Raises:
            InputError: there is none.
        """
        kinds = EdgeKind.REJECTED, EdgeKind.CLOSURE
        with self._change() as connection:
            edge_rows.change_kind(connection, match, query, *kinds)

    def set_poses(self, keys: Sequence[KeyframeKey], T_map_camera: NDArray[np.float64]) -> int:
        """Write corrected poses (N, 4, 4) of N keyframes; those the map lacks are left out.

        Returns:
            How many were written.

        Raises:
            InputError: a pose is not finite, or there are not as many as keyframes.
        """
        poses = np.asarray(T_map_camera, '<f8')
        if poses.shape != (len(keys), 4, 4) or not np.isfinite(poses).all():
            raise InputError(
                f'poses of shape {poses.shape} for {len(keys)} keyframes are not finite or not '
                'as many'
            )
        rows = [
            (T.tobytes(), values.session_to_sql(key[0]), key[1])
            for key, T in zip(keys, poses, strict=True)
        ]
        with self._change() as connection:
            return connection.executemany(
                'UPDATE keyframe SET T_map_camera = ? WHERE session = ? AND keyframe_id = ?', rows
            ).rowcount

    def set_weights(self, weights: Iterable[tuple[KeyframeKey, KeyframeKey, float]]) -> int:
        """Write how far closures are believed, as (match, query, weight in [0, 1]).

        Returns:
            How many were written; those the map lacks are left out.
        """
        with self._change() as connection:
            return sum(edge_rows.set_weight(connection, *each) for each in weights)

    def remove(self, keys: Iterable[KeyframeKey]) -> int:
        """Remove keyframes with their edges; returns how many there were.

        Their space in the file is used again.
        """
        rows = [(values.session_to_sql(key[0]), key[1]) for key in keys]
        with self._change() as connection:
            return connection.executemany(
                'DELETE FROM keyframe WHERE session = ? AND keyframe_id = ?', rows
            ).rowcount

    def copy_from(
        self,
        other: MapStore,
        *,
        T_map_other: Pose | None = None,
        sessions: Mapping[int, int] | None = None,
        batch_size: int | None = None,
    ) -> int:
        """Copy all keyframes and edges of another map.

        Who waits to write meanwhile waits for one batch. When a copy in batches ends early, the
        same call again completes it.

        Args:
            other: of the same weights; keyframes that are here already are left out.
            T_map_other: (4, 4) its map frame in this one's; None: its corrected poses are not
                copied.
            sessions: new numbers for its sessions, where they would collide.
            batch_size: keyframes per transaction; None: everything in one.

        Returns:
            How many keyframes were copied.

        Raises:
            InputError: the other map is of other weights.
        """
        other.check_weights(self.weights_digest)
        databases = other.database, self.database
        weights = other.weights_id, self.weights_id
        copier = KeyframeCopier(*databases, weights, T_map_other, sessions or {})
        return copier.copy(batch_size)

    def save_as(self, path: Path | str, *, overwrite: bool = False) -> None:
        """Write a copy under another name; this map goes on being written meanwhile.

        Raises:
            InputError: there is one of this name already, or it cannot be written.
        """
        save_database(self.path, Path(path), overwrite=overwrite)

    def _change(self) -> AbstractContextManager[Connection]:
        return self._database.transaction()
