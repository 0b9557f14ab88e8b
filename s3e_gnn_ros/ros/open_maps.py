"""The map that is written and those that were loaded beside it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import InputError, UnwritableError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.map_store.paths import check_plain, map_directory, map_path
from s3e_gnn_ros.map_store.records import MapRows
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.weights import weights_of
from s3e_gnn_ros.ros.map_writer import MapWriter
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.types import KeyframeKey, LoopClosure


@dataclass(frozen=True, eq=False)
class LoadedMap:
    """What a map brought that was not here before.

    Attributes:
        store: the map.
        rows: its N keyframes.
        closures: all of its closures.
        is_fixed: whether its keyframes are to stay where they are.
    """

    store: MapStore
    rows: MapRows
    closures: list[LoopClosure]
    is_fixed: bool

    def poses(self) -> list[tuple[KeyframeKey, Pose]]:
        """Return T_map_camera (4, 4) of the keyframes that have one.

        Where none has, no back end has been there: the odometry of the first session is the map.
        """
        T, rows = self.rows.T_map_camera, self.rows
        known = np.isfinite(T).all(axis=(1, 2))
        if not known.any():
            T = rows.T_odom_camera
            known = np.array([key.session == rows.keys[0].session for key in rows.keys])
        return [(rows.keys[row], T[row]) for row in np.flatnonzero(known).tolist()]


class OpenMaps:
    """Opens maps and makes them searchable.

    A map that is loaded while another is written becomes part of it: its keyframes are copied, so
    that loops between the two have both ends in one file.

    Attributes:
        directory: folder of all maps.
        writer: of the map that is written; None where there is none.

    Args:
        config: names of the maps, and how keyframes are compared.
        pipeline: searches what is loaded.
        statistics: counts what is written.
        drop: called with reason and sentence when something cannot be written.
        tell: called with a sentence when it can again.

    A disk that takes nothing, or is not there, at the start is waited for as at any other time.

    Raises:
        InputError: the map to write is damaged, of other weights, or has another writer.
    """

    def __init__(
        self,
        config: Config,
        pipeline: LoopClosurePipeline,
        statistics: Statistics,
        drop: Callable[[str, str], None],
        tell: Callable[[str], None] = lambda _sentence: None,
    ) -> None:
        self._config = config.map
        self._pipeline = pipeline
        self._weights_digest, self._weights_name = weights_of(config.retrieval)
        self.directory = map_directory(config.map.directory)
        self._loaded: dict[Path, MapStore] = {}
        self._written: MapStore | None = None  # read-only as long as it cannot be written
        self._uncopied: list[LoadedMap] = []
        self.writer: MapWriter | None = None
        if config.map.name:
            self.writer = MapWriter(
                self._begin_writing(drop),
                config.map.thumbnail_width_px,
                statistics,
                drop,
                lambda key: pipeline.views_stored([key], self.written),
                self._open_again,
                tell,
                config.pose_graph.max_speed_m_per_s,
            )

    @property
    def written(self) -> MapStore:
        """The map that is written.

        Raises:
            InputError: there is none.
        """
        if self._written is None:
            if self._config.name:
                raise InputError(f"map '{self._config.name}' cannot be written so far")
            raise InputError('no map is written: the parameter map.name is empty')
        return self._written

    @property
    def written_path(self) -> Path:
        """The file of the map that is to be written, whether or not that is possible now.

        Raises:
            InputError: there is none.
        """
        return self.path(self._config.name)

    def path(self, name: str) -> Path:
        """Return the file of a map.

        Raises:
            InputError: the name is no name of a map, or that of a symbolic link.
        """
        return check_plain(map_path(self.directory, name))

    def is_in_use(self, path: Path) -> bool:
        """Whether a map is written or searched."""
        return path in self._loaded or (self._written is not None and path == self._written.path)

    def begin(self) -> list[LoadedMap]:
        """Make searchable what the parameters name: the map to go on with, and the one to load.

        Raises:
            InputError: one cannot be read.
        """
        is_fixed = self._config.base_map == 'fixed'
        out = []
        if self._written is not None and self._written.num_keyframes:
            is_base = self._config.load == self._config.name
            out.append(self._restore(self._written, is_fixed and is_base))
        if self._config.load and self._config.load != self._config.name:
            out.append(self.load(self._config.load, is_fixed=is_fixed))
        return out

    def load(self, name: str, *, is_fixed: bool) -> LoadedMap:
        """Make a stored map searchable; :meth:`copy` is to follow.

        Raises:
            InputError: it is in use, cannot be read, is of other weights, or brings nothing new.
        """
        path = self.path(name)
        if self.is_in_use(path):
            raise InputError(f"map '{name}' is in use already")
        store = MapStore.open(path, read_only=True)
        try:
            store.check_weights(self._weights_digest)
            loaded = self._restore(store, is_fixed)
        except BaseException:
            store.close()
            raise
        self._loaded[path] = store
        return loaded

    def copy(self, loaded: LoadedMap) -> None:
        """Copy what was loaded into the map that is written, if there is one; in any thread.

        Raises:
            InputError: the disk takes no more.
        """
        if self.writer is None or loaded.store is self._written:
            return
        if self._written is None or self._written.is_read_only:
            self._uncopied.append(loaded)  # with the first keyframe that can be written
        else:
            _copy(loaded, self._written)

    def thumbnail(self, key: KeyframeKey) -> NDArray[np.uint8] | None:
        """Return the stored picture (h, w) of a keyframe; None where no open map has one.

        Raises:
            InputError: a map cannot be read.
        """
        written = [] if self._written is None else [self._written]
        for store in (*written, *tuple(self._loaded.values())):
            picture = store.thumbnail(key)
            if picture is not None:
                return picture
        return None

    def close(self) -> None:
        """Close all maps."""
        if self.writer is not None:
            self.writer.close()
        for store in self._loaded.values():
            store.close()

    def _begin_writing(self, drop: Callable[[str, str], None]) -> MapStore | None:
        """Open the map to write; one that takes no writing is at least read."""
        path = self.path(self._config.name)
        try:
            self._written = self._open_written()
        except UnwritableError as err:
            drop('map_write', f'{err}; it is tried again, keyframes wait in memory')
            with contextlib.suppress(UnwritableError):
                if path.is_file():
                    self._written = self._checked(MapStore.open(path, read_only=True))
            return None
        return self._written

    def _open_again(self) -> MapStore:
        """Open the map for writing after all; in the worker's thread."""
        store, before = self._open_written(), self._written
        for loaded in self._uncopied:
            _copy(loaded, store)
        self._uncopied.clear()
        if before is not None:
            self._loaded[before.path] = before  # searches read from it still
        self._written = store
        return store

    def _open_written(self) -> MapStore:
        path = self.path(self._config.name)
        if not path.exists():
            return MapStore.create(
                path, weights_digest=self._weights_digest, weights_name=self._weights_name
            )
        return self._checked(MapStore.open(path))

    def _checked(self, store: MapStore) -> MapStore:
        try:
            store.check_weights(self._weights_digest)
        except BaseException:
            store.close()
            raise
        return store

    def _restore(self, store: MapStore, is_fixed: bool) -> LoadedMap:
        rows = _without(store.rows(), self._pipeline)
        if not rows.keys:
            raise InputError(f"map '{store.path}' holds no keyframe that is not here already")
        closures = store.closures()
        self._pipeline.restore(rows, closures, store)
        return LoadedMap(store, rows, closures, is_fixed)


def _copy(loaded: LoadedMap, written: MapStore) -> None:
    # Poses of a map that may move are written when the back end has placed them.
    T = np.eye(4) if loaded.is_fixed else None
    written.copy_from(loaded.store, T_map_other=T)


def _without(rows: MapRows, pipeline: LoopClosurePipeline) -> MapRows:
    """Leave out the keyframes that are here already."""
    new = [row for row, key in enumerate(rows.keys) if key not in pipeline]
    if len(new) == len(rows.keys):
        return rows
    return dataclasses.replace(
        rows,
        keys=[rows.keys[row] for row in new],
        robot_ids=[rows.robot_ids[row] for row in new],
        stamps_ns=rows.stamps_ns[new],
        T_odom_camera=rows.T_odom_camera[new],
        T_map_camera=rows.T_map_camera[new],
        embeddings=None if rows.embeddings is None else rows.embeddings[new],
        odom_frames=[rows.odom_frames[row] for row in new],
        camera_frames=[rows.camera_frames[row] for row in new],
    )
