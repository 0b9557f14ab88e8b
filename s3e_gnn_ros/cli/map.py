"""``s3e-gnn map``: stored maps, without a node."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3e_gnn_ros.cli.map_file import map_file
from s3e_gnn_ros.cli.recording_options import (
    add_recording_arguments,
    frames_with_odometry,
    recording_options,
)
from s3e_gnn_ros.errors import InputError

if TYPE_CHECKING:
    from s3e_gnn_ros.config import Config
    from s3e_gnn_ros.geometry.se3 import Pose

_FORMATS = ('g2o', 'tum', 'vins')
_ACTIONS = {
    'list': 'the maps in the folder',
    'build': 'make a map of a recording',
    'info': 'what a map holds',
    'save-as': 'copy a map, also while a node writes it',
    'merge': 'search a map in another, and write both with the loops between them',
    'delete': 'delete a map',
    'export': 'write a map in the format of another system',
    'import': "make a map of VINS's pose_graph.txt",
    'reembed': 'embed a map again, with the weights configured now',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be done, each with its options."""
    actions = parser.add_subparsers(dest='action', metavar='ACTION', required=True)
    made = {
        name: actions.add_parser(name, help=text, description=text)
        for name, text in _ACTIONS.items()
    }
    for action in made.values():
        action.add_argument(
            '--directory', default='', metavar='DIR', help='of the maps (that of the nodes)'
        )
        action.add_argument('--json', action='store_true', default=argparse.SUPPRESS)
    for name in ('info', 'save-as', 'merge', 'delete', 'export', 'reembed'):
        made[name].add_argument('name', metavar='MAP', help='its name, or a file')
    made['merge'].add_argument('other', metavar='OTHER', help='the map whose keyframes ask')
    for name in ('save-as', 'merge'):
        made[name].add_argument('out', metavar='OUT', help='name or file of the new map')
    add_recording_arguments(made['build'])
    made['build'].add_argument('name', metavar='MAP', help='name or file of the new map')
    made['build'].add_argument(
        '--session', type=int, metavar='N', help='its number, unlike all others (the time now)'
    )
    made['import'].add_argument('folder', type=Path, help='with pose_graph.txt')
    made['import'].add_argument('name', metavar='MAP', help='name or file of the new map')
    for name in ('build', 'save-as', 'merge', 'import'):
        made[name].add_argument('--overwrite', action='store_true', help='replace a map')
    made['export'].add_argument('out', type=Path, help="the file; of 'vins' a folder")
    made['export'].add_argument('--format', choices=_FORMATS, default='g2o')
    for name in ('export', 'import'):
        made[name].add_argument(
            '--body-camera',
            type=float,
            nargs=7,
            metavar=('X', 'Y', 'Z', 'QX', 'QY', 'QZ', 'QW'),
            help="VINS: the camera in the body whose poses the files hold (they are the camera's)",
        )
    for name in ('build', 'merge', 'export', 'import', 'reembed'):
        made[name].add_argument('--config', type=Path, metavar='YAML', help='settings')


def run(args: argparse.Namespace) -> Any:
    """Do what was asked for."""
    actions = {
        'list': _list,
        'build': _build,
        'info': _info,
        'save-as': _save_as,
        'merge': _merge,
        'delete': _delete,
        'export': _export,
        'import': _import,
        'reembed': _reembed,
    }
    result = actions[args.action](args)
    if not args.json:
        for line in _lines(result):
            print(line)
    return result


def _list(args: argparse.Namespace) -> list[dict[str, Any]]:
    from s3e_gnn_ros.map_store.paths import list_maps, map_directory

    found = []
    for path in list_maps(map_directory(args.directory)):
        try:
            found.append(_describe(path))
        except InputError as err:
            found.append({'name': path.stem, 'problem': str(err)})
    return found


def _build(args: argparse.Namespace) -> dict[str, Any]:
    from tqdm import tqdm

    from s3e_gnn_ros.data.open_recording import open_recording
    from s3e_gnn_ros.map_store.build import build_map

    recording = open_recording(args.recording, recording_options(args))
    frames = frames_with_odometry(args, recording)
    path = _path(args, args.name)
    bar = tqdm(frames, total=recording.num_frames, desc='map', unit='frame', disable=None)
    session = args.session or time.time_ns()
    build_map(path, bar, _config(args), session, overwrite=args.overwrite)
    return _describe(path)


