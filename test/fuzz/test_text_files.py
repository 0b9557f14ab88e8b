"""Whatever a text file holds, its reader returns what fits together or says one sentence."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fuzzing import damaged, fuzzed, is_read
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.config_file import dump_config, load_config
from s3e_gnn_ros.data.camera_file import find_camera_file
from s3e_gnn_ros.data.trajectory_file import (
    read_euroc_trajectory,
    read_matrix_pose,
    read_tum_trajectory,
)
from s3e_gnn_ros.evaluation.files import tum_text
from s3e_gnn_ros.evaluation.retrieval_labels import HEAD, read_labels
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.pose_graph.g2o import G2oGraph, g2o_text, read_g2o
from s3e_gnn_ros.pose_graph.toro import read_toro
from s3e_gnn_ros.ros.edits_file import FILE_NAME, EditsFile
from s3e_gnn_ros.training.section import read_section, section_yaml
from s3e_gnn_ros.training.train_config import EncoderTrainConfig

_RNG = np.random.default_rng(1)
_POSES = np.array([se3.expmap(_RNG.normal(0, 0.3, 6)) for _ in range(5)])
_STAMPS_NS = 1_700_000_000_000_000_000 + np.arange(5) * 100_000_000
_ROOT = Path(__file__).resolve().parents[2]


def _graph() -> G2oGraph:
    ids = np.arange(5)
    pairs = np.column_stack([ids[:-1], ids[1:]])
    steps = np.array([se3.inverse(_POSES[i]) @ _POSES[j] for i, j in pairs])
    return G2oGraph(ids, _POSES, pairs, steps, np.tile(np.eye(6) * 100.0, (4, 1, 1)))


def _toro() -> str:
    upper = ' '.join(f'{value:g}' for value in np.eye(6)[np.triu_indices(6)])
    return ''.join(f'EDGE3 {i} {i + 1} 1 0 0 0 0 0.1 {upper}\n' for i in range(4))


def _euroc() -> str:
    rows = zip(_STAMPS_NS.tolist(), _POSES, strict=True)
    lines = ['#stamp, x, y, z, qw, qx, qy, qz']
    for stamp, T in rows:
        x, y, z, w = se3.quat_xyzw(T).tolist()
        lines.append(','.join(map(str, (stamp, *T[:3, 3].tolist(), w, x, y, z))))
    return '\n'.join(lines) + '\n'


def _check_trajectory(found: Trajectory) -> None:
    assert len(found.stamps_ns) == len(found.poses) > 0
    assert (np.diff(found.stamps_ns) > 0).all()
    _check_poses(found.poses)


def _check_poses(poses: np.ndarray) -> None:
    assert np.isfinite(poses).all()
    R = poses[..., :3, :3]
    np.testing.assert_allclose(R @ np.swapaxes(R, -1, -2), np.eye(3) + 0 * R, atol=1e-3)


def _check_graph(found: G2oGraph) -> None:
    _check_poses(found.poses)
    _check_poses(found.edge_poses)
    assert np.isin(found.edge_ids, found.ids).all()
    assert found.information.shape == (len(found.edge_ids), 6, 6)
    assert np.isfinite(found.information).all()


def _check_camera(folder: Path) -> None:
    camera = find_camera_file(folder)
    assert camera is None or np.isfinite([camera.fx, camera.fy, camera.cx, camera.cy]).all()


READERS = {
    'a.tum': (
        tum_text(Trajectory(_STAMPS_NS, _POSES)),
        lambda path: _check_trajectory(read_tum_trajectory(path, 'pose', Counter())),
    ),
    'a.csv': (
        _euroc(),
        lambda path: _check_trajectory(read_euroc_trajectory(path, 'pose', Counter())),
    ),
    'pose.txt': (
        '\n'.join(' '.join(map(repr, row)) for row in _POSES[0].tolist()),
        lambda path: _check_poses(read_matrix_pose(path)),
    ),
    'a.g2o': (g2o_text(_graph()), lambda path: _check_graph(read_g2o(path))),
    'a.toro': (_toro(), lambda path: _check_graph(read_toro(path))),
    'camera.txt': ('500 501 320.5 240.25 0.1 -0.2 0 0\n', lambda p: _check_camera(p.parent)),
    'camera-intrinsics.txt': (
        '500 0 320\n0 500 240\n0 0 1\n',
        lambda path: _check_camera(path.parent),
    ),
    'labels.csv': (
        ','.join(HEAD) + '\n# a comment\na/1.png,p1,1.5,,\na/2.png,p2,2.5,g,p1 p3\n',
        lambda path: read_labels(path),
    ),
    FILE_NAME: (
        json.dumps({'removed': [[1, 2, 3, 4], [2**63, 5, 6, 7]], 'pinned': []}),
        lambda path: EditsFile(path.parent).read(),
    ),
    'config.yaml': (dump_config(Config()), lambda path: load_config(path)),
    'encoder.yaml': (
        (_ROOT / 'config/train/encoder_vlad.yaml').read_text(),
        lambda path: section_yaml(read_section(EncoderTrainConfig, path)),
    ),
}


@pytest.mark.parametrize('name', READERS)
def test_text(name: str, tmp_path: Path) -> None:
    valid, read = READERS[name]
    path = tmp_path / name
    path.write_bytes(valid.encode())
    assert is_read(lambda: read(path)), 'the reader refuses what is whole'

    @fuzzed(60)
    @given(content=damaged(valid.encode(), is_text=True) | st.binary(max_size=200))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        is_read(lambda: read(path))

    check()
