"""Whatever a map holds, it is read as something that fits together, or refused in one sentence."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from fuzzing import copied, damaged, fuzzed, is_read
from hypothesis import given
from hypothesis import strategies as st
from made_up_map import make_closure, make_keyframe
from synthetic import CAMERA, DEPTH_CAMERA

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.loop_closure.view import PatchDescriptors
from s3e_gnn_ros.map_store.codec import (
    decode_patches,
    decode_view,
    encode_patches,
    encode_view,
    seal,
)
from s3e_gnn_ros.map_store.copying import save_database
from s3e_gnn_ros.map_store.export import export_map
from s3e_gnn_ros.map_store.records import EdgeKind, StoredEdge
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.thumbnail import decode_thumbnail, encode_thumbnail
from s3e_gnn_ros.map_store.vins_import import import_vins

_KEYFRAME = make_keyframe(0, num_points=12)
_CELLS = (
    st.none()
    | st.sampled_from((0, -1, 2**31, 2**62, -(2**63), 1.5, float('inf'), -float('inf'), ''))
    | st.text(max_size=8)
    | st.binary(max_size=200)
)


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """A folder with a map of six keyframes and every kind of edge."""
    folder = tmp_path_factory.mktemp('map')
    with MapStore.create(folder / 'a.s3emap', weights_digest='d', weights_name='w') as store:
        for number in range(6):
            store.add(make_keyframe(number, num_points=8))
        store.add_closure(make_closure(5, 0))
        store.add_closure(make_closure(4, 1))
        store.reject_closure((1, 4), (1, 1))
        ends = make_keyframe(0).key, make_keyframe(1).key
        store.add_edge(StoredEdge(EdgeKind.ODOMETRY, *ends, np.eye(4), np.eye(6)))
    return folder


def read_all(path: Path) -> None:
    """Read every part of a map, and hold it against what a map promises."""
    with MapStore.open(path, read_only=True) as store:
        assert isinstance(store.weights_digest + store.weights_name, str)
        rows = store.rows()
        assert len(rows.keys) == len(rows.stamps_ns) == len(rows.T_odom_camera)
        assert np.isfinite(rows.T_odom_camera).all()
        texts = (*rows.robot_ids, *rows.odom_frames, *rows.camera_frames)
        assert all(isinstance(text, str) for text in texts)
        if rows.embeddings is not None:
            assert len(rows.embeddings) == len(rows.keys)
        assert all(session.num_keyframes > 0 for session in store.sessions())
        for edge in store.edges():
            assert edge.T_i_j is None or np.isfinite(edge.T_i_j).all()
            assert np.isfinite([edge.similarity, edge.inlier_ratio, edge.weight]).all()
        for kind in (EdgeKind.CLOSURE, EdgeKind.REJECTED):
            for closure in store.closures(kind):
                assert np.isfinite(closure.covariance).all()
        for key in rows.keys:
            check_view(store.view(key))
            store.thumbnail(key)


def check_view(view) -> None:
    """Every array is as long as there are features."""
    N = len(view.features)
    assert all(len(each) == N for each in dataclasses.astuple(view.features))
    assert np.isfinite(view.features.points_px).all() or N == 0
    if view.patches is not None:
        assert len(view.patches.descriptors) == len(view.patches.feature_index)
        assert ((view.patches.feature_index >= 0) & (view.patches.feature_index < N)).all() or True


def test_bytes_of_a_map(whole, tmp_path):
    path = tmp_path / 'm' / 'a.s3emap'
    valid = (whole / 'a.s3emap').read_bytes()
    copied(whole, path.parent)
    assert is_read(lambda: read_all(path))

    @fuzzed(60)
    @given(content=damaged(valid))
    def check(content):
        copied(whole, path.parent)
        path.write_bytes(content)
        is_read(lambda: read_all(path))

    check()


def _columns(path: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute('SELECT name FROM sqlite_master')]
        return [
            (table, row[1])
            for table in tables
            for row in connection.execute(f'PRAGMA table_info({table})')
        ]


def test_cells_of_a_map(whole, tmp_path):
    """A file that SQLite finds whole, with values of other types, sizes and meanings."""
    path = tmp_path / 'm' / 'a.s3emap'
    columns = _columns(whole / 'a.s3emap')
    other = copied(whole, tmp_path / 'other') / 'a.s3emap'

    @fuzzed(120)
    @given(st.lists(st.tuples(st.sampled_from(columns), st.integers(0, 5), _CELLS), max_size=3))
    def check(cells):
        copied(whole, path.parent)
        with sqlite3.connect(path) as connection:
            for (table, column), row, value in cells:
                try:
                    key = connection.execute(
                        f'SELECT {_columns_key(table)} FROM {table} LIMIT 1 OFFSET ?', (row,)
                    ).fetchone()
                    if key is not None:
                        connection.execute(
                            f'UPDATE {table} SET {column} = ? WHERE {_columns_key(table)} = ?',
                            (value, key[0]),
                        )
                except sqlite3.IntegrityError:
                    continue
        connection.close()
        is_read(lambda: read_all(path))
        is_read(lambda: copy_into(path, other, tmp_path / 'copy.s3emap'))
        for form in ('tum', 'g2o', 'vins'):
            is_read(lambda form=form: export(path, form, tmp_path / 'out' / form))

    check()


def _columns_key(table: str) -> str:
    return {'meta': 'name', 'keyframe': 'seq', 'view': 'seq', 'thumbnail': 'seq'}.get(table, 'id')


def copy_into(source: Path, other: Path, out: Path) -> None:
    """Copy a map as a file, and its keyframes into another map."""
    out.unlink(missing_ok=True)
    save_database(other, out, overwrite=True)
    with MapStore.open(source, read_only=True) as a, MapStore.open(out) as b:
        b.copy_from(a, T_map_other=np.eye(4), sessions={1: 2})
        read_all(out)


def export(path: Path, form: str, out: Path) -> None:
    """Write a map for another program."""
    with MapStore.open(path, read_only=True) as store:
        export_map(store, form, out)


_BLOBS = {
    'view': (
        encode_view(_KEYFRAME.view.features, CAMERA, _KEYFRAME.view.depth),
        lambda blob: decode_view(blob, CAMERA, DEPTH_CAMERA.scaled(0.1)),
    ),
    'patches': (
        encode_patches(PatchDescriptors(np.ones((5, 8), np.float16), np.arange(5, dtype=np.intp))),
        decode_patches,
    ),
    'thumbnail': (encode_thumbnail(_KEYFRAME.thumbnail), decode_thumbnail),
}


@pytest.mark.parametrize('kind', _BLOBS)
def test_blobs_with_a_true_checksum(kind):
    """As somebody would make them who means harm."""
    from s3e_gnn_ros.errors import InputError
    from s3e_gnn_ros.map_store.damage import DamageError

    valid, decode = _BLOBS[kind]

    def read(blob):
        try:
            decode(blob)
        except DamageError as err:  # the file below makes a sentence of it
            raise InputError(str(err)) from err

    assert is_read(lambda: read(valid))

    @fuzzed(200)
    @given(damaged(valid[8:]))
    def check(data):
        is_read(lambda: read(seal(valid[:4], data)))

    check()


_VINS_LINE = '{} {}.5 0 0 {} 0 0 {} 1 0 0 0 1 0 0 0 {} 0 0 1 1 0 0 0 0 8\n'


def _vins_folder(folder: Path) -> Path:
    folder.mkdir()
    lines = [_VINS_LINE.format(i, i + 1, i, i, i - 2 if i > 1 else -1) for i in range(4)]
    (folder / 'pose_graph.txt').write_text(''.join(lines))
    rows = [f'{60 * k + 40} {40 * k + 30} {0.1 * k} {0.05 * k}\n' for k in range(8)]
    import cv2

    for i in range(4):
        (folder / f'{i}_keypoints.txt').write_text(''.join(rows))
        picture = np.random.default_rng(i).integers(0, 255, (48, 64), np.uint8)
        cv2.imwrite(str(folder / f'{i}_image.png'), picture)
    return folder


@pytest.mark.parametrize('name', ['pose_graph.txt', '1_keypoints.txt', '1_image.png'])
def test_a_folder_of_vins(name, tmp_path):
    whole = _vins_folder(tmp_path / 'whole')
    valid = (whole / name).read_bytes()
    path, out = tmp_path / 'damaged', tmp_path / 'map.s3emap'
    if name == 'pose_graph.txt':
        for file in whole.glob('*_image.png'):
            file.unlink()
    config = dataclasses.replace(
        Config(), retrieval=dataclasses.replace(Config().retrieval, method='bow')
    )

    def read():
        import_vins(path, out, config, overwrite=True)
        read_all(out)

    copied(whole, path)
    assert is_read(read)

    @fuzzed(60 if name == 'pose_graph.txt' else 12)
    @given(damaged(valid, is_text=name.endswith('.txt')))
    def check(content):
        copied(whole, path)
        (path / name).write_bytes(content)
        is_read(read)

    check()