def _info(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.map_store.records import EdgeKind
    from s3e_gnn_ros.map_store.store import MapStore

    path = _path(args, args.name)
    with MapStore.open(path, read_only=True) as store:
        sessions = [
            {
                'session': row.session,
                'robot_id': row.robot_id,
                'keyframes': row.num_keyframes,
                'seconds': (row.last_ns - row.first_ns) / 1e9,
            }
            for row in store.sessions()
        ]
        return {
            **_describe(path),
            'closures': len(store.closures()),
            'rejected': len(store.edges(EdgeKind.REJECTED)),
            'schema': store.version,
            'weights': store.weights_name,
            'weights_digest': store.weights_digest,
            'session': sessions,
        }


def _save_as(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.map_store.store import MapStore

    out = _path(args, args.out)
    with MapStore.open(_path(args, args.name), read_only=True) as store:
        store.save_as(out, overwrite=args.overwrite)
    return _describe(out)


def _merge(args: argparse.Namespace) -> dict[str, Any]:
    from tqdm import tqdm

    from s3e_gnn_ros.map_store.merge import merge_maps

    with tqdm(desc='merge', unit='keyframe', disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        merged = merge_maps(
            _path(args, args.name),
            _path(args, args.other),
            _path(args, args.out),
            _config(args),
            overwrite=args.overwrite,
            progress=show,
        )
    return {
        **_describe(merged.path),
        'new_closures': merged.num_new_closures,
        'rejected_closures': merged.num_rejected_closures,
    }


def _delete(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.map_store.files import remove_file

    path = _path(args, args.name)
    remove_file(path)
    return {'deleted': str(path)}


def _export(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.map_store.export import export_map
    from s3e_gnn_ros.map_store.store import MapStore

    with MapStore.open(_path(args, args.name), read_only=True) as store:
        export_map(store, args.format, args.out, _config(args).pose_graph, _body_camera(args))
    return {'out': str(args.out), 'format': args.format}


def _import(args: argparse.Namespace) -> dict[str, Any]:
    from s3e_gnn_ros.map_store.vins_import import import_vins

    path = _path(args, args.name)
    import_vins(args.folder, path, _config(args), _body_camera(args), overwrite=args.overwrite)
    return _describe(path)


def _reembed(args: argparse.Namespace) -> dict[str, Any]:
    from tqdm import tqdm

    from s3e_gnn_ros.encoder.encoder import load_encoder
    from s3e_gnn_ros.map_store.reembed import reembed
    from s3e_gnn_ros.map_store.store import MapStore
    from s3e_gnn_ros.map_store.weights import weights_of

    config = _config(args).retrieval
    digest, name = weights_of(config)
    if not digest:
        raise InputError(f"retrieval method '{config.method}' has no weights to embed with")
    path = _path(args, args.name)
    with MapStore.open(path) as store, tqdm(desc='embed', unit='keyframe', disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        number = reembed(store, load_encoder(config.weights), digest, name, show)
    return {**_describe(path), 'embedded': number}


def _describe(path: Path) -> dict[str, Any]:
    from s3e_gnn_ros.map_store.store import MapStore

    with MapStore.open(path, read_only=True) as store:
        return {
            'name': path.stem,
            'keyframes': store.num_keyframes,
            'sessions': len(store.sessions()),
            'bytes': store.num_bytes,
        }


def _path(args: argparse.Namespace, name: str) -> Path:
    """Return the file of a map that is given by its name or as a file."""
    return map_file(args.directory, name)


def _config(args: argparse.Namespace) -> Config:
    from s3e_gnn_ros.config import Config
    from s3e_gnn_ros.config_file import load_config

    return load_config(args.config) if args.config else Config()


def _body_camera(args: argparse.Namespace) -> Pose | None:
    from s3e_gnn_ros.geometry.se3 import pose_from_quat

    values = args.body_camera
    return None if values is None else pose_from_quat(values[:3], values[3:])


def _lines(result: Any) -> list[str]:
    if isinstance(result, dict):
        return [
            f'{name}: {text}'
            for name, value in result.items()
            for text in (value if isinstance(value, list) else [value])
        ]
    return [
        f'{item["name"]}: {item["problem"]}'
        if 'problem' in item
        else f'{item["name"]}: {item["keyframes"]} keyframes in {item["sessions"]} sessions, '
        f'{item["bytes"] / 1e6:.1f} MB'
        for item in result
    ] or ['no map']
