"""Services for stored maps: save, load, merge, list, delete, export and import."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from s3e_gnn_ros import srv
from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.map_store.files import remove_file
from s3e_gnn_ros.map_store.paths import check_plain, list_maps, path_inside
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.deferred import DeferredServices, Job, call_in
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.map_keeper import MapKeeper
from s3e_gnn_ros.ros.open_maps import LoadedMap, OpenMaps
from s3e_gnn_ros.ros.worker import Worker

_CAPACITY = 16
_FLUSH_TIMEOUT_S = 60.0


class MapServices:
    """Works on files in a thread of its own, one request after the other.

    Only loading, which changes what is searched, is done by the worker of the node: in order with
    the keyframes.

    Args:
        config: of the node, for merging.
        maps: the files.
        keeper: the map in use.
        intake: counts what cannot be written.
        services: creates the services.
        worker: returns the worker of the node.
        body_camera: returns T_body_camera (4, 4), or None: formats of VINS hold the body.
    """

    def __init__(
        self,
        config: Config,
        maps: OpenMaps,
        keeper: MapKeeper,
        intake: Intake,
        services: DeferredServices,
        worker: Callable[[], Worker[Job]],
        body_camera: Callable[[], Pose | None],
    ) -> None:
        self._config = config
        self._maps = maps
        self._keeper = keeper
        self._intake = intake
        self._worker = worker
        self._body_camera = body_camera
        self._files: Worker[Job] = Worker(
            lambda job: job.run(),
            capacity=_CAPACITY,
            name='map_files',
            on_drop=lambda job: job.drop(),
            on_error=lambda err: intake.drop('map_error', f'{type(err).__name__}: {err}'),
        )
        services.create(srv.LoadMap, names.LOAD_MAP, self._load, worker, needs_active=True)
        for service_class, name, work in (
            (srv.SaveMap, names.SAVE_MAP, self._save),
            (srv.MergeMaps, names.MERGE_MAPS, self._merge),
            (srv.ListMaps, names.LIST_MAPS, self._list),
            (srv.DeleteMap, names.DELETE_MAP, self._delete),
            (srv.ExportMap, names.EXPORT_MAP, self._export),
            (srv.ImportMap, names.IMPORT_MAP, self._import),
        ):
            services.create(service_class, name, work, lambda: self._files)

    def set_config(self, config: Config) -> None:
        """Go by another configuration from the next request on."""
        self._config = config

    def copy(self, loaded: LoadedMap) -> None:
        """Begin to copy a map that was loaded into the one that is written."""
        self._files.offer(Job(lambda: self._intake.attempt(partial(self._copy, loaded))))

    def close(self) -> None:
        """End the thread."""
        self._files.close()

    # In the worker's thread.

    def _load(self, request: Any, response: Any) -> None:
        loaded = self._maps.load(request.name, is_fixed=request.fixed)
        response.num_keyframes, response.num_closures = self._keeper.give_out(loaded)
        self.copy(loaded)

    # In the thread of the files.

    def _copy(self, loaded: LoadedMap) -> None:
        self._maps.copy(loaded)
        writer = self._maps.writer
        if writer is not None:
            self._worker().offer(Job(lambda: writer.note_copied(loaded.rows.keys)))

    def _save(self, request: Any, response: Any) -> None:
        store, path = self._maps.written, self._free_path(request.name)
        if self._maps.writer is not None:  # the newest poses belong into it
            call_in(self._worker(), self._maps.writer.flush, _FLUSH_TIMEOUT_S)
        store.save_as(path, overwrite=request.overwrite)
        with MapStore.open(path, read_only=True) as saved:
            response.num_keyframes = saved.num_keyframes
            response.num_bytes = saved.num_bytes
        response.path = str(path)

    def _merge(self, request: Any, response: Any) -> None:
        out = self._free_path(request.out)
        inputs = self._maps.path(request.name), self._maps.path(request.other)
        from s3e_gnn_ros.map_store.merge import merge_maps  # with gtsam: for those who merge

        merged = merge_maps(*inputs, out, self._config)
        response.num_keyframes = merged.num_keyframes
        response.num_new_closures = merged.num_new_closures

    def _list(self, _request: Any, response: Any) -> None:
        for path in list_maps(self._maps.directory):
            num_keyframes, num_sessions, num_bytes, problem = _look_at(path)
            response.names.append(path.stem)
            response.num_keyframes.append(num_keyframes)
            response.num_sessions.append(num_sessions)
            response.num_bytes.append(num_bytes)
            response.problems.append(problem)

    def _delete(self, request: Any, _response: Any) -> None:
        remove_file(self._free_path(request.name))

    def _export(self, request: Any, response: Any) -> None:
        path = self._maps.path(request.name) if request.name else self._maps.written.path
        out = path_inside(self._maps.directory, request.out)
        from s3e_gnn_ros.map_store.export import export_map

        with MapStore.open(path, read_only=True) as store:
            export_map(store, request.format, out, self._config.pose_graph, self._body_camera())
        response.path = str(out)

    def _import(self, request: Any, response: Any) -> None:
        path = self._free_path(request.name)
        from s3e_gnn_ros.map_store.vins_import import import_vins

        folder = path_inside(self._maps.directory, request.folder)
        if folder.is_dir():
            for file in folder.iterdir():
                check_plain(file)
        response.num_keyframes = import_vins(folder, path, self._config)

    def _free_path(self, name: str) -> Path:
        """Return the file of a map that is not in use.

        Raises:
            InputError: it is, or the name is no name of a map.
        """
        path = self._maps.path(name)
        if self._maps.is_in_use(path):
            raise InputError(f"map '{name}' is in use")
        return path


def _look_at(path: Path) -> tuple[int, int, int, str]:
    """Return keyframes, sessions and bytes of a map, and why it cannot be opened."""
    try:
        with MapStore.open(path, read_only=True) as store:
            return store.num_keyframes, len(store.sessions()), store.num_bytes, ''
    except InputError as err:
        size = path.stat().st_size if path.exists() else 0
        return 0, 0, size, str(err)
