"""The GNN on small graphs, against values worked out by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.graph.gnn import build_gnn
from s3e_gnn_ros.graph.gnn_config import FORMS, GNNConfig
from s3e_gnn_ros.graph.inference import InferenceGNN
from s3e_gnn_ros.graph.layers import PaperSageConv, SmoothingSageConv
from s3e_gnn_ros.graph.path import path_similarity
from s3e_gnn_ros.graph.query import inverse_cross_entropy

CONFIG = GNNConfig(embedding_dim=8, edge_dim=4)
NO_EDGES = torch.zeros((2, 0), dtype=torch.long)
# 0 - 1, 1 - 2, 1 - 3
EDGES = torch.tensor([[0, 1, 1, 2, 1, 3], [1, 0, 2, 1, 3, 1]])


def make_gnn(form='improved', seed=0):
    torch.manual_seed(seed)
    gnn = build_gnn(dataclasses.replace(CONFIG, form=form)).eval()
    for parameter in gnn.layers[-1].parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return gnn.requires_grad_(False)


def make_embeddings(num, dim=CONFIG.embedding_dim, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(num, dim, generator=generator), dim=1)


def test_paper_layer_by_hand():
    layer = PaperSageConv(1)
    with torch.no_grad():
        layer.own.weight.fill_(2.0)
        layer.own.bias.fill_(0.5)
        layer.neighbour.weight.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
    x = torch.tensor([[1.0], [2.0], [3.0], [5.0]])
    e = torch.cat([x[EDGES[1]], x[EDGES[0]]], dim=1)
    # Node 1: 2 * 2 + .5 + mean over j of x_j + 10 x_1 + 100 x_j, the mean of x_j being 3.
    expected = [2.5 + 2 + 10 + 200, 4.5 + 3 + 20 + 300, 6.5 + 2 + 30 + 200, 10.5 + 2 + 50 + 200]
    assert layer(x, EDGES, e)[:, 0].tolist() == pytest.approx(expected)


def test_smoothing_layer_by_hand():
    layer = SmoothingSageConv(1)
    with torch.no_grad():
        layer.gate.bias.fill_(0.0)
        layer.gate.weight.fill_(1.0)
    x = torch.eye(4)
    e = torch.tensor([[0.0], [50.0], [0.0], [0.0], [0.0], [-50.0]])
    # Node 1: itself, 0 and 2 with half a gate, 3 with none; all of strength 2.
    mixed = torch.tensor([[1, 2, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 1, 0, 1.0]])
    expected = mixed / mixed.norm(dim=1, keepdim=True)
    torch.testing.assert_close(layer(x, EDGES, e, torch.tensor(2.0)), expected)


def test_paper_form_reaches_half_to_one():
    m = torch.sigmoid(make_gnn('paper')(make_embeddings(4), EDGES))
    assert m.min() >= 0.5
    assert m.max() < 1.0


def test_paper_form_without_edges_is_three_linear_layers():
    gnn = make_gnn('paper')
    x = embeddings = make_embeddings(3)
    for layer in gnn.layers:
        x = torch.relu(layer.own(x))
    torch.testing.assert_close(gnn(embeddings, NO_EDGES), x)


def test_without_edges_it_ranks_as_the_cosine():
    embeddings = make_embeddings(300, 256)
    gnn = build_gnn(GNNConfig())
    with torch.no_grad():
        logits = gnn(embeddings, NO_EDGES)
        U = inverse_cross_entropy(gnn.query_probabilities(logits[:1]), logits)[0]
    torch.testing.assert_close(logits, 2.0 * embeddings)
    cosine = embeddings @ embeddings[0]
    assert U[0] == pytest.approx(1.0)
    ranks = torch.stack([U.argsort().argsort(), cosine.argsort().argsort()]).double()
    assert torch.corrcoef(ranks)[0, 1] > 0.998


def test_improved_layers_are_gated_averages():
    """Two nodes at a right angle, gates of which a hand can compute the opening."""
    gnn = build_gnn(GNNConfig(embedding_dim=2, edge_dim=1, logit_scale=3.0))
    embeddings = torch.eye(2)
    x = torch.eye(2)
    for layer, log_strength in zip(gnn.layers, gnn.log_strength, strict=True):
        gate = 1.0 / (1.0 + math.exp(-layer.gate.bias.item()))  # the cosine is 0
        with torch.no_grad():
            layer.gate.weight.zero_()
        mixed = x + log_strength.exp().item() * gate * x.flip(0)
        x = mixed / mixed.norm(dim=1, keepdim=True)
    with torch.no_grad():
        logits = gnn(embeddings, torch.tensor([[0, 1], [1, 0]]))
    torch.testing.assert_close(logits, 3.0 * x)


def test_a_query_is_not_averaged():
    gnn, embeddings = build_gnn(GNNConfig(embedding_dim=8)), make_embeddings(4)
    with torch.no_grad():
        torch.testing.assert_close(gnn.query_logits(embeddings, EDGES), 2.0 * embeddings)
        assert not torch.allclose(gnn(embeddings, EDGES), 2.0 * embeddings)


@pytest.mark.parametrize('form', FORMS)
def test_one_node_and_no_node(form):
    gnn = make_gnn(form)
    assert gnn(make_embeddings(1), NO_EDGES).shape == (1, 8)
    assert gnn(make_embeddings(0), NO_EDGES).shape == (0, 8)


@pytest.mark.parametrize('form', FORMS)
def test_order_of_nodes_and_edges_does_not_matter(form):
    gnn, embeddings = make_gnn(form), make_embeddings(4)
    order = torch.tensor([2, 0, 3, 1])
    position = order.argsort()
    moved = position[EDGES][:, [5, 2, 0, 4, 1, 3]]
    torch.testing.assert_close(gnn(embeddings[order], moved), gnn(embeddings, EDGES)[order])


@pytest.mark.parametrize('form', FORMS)
def test_batch_equals_one_by_one(form):
    gnn, embeddings = make_gnn(form), make_embeddings(8)
    both = gnn(embeddings, torch.cat([EDGES, EDGES + 4], dim=1))
    each = torch.cat([gnn(embeddings[:4], EDGES), gnn(embeddings[4:], EDGES)])
    torch.testing.assert_close(both, each)


@pytest.mark.parametrize('form', FORMS)
def test_reaches_three_hops(form):
    gnn, embeddings = make_gnn(form), make_embeddings(5)
    chain = torch.tensor([[0, 1, 2, 3, 1, 2, 3, 4], [1, 2, 3, 4, 0, 1, 2, 3]])
    before = gnn(embeddings, chain)
    embeddings[0] = -embeddings[0]
    change = (gnn(embeddings, chain) - before).abs().amax(dim=1)
    assert (change[:4] > 0.0).all()
    assert change[4] == 0.0


@pytest.mark.parametrize('num', [1, 2, 20, 200])
@pytest.mark.parametrize('form', FORMS)
def test_inference_equals_the_modules(form, num):
    gnn, embeddings = make_gnn(form), make_embeddings(num)
    edges = torch.unique(torch.randint(num, (2, 4 * num)), dim=1)
    edges = edges[:, edges[0] != edges[1]]
    logits = InferenceGNN.of(gnn).logits(embeddings.numpy(), edges.numpy())
    np.testing.assert_allclose(logits, gnn(embeddings, edges).numpy(), atol=1e-5)


def test_inference_of_some_nodes_and_of_none():
    gnn, embeddings = make_gnn(), make_embeddings(20)
    edges = torch.unique(torch.randint(20, (2, 60)), dim=1)
    edges = edges[:, edges[0] != edges[1]]
    given = embeddings.numpy(), edges.numpy()
    wanted = np.array([3, 0, 19])
    logits = InferenceGNN.of(gnn).logits(*given, wanted)
    np.testing.assert_allclose(logits, gnn(embeddings, edges).numpy()[wanted], atol=1e-5)
    assert InferenceGNN.of(gnn).logits(*given, wanted[:0]).shape == (0, 8)
    assert InferenceGNN.of(gnn).logits(given[0][:0], NO_EDGES.numpy()).shape == (0, 8)


@pytest.mark.parametrize('form', FORMS)
def test_query_sub_graph_is_a_chain(form):
    gnn, embeddings = make_gnn(form), make_embeddings(3)
    chain = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    expected = gnn.query_probabilities(gnn.query_logits(embeddings, chain))
    q = InferenceGNN.of(gnn).query(embeddings.numpy())
    np.testing.assert_allclose(q, expected.numpy(), atol=1e-5)
    assert InferenceGNN.of(gnn).query(embeddings[:1].numpy()).shape == (1, 8)


def test_every_parameter_learns():
    gnn, embeddings = make_gnn().requires_grad_(True), make_embeddings(4)
    q = gnn.query_probabilities(gnn.query_logits(embeddings[:3], EDGES[:, :2] % 3))
    U = inverse_cross_entropy(q, gnn(embeddings, EDGES))
    path_similarity(U[None], EDGES, gnn.path_weight).square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in gnn.parameters())


def test_config_round_trip_and_errors():
    config = GNNConfig(form='paper', window=3)
    assert GNNConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ConfigError, match="form of the GNN is 'other'"):
        GNNConfig(form='other')
    with pytest.raises(ConfigError, match='window of the GNN is 0'):
        GNNConfig(window=0)
    with pytest.raises(ConfigError, match='eta of the GNN is nan'):
        GNNConfig(eta=float('nan'))
    with pytest.raises(ConfigError, match='min_covisible_similarity of the GNN is 2'):
        GNNConfig(min_covisible_similarity=2)
    with pytest.raises(ConfigError, match="unknown name 'colour'"):
        GNNConfig.from_dict({'colour': 1})


@pytest.mark.parametrize(
    ('form', 'path_weight'), [('improved', 0.4), ('improved', 0.0), ('paper', 0.0)]
)
def test_inference_reads_the_weights_that_the_modules_have(form, path_weight):
    config = dataclasses.replace(CONFIG, form=form, path_weight=path_weight)
    gnn = build_gnn(config)
    shapes = {name: tuple(value.shape) for name, value in gnn.state_dict().items()}
    assert InferenceGNN.shapes(config) == shapes
    assert InferenceGNN.of(gnn).path_weight == pytest.approx(path_weight)
