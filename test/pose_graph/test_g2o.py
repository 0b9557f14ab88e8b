"""g2o files: conventions against gtsam's own reader, round trips, and what is refused."""

from __future__ import annotations

from pathlib import Path

import gtsam
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.errors import InputError, RecordingError
from s3e_gnn_ros.geometry.se3 import expmap
from s3e_gnn_ros.pose_graph.g2o import G2oGraph, read_g2o, write_g2o

SHARED = Path(__file__).resolve().parents[2].parent / 'shared'
GRAPHS = SHARED / 'data' / 'pose_graphs'

VERTICES = 'VERTEX_SE3:QUAT 0 0 0 0 0 0 0 1\nVERTEX_SE3:QUAT 4 1 2 3 0 0 0.6 0.8\n'
IDENTITY = '1 0 0 0 0 0 1 0 0 0 0 1 0 0 0 1 0 0 1 0 1'
EDGE = f'EDGE_SE3:QUAT 0 4 1 2 3 0 0 0.6 0.8 {IDENTITY}\n'


def make_graph(seed: int, num: int) -> G2oGraph:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(num, 6, 6))
    return G2oGraph(
        ids=rng.permutation(5 * num)[:num].astype(np.int64),
        poses=np.array([expmap(rng.normal(0, 2, 6)) for _ in range(num)]),
        edge_ids=np.zeros((0, 2), dtype=np.int64),
        edge_poses=np.array([expmap(rng.normal(0, 2, 6)) for _ in range(num)]),
        information=roots @ roots.transpose(0, 2, 1) + np.eye(6),
    )


def with_edges(graph: G2oGraph) -> G2oGraph:
    pairs = np.stack([graph.ids, np.roll(graph.ids, 1)], axis=1)
    return G2oGraph(graph.ids, graph.poses, pairs, graph.edge_poses, graph.information)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@given(seed=st.integers(0, 2**32 - 1), num=st.integers(2, 6))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, seed: int, num: int) -> None:
    path = tmp_path_factory.mktemp('g2o') / 'graph.g2o'
    graph = with_edges(make_graph(seed, num))
    write_g2o(path, graph)
    again = read_g2o(path)
    np.testing.assert_array_equal(again.ids, graph.ids)
    np.testing.assert_array_equal(again.edge_ids, graph.edge_ids)
    np.testing.assert_allclose(again.poses, graph.poses, atol=1e-12)
    np.testing.assert_allclose(again.edge_poses, graph.edge_poses, atol=1e-12)
    np.testing.assert_array_equal(again.information, graph.information)
    assert not again.is_planar


def test_graph_without_edges(tmp_path: Path) -> None:
    graph = make_graph(0, 1)
    empty = np.zeros((0, 4, 4)), np.zeros((0, 6, 6))
    write_g2o(tmp_path / 'a.g2o', G2oGraph(graph.ids, graph.poses, graph.edge_ids, *empty))
    again = read_g2o(tmp_path / 'a.g2o')
    assert len(again) == 1
    assert again.information.shape == (0, 6, 6)


@pytest.mark.parametrize('seed', range(3))
def test_gtsam_reads_the_same_graph(tmp_path: Path, seed: int) -> None:
    """Quaternion and information order: each factor's error is the one we compute by hand."""
    path = tmp_path / 'graph.g2o'
    write_g2o(path, with_edges(make_graph(seed, 5)))
    graph = read_g2o(path)
    factors, values = gtsam.readG2o(str(path), True)
    for k, name in enumerate(graph.ids.tolist()):
        np.testing.assert_allclose(values.atPose3(name).matrix(), graph.poses[k], atol=1e-9)
    row = {name: k for k, name in enumerate(graph.ids.tolist())}
    for k, (i, j) in enumerate(graph.edge_ids.tolist()):
        factor = factors.at(k)
        np.testing.assert_allclose(
            factor.noiseModel().information(), graph.information[k], rtol=1e-7, atol=1e-9
        )
        T_i_j = gtsam.Pose3(graph.poses[row[i]]).between(gtsam.Pose3(graph.poses[row[j]]))
        residual = gtsam.Pose3.Logmap(gtsam.Pose3(graph.edge_poses[k]).between(T_i_j))
        expected = 0.5 * residual @ graph.information[k] @ residual
        assert factor.error(values) == pytest.approx(expected, rel=1e-9)


def test_information_is_translation_first_in_the_file(tmp_path: Path) -> None:
    upper = np.zeros((6, 6))
    upper[np.triu_indices(6)] = np.arange(1, 22)
    matrix = upper + np.triu(upper, 1).T + 100 * np.eye(6)
    values = ' '.join(str(value) for value in matrix[np.triu_indices(6)])
    text = f'{VERTICES}EDGE_SE3:QUAT 0 4 1 2 3 0 0 0 1 {values}\n'
    (information,) = read_g2o(write(tmp_path / 'a.g2o', text)).information
    np.testing.assert_array_equal(information[3:, 3:], matrix[:3, :3])
    np.testing.assert_array_equal(information[:3, :3], matrix[3:, 3:])
    np.testing.assert_array_equal(information[3:, :3], matrix[:3, 3:])


