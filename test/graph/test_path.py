"""Paths through the reference graph in step with the query."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind, EmbeddingPoseGraph
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.inference import InferenceGNN
from s3e_gnn_ros.graph.path import PATH_EDGES, best_paths, path_similarity
from s3e_gnn_ros.graph.reference_graph import ReferenceGraph

WEIGHT = 0.3


def by_hand(U, joined, weight):
    """Try every path of W nodes that stays or goes along an edge."""
    W, N = U.shape
    total = sum(weight**k for k in range(W))
    best = np.full(N, -np.inf)
    for path in itertools.product(range(N), repeat=W):
        if all(a == b or joined[a, b] for a, b in itertools.pairwise(path)):
            value = sum(weight ** (W - 1 - k) * U[k, node] for k, node in enumerate(path))
            best[path[-1]] = max(best[path[-1]], value / total)
    return best


def random_case(seed, num_nodes=5, window=4):
    rng = np.random.default_rng(seed)
    joined = np.triu(rng.random((num_nodes, num_nodes)) < 0.4, 1)
    return rng.random((window, num_nodes)).astype(np.float32), joined | joined.T


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), window=st.integers(1, 4))
def test_the_best_of_all_ways(seed, window):
    U, joined = random_case(seed, window=window)
    expected = by_hand(U, joined, WEIGHT)
    edges = torch.from_numpy(np.stack(np.nonzero(joined)))
    found = path_similarity(torch.from_numpy(U)[None], edges, torch.tensor(WEIGHT))[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    own = np.arange(len(joined))[:, None]
    neighbours = np.where(joined, np.arange(len(joined)), own).T
    np.testing.assert_allclose(best_paths(U, neighbours, WEIGHT), expected, rtol=1e-5)


def test_keyframes_before_speak_for_where_they_lead_to():
    """Of two alike places, that one to which the path of the query leads."""
    U = np.full((2, 6), 0.1, np.float32)
    U[1, 2] = U[1, 5] = 0.9  # the newest looks like nodes 2 and 5
    U[0, 1] = 0.8  # the one before like node 1, next to 2
    chain = np.stack([np.maximum(np.arange(6) - 1, 0), np.minimum(np.arange(6) + 1, 5)])
    found = best_paths(U, chain, WEIGHT)
    assert found.argmax() == 2
    assert found[2] == pytest.approx((0.9 + WEIGHT * 0.8) / (1 + WEIGHT))
    assert found[1] < found[5]  # and not for where it was taken


def test_it_can_be_learned():
    U, joined = random_case(0)
    tensor = torch.from_numpy(U)[None].requires_grad_()
    weight = torch.tensor(WEIGHT, requires_grad=True)
    edges = torch.from_numpy(np.stack(np.nonzero(joined)))
    path_similarity(tensor, edges, weight).sum().backward()
    assert tensor.grad.abs().sum() > 0
    assert weight.grad.abs() > 0


def grown(num_nodes, seed=0):
    """Return a reference graph, a chain with a loop and covisible edges, and its embeddings."""
    rng = np.random.default_rng(seed)
    gnn = build_gnn(GNNConfig(embedding_dim=16, edge_dim=4))
    reference = ReferenceGraph(InferenceGNN.of(gnn))
    embeddings = rng.standard_normal((num_nodes, 16)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    for node, embedding in enumerate(embeddings):
        reference.add_node(embedding)
        if node:
            reference.add_edge(node - 1, node, EdgeKind.ODOMETRY)
        if node > 3:
            reference.add_edge(node - 3, node, EdgeKind.COVISIBLE)
    reference.add_edge(2, num_nodes - 2, EdgeKind.LOOP)
    return reference, embeddings


def expected_of(reference, q):
    num = reference.graph.num_ids
    source, target = reference.graph.edge_index(np.arange(num), PATH_EDGES)
    joined = np.eye(num, dtype=bool)
    joined[target, source] = True
    neighbours = np.where(joined, np.arange(num), np.arange(num)[:, None]).T
    return best_paths(reference.similarities(q), neighbours, reference._gnn.path_weight)


def test_a_small_map_is_searched_whole():
    reference, embeddings = grown(40)
    q = reference.query(embeddings[10:15])
    found = reference.trace(q)
    np.testing.assert_allclose(found, expected_of(reference, q), rtol=1e-5)
    assert found.argmax() == 14


def test_in_a_large_map_the_others_come_after_the_best(monkeypatch):
    reference, embeddings = grown(60)
    monkeypatch.setattr('s3e_gnn_ros.graph.reference_graph._MAX_TRACED', 8)
    q = reference.query(embeddings[20:25])
    U, found = reference.similarities(q)[-1], reference.trace(q)
    first = np.argsort(-U, kind='stable')[:8]
    np.testing.assert_allclose(found[first], expected_of(reference, q)[first], rtol=1e-5)
    others = np.setdiff1d(np.arange(60), first)
    assert found[others].max() <= found[first].min()
    np.testing.assert_array_equal(np.argsort(found[others]), np.argsort(U[others]))


def test_a_removed_node_is_on_no_path_and_no_end():
    reference, embeddings = grown(30)
    reference.remove_node(13)
    q = reference.query(embeddings[10:15])
    found = reference.trace(q)
    assert found[13] == 0.0
    alive = reference.graph.node_ids()
    np.testing.assert_allclose(found[alive], expected_of(reference, q)[alive], rtol=1e-5)


def test_one_keyframe_or_no_weight_is_u_itself():
    reference, embeddings = grown(30)
    q = reference.query(embeddings[4:5])
    np.testing.assert_array_equal(reference.trace(q), reference.similarities(q)[0])
    plain = build_gnn(GNNConfig(embedding_dim=16, path_weight=0.0))
    other = ReferenceGraph(InferenceGNN.of(plain), reference.graph)
    q = other.query(embeddings[4:8])
    np.testing.assert_array_equal(other.trace(q), other.similarities(q)[-1])


def test_an_empty_map_answers_with_nothing():
    reference = ReferenceGraph(InferenceGNN.of(build_gnn(GNNConfig(embedding_dim=16))))
    assert reference.trace(reference.query(np.ones((3, 16), np.float32))).shape == (0,)
    node = reference.add_node(np.full(16, 0.25))
    reference.remove_node(node)
    assert reference.trace(reference.query(np.ones((3, 16), np.float32))).tolist() == [0.0]


def test_an_index_that_compared_nothing_answers_with_nothing(monkeypatch):
    """Beyond 100,000 nodes a search reads some lists only, and all in them may be removed."""
    reference, embeddings = grown(30)
    nothing = np.zeros(0, np.int64), np.zeros(0, np.float32)
    monkeypatch.setattr(reference._index, 'compared', lambda query: nothing)
    assert not reference.trace(reference.query(embeddings[4:8])).any()


def test_edges_by_kind():
    graph = EmbeddingPoseGraph(GNNConfig(embedding_dim=2))
    for _ in range(4):
        graph.add_node(np.array([0.6, 0.8]))
    graph.add_edge(0, 1, EdgeKind.ODOMETRY)
    graph.add_edge(0, 2, EdgeKind.COVISIBLE)
    graph.add_edge(1, 3, EdgeKind.LOOP)
    nodes = np.arange(4)
    assert graph.edge_index(nodes, PATH_EDGES).T.tolist() == [[1, 0], [0, 1], [3, 1], [1, 3]]
    nodes, neighbours = graph.surroundings(np.array([0, 2]), 1, PATH_EDGES)
    assert nodes.tolist() == [0, 2, 1]
    assert [set(row) for row in neighbours.T.tolist()] == [{0, 2}, {1}, {2}]  # 1 is not asked
    nodes, neighbours = graph.surroundings(np.array([0]), 3, PATH_EDGES)
    assert nodes.tolist() == [0, 1, 3]
    assert [set(row) for row in neighbours.T.tolist()] == [{0, 1}, {0, 1, 2}, {1, 2}]


def test_beyond_the_exact_search_paths_are_the_same(monkeypatch):
    """The 1,024 that a large map compares hold the best ones, and all that leads to these."""
    pytest.importorskip('faiss')
    reference, embeddings = grown(400, seed=1)
    q = reference.query(embeddings[200:205])
    expected = reference.trace(q)
    monkeypatch.setattr(reference._index, '_max_size', 300)
    node = reference.add_node(embeddings[0])  # makes the index an approximate one
    reference.remove_node(node)
    found = reference.trace(q)
    assert not reference.is_exact
    assert found.shape == (401,)
    assert found[node] == 0.0
    best = np.argsort(-expected)[:20]
    np.testing.assert_allclose(found[best], expected[best], rtol=2e-3)
    assert found.argmax() == expected.argmax() == 204
