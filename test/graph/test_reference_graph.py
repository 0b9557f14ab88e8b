"""The reference graph, updated bit by bit, equals the one computed at once."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind, EmbeddingPoseGraph
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import FORMS, GNNConfig
from s3e_gnn_ros.graph.inference import InferenceGNN
from s3e_gnn_ros.graph.query import inverse_cross_entropy
from s3e_gnn_ros.graph.reference_graph import ReferenceGraph

DIM = 8


def make_gnn(form='improved'):
    torch.manual_seed(0)
    config = GNNConfig(form, DIM, edge_dim=4, max_covisible=3, max_loops=2)
    gnn = build_gnn(config).eval()
    for parameter in gnn.layers[-1].parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return gnn.requires_grad_(False)


GNNS = {form: make_gnn(form) for form in FORMS}
FROZEN = {form: InferenceGNN.of(gnn) for form, gnn in GNNS.items()}


def embedding(rng):
    vector = rng.standard_normal(DIM)
    return vector / np.linalg.norm(vector)


def at_once(gnn, graph, q):
    """Return U of all numbers, computed without any of the incremental machinery."""
    nodes = graph.node_ids()
    logits = gnn(
        torch.from_numpy(graph.embeddings(nodes)), torch.from_numpy(graph.edge_index(nodes))
    )
    config = gnn.config
    U = np.zeros((len(q), graph.num_ids), dtype=np.float32)
    U[:, nodes] = inverse_cross_entropy(torch.from_numpy(q), logits, config.eta, config.form)
    U[:, nodes[graph.is_blank(nodes)]] = 0.0
    return U


def change(reference, rng):
    """Do one thing that may happen to a map."""
    nodes = reference.graph.node_ids()
    kind = rng.choice(['node', 'edge', 'remove edge', 'remove node'], p=[0.45, 0.35, 0.1, 0.1])
    if kind == 'node' or len(nodes) < 2:
        is_blank = rng.random() < 0.1
        node = reference.add_node(np.zeros(DIM) if is_blank else embedding(rng))
        if node - 1 in reference.graph:
            reference.add_edge(node - 1, node, EdgeKind.ODOMETRY)
        return
    first, second = (int(node) for node in rng.choice(nodes, 2, replace=False))
    if kind == 'edge':
        reference.add_edge(first, second, EdgeKind(int(rng.integers(1, 3))))
    elif kind == 'remove node':
        reference.remove_node(first)
    elif reference.graph.neighbours(first):
        reference.remove_edge(first, reference.graph.neighbours(first)[0])


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    num_changes=st.integers(1, 60),
    per_update=st.integers(1, 8),
    form=st.sampled_from(FORMS),
)
def test_any_history_equals_a_full_recompute(seed, num_changes, per_update, form):
    rng = np.random.default_rng(seed)
    reference = ReferenceGraph(FROZEN[form])
    q = reference.query(np.stack([embedding(rng) for _ in range(3)]).astype(np.float32))
    for index in range(num_changes):
        change(reference, rng)
        if index % per_update == 0:
            reference.update()
    expected = at_once(GNNS[form], reference.graph, q)
    np.testing.assert_allclose(reference.similarities(q), expected, atol=1e-5)
    loaded = ReferenceGraph(FROZEN[form], reference.graph)
    np.testing.assert_allclose(loaded.similarities(q), expected, atol=1e-5)


def test_only_three_hops_are_computed():
    rng = np.random.default_rng(0)
    reference = ReferenceGraph(FROZEN['improved'])
    for node in range(40):
        reference.add_node(embedding(rng))
        if node:
            reference.add_edge(node - 1, node, EdgeKind.ODOMETRY)
    assert reference.update() == 40
    assert reference.update() == 0
    node = reference.add_node(embedding(rng))
    reference.add_edge(39, node, EdgeKind.ODOMETRY)
    assert reference.update() == 4
    reference.add_edge(5, 25, EdgeKind.LOOP)
    assert reference.update() == 10
    reference.remove_node(30)
    assert reference.update() == 6


@pytest.mark.parametrize('form', FORMS)
def test_search_agrees_with_all_similarities(form):
    rng = np.random.default_rng(1)
    reference = ReferenceGraph(FROZEN[form])
    for node in range(50):
        reference.add_node(embedding(rng))
        if node:
            reference.add_edge(node - 1, node, EdgeKind.ODOMETRY)
    reference.remove_node(7)
    q = reference.query(reference.graph.embeddings(np.array([6, 7, 8])))
    U = reference.similarities(q)
    found, nodes = reference.search(q, 5)
    order = np.argsort(-U, axis=1)[:, :5]
    np.testing.assert_array_equal(nodes, order)
    np.testing.assert_allclose(found, np.take_along_axis(U, order, 1), rtol=1e-6)
    assert U[0, 7] == 0.0
    assert 7 not in reference.search(q, 60)[1]
    assert reference.search(q, 60)[0].min() == 0.0


def test_empty_and_removed():
    reference = ReferenceGraph(FROZEN['improved'])
    q = reference.query(np.ones((1, DIM), dtype=np.float32))
    assert reference.similarities(q).shape == (1, 0)
    assert reference.search(q, 2)[1].tolist() == [[-1, -1]]
    reference.add_node(np.full(DIM, DIM**-0.5))
    reference.remove_node(0)
    assert reference.similarities(q).tolist() == [[0.0]]
    assert len(reference) == 0


def test_a_blank_node_is_not_found_and_not_joined():
    rng = np.random.default_rng(2)
    reference = ReferenceGraph(FROZEN['improved'])
    for node in range(6):
        reference.add_node(np.zeros(DIM) if node == 3 else embedding(rng))
    assert not reference.add_edge(2, 3, EdgeKind.ODOMETRY)
    edges, kinds = np.array([[2, 4], [3, 4]]), [EdgeKind.LOOP, EdgeKind.LOOP]
    assert reference.add_edges(edges, kinds).tolist() == [True, False]
    assert reference.graph.is_blank(np.arange(6)).tolist() == [node == 3 for node in range(6)]
    q = reference.query(reference.graph.embeddings(np.array([2, 4])))
    assert (reference.similarities(q)[:, 3] == 0.0).all()
    assert 3 not in reference.search(q, 6)[1]
    reference.remove_node(3)
    assert len(reference) == 5
    assert (reference.similarities(q) > 0.0).sum(axis=1).tolist() == [5, 5]


def test_under_two_kilobytes_per_keyframe():
    config = GNNConfig()
    graph = EmbeddingPoseGraph(config)
    for _ in range(2048):
        graph.add_node(np.zeros(config.embedding_dim))
    reference = ReferenceGraph(InferenceGNN.of(build_gnn(config)), graph)
    reference.update()
    assert reference.num_bytes / len(reference) < 2000