def test_slightly_unnormalised_quaternion_is_normalised(tmp_path: Path) -> None:
    text = VERTICES.replace('0.6 0.8', '0.603 0.804')
    poses = read_g2o(write(tmp_path / 'a.g2o', text)).poses
    np.testing.assert_allclose(poses[1, :3, :3] @ poses[1, :3, :3].T, np.eye(3), atol=1e-12)
    assert poses[1, 0, 0] == pytest.approx(0.8**2 - 0.6**2)


def test_planar_graph_is_lifted(tmp_path: Path) -> None:
    text = (
        'VERTEX_SE2 0 0 0 0\n\n# a comment\nFIX 0\nVERTEX_SE2 1 1 2 1.5707963267948966\n'
        'EDGE_SE2 0 1 1 2 0 11 1 2 22 3 33\n'
    )
    graph = read_g2o(write(tmp_path / 'a.g2o', text))
    assert graph.is_planar
    expected = expmap([0, 0, np.pi / 2, 0, 0, 0])
    expected[:3, 3] = [1, 2, 0]
    np.testing.assert_allclose(graph.poses[1], expected, atol=1e-12)
    information = graph.information[0]
    np.testing.assert_array_equal(
        information[np.ix_([3, 4, 2], [3, 4, 2])], [[11, 1, 2], [1, 22, 3], [2, 3, 33]]
    )
    np.testing.assert_array_equal(information[np.ix_([0, 1, 5], [0, 1, 5])], np.eye(3))


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('', 'holds no pose graph'),
        ('# nothing but a comment\n', 'holds no pose graph'),
        (VERTICES + 'EDGE_SE3:QUAT 0 4 1 2 3\n', 'line 3: 5 values instead of 30: EDGE_SE3'),
        (VERTICES.replace('2', 'two'), "line 2: 'two' is no number"),
        (VERTICES.replace('2', 'nan'), 'line 2: a value is not finite'),
        (VERTICES.replace('QUAT 4', 'QUAT 4.5'), 'line 2: id 4.5 is no whole number'),
        (VERTICES.replace('QUAT 4', 'QUAT 0'), 'line 2: vertex 0 comes twice'),
        (VERTICES.replace('0.8', '0.9'), 'line 2: quaternion .* has norm 1.0817 instead of 1'),
        (VERTICES + EDGE.replace('0 4', '0 5', 1), 'line 3: edge to vertex 5, which is not there'),
        (VERTICES + EDGE.replace('0 4', '4 4', 1), 'line 3: edge from vertex 4 to itself'),
        (VERTICES + EDGE + EDGE.replace(' 1\n', ' -1\n'), 'line 4: information is not positive'),
        (VERTICES + 'LANDMARK 1 2\n', "line 3: 'LANDMARK' is no known element"),
        (VERTICES + 'VERTEX_SE2 9 0 0 0\n', 'line 3: SE2 and SE3 elements are mixed'),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(RecordingError, match=words):
        read_g2o(write(tmp_path / 'bad.g2o', text))


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match='No such file'):
        read_g2o(tmp_path / 'none.g2o')
    (tmp_path / 'binary.g2o').write_bytes(b'VERTEX\xff\xfe')
    with pytest.raises(RecordingError, match='byte 6 is no text'):
        read_g2o(tmp_path / 'binary.g2o')
    with pytest.raises(InputError, match='cannot write'):
        write_g2o(tmp_path / 'no' / 'folder.g2o', with_edges(make_graph(0, 2)))


def test_older_file_survives_a_failed_write(tmp_path: Path) -> None:
    path = tmp_path / 'graph.g2o'
    write_g2o(path, with_edges(make_graph(0, 3)))
    before = path.read_text()
    graph = with_edges(make_graph(1, 3))
    short = G2oGraph(
        graph.ids, graph.poses[:2], graph.edge_ids, graph.edge_poses, graph.information
    )
    with pytest.raises(ValueError, match='zip'):
        write_g2o(path, short)
    assert path.read_text() == before


@pytest.mark.skipif(not GRAPHS.is_dir(), reason='needs the shared pose graphs')
@pytest.mark.parametrize('name', ['parking-garage', 'sphere_bignoise_vertex3', 'cubicle'])
def test_real_files_have_gtsams_error(name: str) -> None:
    path = GRAPHS / f'{name}.g2o'
    graph = read_g2o(path, allow_indefinite=True)
    theirs, values = gtsam.readG2o(str(path), True)
    ours = gtsam.NonlinearFactorGraph()
    for (i, j), T, information in zip(
        graph.edge_ids.tolist(), graph.edge_poses, graph.information, strict=True
    ):
        noise = gtsam.noiseModel.Gaussian.Information(information)
        ours.add(gtsam.BetweenFactorPose3(i, j, gtsam.Pose3(T), noise))
    assert ours.size() == theirs.size()
    assert ours.error(values) == pytest.approx(theirs.error(values), rel=1e-9)


@pytest.mark.skipif(not GRAPHS.is_dir(), reason='needs the shared pose graphs')
def test_indefinite_information_of_a_real_file_is_refused_by_default() -> None:
    with pytest.raises(RecordingError, match='line 5753: information is not positive definite'):
        read_g2o(GRAPHS / 'cubicle.g2o')
