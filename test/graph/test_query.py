"""Eq. 2 by hand, and as an inner product."""

import math

import pytest
import torch

from s3e_gnn_ros.graph.query import (
    chain_edge_index,
    index_queries,
    index_vectors,
    inverse_cross_entropy,
    similarity,
)


def logit(p):
    p = torch.as_tensor(p)
    return torch.log(p / (1.0 - p))


def test_paper_form_by_hand():
    q = torch.tensor([[0.5, 1.0]])
    m = torch.tensor([[0.5, 0.5], [0.25, 0.9]])
    U = inverse_cross_entropy(q, logit(m), eta=0.1, form='paper')
    expected = [
        1.0 / (0.1 + 1.5 * math.log(2.0)),
        1.0 / (0.1 + 0.5 * math.log(4.0) - math.log(0.9)),
    ]
    assert U.tolist() == [pytest.approx(expected, rel=1e-5)]


def test_improved_form_by_hand():
    q = torch.tensor([[0.5, 0.2]])
    m = torch.tensor([[0.5, 0.2], [0.75, 0.2], [0.5, 0.8]])
    U = inverse_cross_entropy(q, logit(m), eta=0.5)
    # KL of the components that differ: .5 log(.5 / .75) + .5 log(.5 / .25), .6 log 4.
    divergences = [0.0, 0.5 * math.log(4 / 3), 0.6 * math.log(4.0)]
    assert U.tolist() == [pytest.approx([1.0 / (0.5 + each) for each in divergences], rel=1e-5)]


def test_all_ones_attract_only_in_the_paper_form():
    q = torch.tensor([[0.9, 0.2, 0.8]])
    logits = torch.stack([logit(q[0]), torch.full((3,), 20.0)])
    paper = inverse_cross_entropy(q, logits, form='paper')[0]
    improved = inverse_cross_entropy(q, logits)[0]
    assert paper[1] > paper[0]
    assert improved[0] > improved[1]


@pytest.mark.parametrize('form', ['improved', 'paper'])
def test_inner_product_gives_the_same(form):
    generator = torch.Generator().manual_seed(0)
    logits = 3.0 * torch.randn(7, 16, generator=generator)
    q = torch.sigmoid(torch.randn(3, 16, generator=generator))
    m = torch.sigmoid(logits)
    one_sided = -(q @ m.log().T)
    other = -((1.0 - q) @ (1.0 - m).log().T)
    entropy = -(q * q.log() + (1.0 - q) * (1.0 - q).log()).sum(dim=1, keepdim=True)
    loss = one_sided if form == 'paper' else one_sided + other - entropy
    scores = index_queries(q, form) @ index_vectors(logits, form).T
    torch.testing.assert_close(similarity(scores, q, 1.0, form), 1.0 / (1.0 + loss))


@pytest.mark.parametrize('form', ['improved', 'paper'])
def test_extreme_logits_stay_finite_and_differentiable(form):
    logits = torch.tensor([[200.0, -200.0], [0.0, 0.0]], requires_grad=True)
    q = torch.sigmoid(torch.tensor([[200.0, -200.0], [1.0, -1.0]]))
    U = inverse_cross_entropy(q, logits, form=form)
    U.sum().backward()
    assert torch.isfinite(U).all()
    assert torch.isfinite(logits.grad).all()
    assert U.min() > 0.0
    assert U.max() <= 1.0


def test_small_logits_compare_as_squared_distance():
    generator = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(5, 64, generator=generator)
    U = inverse_cross_entropy(torch.sigmoid(x), x)
    expected = 1.0 / (1.0 + torch.cdist(x, x).square() / 8.0)
    torch.testing.assert_close(U, expected, atol=1e-3, rtol=0.0)


def test_chain():
    assert chain_edge_index(1).shape == (2, 0)
    assert chain_edge_index(3).tolist() == [[0, 1, 1, 2], [1, 2, 0, 1]]
