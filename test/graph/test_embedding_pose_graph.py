"""Nodes and edges of the embedding pose graph."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.graph.block_matrix import BlockMatrix
from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind, EmbeddingPoseGraph
from s3e_gnn_ros.graph.gnn_config import GNNConfig

CONFIG = GNNConfig(embedding_dim=4, max_covisible=2, max_loops=1)


def make_graph(num=4):
    graph = EmbeddingPoseGraph(CONFIG)
    for node in range(num):
        assert graph.add_node(np.eye(4)[node % 4], stamp_ns=10 * node, session=node // 2) == node
    return graph


def test_nodes_keep_what_they_are_given():
    graph = make_graph()
    pose = np.eye(4)
    pose[:3, 3] = [1.0, 2.0, 3.0]
    graph.add_node(np.full(4, 0.5), T_odom_camera=pose)
    nodes = np.array([1, 3, 4])
    np.testing.assert_array_equal(graph.embeddings(nodes)[:2], np.eye(4)[[1, 3]])
    assert graph.embeddings(nodes).dtype == np.float32
    assert graph.stamps_ns(nodes).tolist() == [10, 30, 0]
    assert graph.sessions(nodes).tolist() == [0, 1, 0]
    np.testing.assert_array_equal(graph.poses([4])[0], pose)
    assert np.isnan(graph.poses([0])[0, :3]).all()


def test_edges_by_hand():
    graph = make_graph()
    assert graph.add_edge(0, 1, EdgeKind.ODOMETRY)
    assert graph.add_edge(2, 1, EdgeKind.COVISIBLE)
    assert graph.add_edge(1, 3, EdgeKind.LOOP)
    assert sorted(graph.neighbours(1)) == [0, 2, 3]
    assert graph.neighbours(1, EdgeKind.LOOP) == [3]
    assert graph.edge_index(np.arange(4)).tolist() == [[1, 0, 3, 2, 1, 1], [0, 1, 1, 1, 2, 3]]
    assert graph.edge_index(np.array([1, 3])).tolist() == [[1, 0], [0, 1]]
    assert graph.edge_index(np.array([0, 2])).shape == (2, 0)
    assert graph.edge_index(np.zeros(0, dtype=np.int64)).shape == (2, 0)
    assert graph.ball(np.array([0]), 1).tolist() == [0, 1]
    assert graph.ball(np.array([0]), 2).tolist() == [0, 1, 2, 3]
    assert graph.ball(np.zeros(0, int), 2).tolist() == []


def test_a_pair_is_joined_once_and_the_degree_is_bounded():
    graph = make_graph(6)
    assert graph.add_edge(0, 1, EdgeKind.LOOP)
    assert not graph.add_edge(1, 0, EdgeKind.COVISIBLE)
    assert not graph.add_edge(0, 2, EdgeKind.LOOP)  # one loop at most
    assert graph.neighbours(2) == []
    graph.remove_edge(0, 1)
    assert graph.add_edge(0, 2, EdgeKind.LOOP)
    assert graph.neighbours(1) == []


def test_numbers_survive_a_deletion():
    graph = make_graph()
    graph.add_edge(0, 1, EdgeKind.ODOMETRY)
    graph.add_edge(1, 2, EdgeKind.ODOMETRY)
    graph.remove_node(1)
    assert 1 not in graph
    assert len(graph) == 3
    assert graph.node_ids().tolist() == [0, 2, 3]
    assert graph.neighbours(0) == []
    assert graph.add_node(np.eye(4)[0]) == 4
    assert len(EmbeddingPoseGraph(CONFIG).node_ids()) == 0


def test_errors_name_the_node():
    graph = make_graph()
    graph.remove_node(3)
    for call in (
        lambda: graph.add_edge(0, 3, EdgeKind.LOOP),
        lambda: graph.remove_node(3),
        lambda: graph.neighbours(3),
        lambda: graph.remove_edge(3, 0),
    ):
        with pytest.raises(InputError, match='no node 3'):
            call()
    with pytest.raises(InputError, match='no node 9'):
        graph.add_edge(9, 0, EdgeKind.LOOP)
    with pytest.raises(InputError, match='no node -1'):
        graph.neighbours(-1)
    with pytest.raises(InputError, match='no edge joins the nodes 0 and 1'):
        graph.remove_edge(0, 1)
    with pytest.raises(InputError, match='with itself'):
        graph.add_edge(0, 0, EdgeKind.LOOP)


GOOD = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ('embedding', 'arguments', 'words'),
    [
        (np.zeros(3), {}, r'\(1, 3\) float64 instead of \(1, 4\)'),
        (np.array(['a', 'b', 'c', 'd']), {}, 'instead of'),
        (np.array([1.0, 0.0, np.nan, 0.0]), {}, 'length nan'),
        (2 * GOOD, {}, 'length 2 instead of 1 or 0'),
        (1e5 * GOOD, {}, 'length 100000'),  # float16 would make it infinite
        (GOOD, {'T_odom_camera': np.eye(3)}, r'\(1, 3, 3\) instead of \(1, 4, 4\)'),
        (GOOD, {'stamp_ns': 2**70}, '1180591620717411303424'),
        (GOOD, {'stamp_ns': 2**63}, '9223372036854775808'),
        (GOOD, {'session': 1.5}, r'sessions \[1.5\]'),
    ],
)
def test_a_node_that_cannot_be_added_leaves_nothing_behind(embedding, arguments, words):
    graph = EmbeddingPoseGraph(GNNConfig(embedding_dim=4))
    graph.add_node(GOOD)
    with pytest.raises(InputError, match=words):
        graph.add_node(embedding, **arguments)
    assert graph.num_ids == len(graph) == 1
    last = np.array([0.0, 0.6, 0.8, 0.0])
    node = graph.add_node(last, stamp_ns=7, session=3, T_odom_camera=np.diag([1.0, -1, -1, 1]))
    assert node == 1
    ids = np.array([node])
    np.testing.assert_allclose(graph.embeddings(ids)[0], last, atol=1e-3)
    assert (graph.stamps_ns(ids)[0], graph.sessions(ids)[0]) == (7, 3)
    assert np.array_equal(graph.poses(ids)[0], np.diag([1.0, -1, -1, 1]))


def test_block_matrix_over_many_blocks():
    matrix = BlockMatrix(2, np.float32)
    num = 300_000
    values = np.arange(2 * num, dtype=np.float32).reshape(num, 2)
    matrix.append(values[:1])
    np.testing.assert_array_equal(matrix.rows(np.array([0, 0])), values[[0, 0]])
    matrix.append(values[1:])
    assert len(matrix.filled()) == 3
    np.testing.assert_array_equal(np.concatenate(matrix.filled()), values)
    ids = np.array([280_000, 3, 150_000, 4])
    np.testing.assert_array_equal(matrix.rows(ids), values[ids])
    matrix.assign(ids, -values[ids])
    np.testing.assert_array_equal(matrix.rows(ids), -values[ids])
    assert matrix.row(150_000)[0] == -300_000.0
    assert matrix.num_bytes == num * 8
    assert BlockMatrix(2, np.float32).filled() == []
