"""Losses by hand."""

import math

import pytest
import torch

from s3e_gnn_ros.training.local_loss import (
    close_patches,
    local_correspondence_loss,
    match_accuracy,
)
from s3e_gnn_ros.training.losses import (
    bin_weights,
    info_nce,
    multi_similarity_loss,
    pair_overlap,
    shrinkage_loss,
)


def unit(*angles_deg):
    """Unit vectors in the plane."""
    angles = torch.deg2rad(torch.tensor(angles_deg, dtype=torch.float64))
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def test_shrinkage_loss_by_hand():
    predicted, target = torch.tensor([0.9, 0.2]), torch.tensor([0.4, 0.1])
    by_hand = [0.25 / (1 + math.exp(10 * (0.2 - 0.5))), 0.01 / (1 + math.exp(10 * (0.2 - 0.1)))]
    assert float(shrinkage_loss(predicted, target)) == pytest.approx(sum(by_hand) / 2)
    weighted = shrinkage_loss(predicted, target, weight=torch.tensor([3.0, 1.0]))
    assert float(weighted) == pytest.approx((3 * by_hand[0] + by_hand[1]) / 4)


def test_shrinkage_loss_is_zero_where_it_is_exact():
    assert float(shrinkage_loss(torch.ones(3), torch.ones(3))) == 0.0
    assert float(shrinkage_loss(torch.ones(1), torch.zeros(1), weight=torch.zeros(1))) == 0.0


def test_bins_weigh_the_same():
    overlap = torch.tensor([0.0, 0.01, 0.02, 0.55, 1.0, 1.0])
    weights = bin_weights(overlap)
    assert weights[:3].sum() == pytest.approx(2.0)
    assert weights[3] == pytest.approx(2.0)
    assert weights[4:].sum() == pytest.approx(2.0)
    assert torch.equal(bin_weights(overlap, num_bins=1), torch.ones(6))


def test_overlap_between_groups_is_zero():
    overlap = torch.tensor([[[1.0, 0.4], [0.6, 1.0]], [[1.0, 0.0], [0.0, 1.0]]])
    full, known = pair_overlap(overlap)
    assert full[0, 1] == full[1, 0] == pytest.approx(0.5)
    assert full[:2, 2:].eq(0).all()
    assert torch.equal(known, ~torch.eye(4, dtype=torch.bool))


def test_info_nce_by_hand():
    # Views 0 and 1 share a place; 2 is elsewhere; 3 overlaps 0 a little, which counts as nothing.
    embeddings = unit(0.0, 60.0, 90.0, 180.0)
    overlap = torch.zeros(4, 4, dtype=torch.float64)
    overlap[0, 1] = overlap[1, 0] = 0.5
    overlap[0, 3] = overlap[3, 0] = 0.1
    known = ~torch.eye(4, dtype=torch.bool)
    loss = info_nce(embeddings, overlap, known, temperature=0.5)
    cos30 = math.cos(math.radians(30))
    first = -math.log(math.exp(1.0) / (math.exp(1.0) + math.exp(0.0)))
    second = -math.log(
        math.exp(1.0) / (math.exp(1.0) + math.exp(cos30 / 0.5) + math.exp(-0.5 / 0.5))
    )
    assert float(loss) == pytest.approx((first + second) / 2)


def test_info_nce_weighs_positives_by_overlap():
    embeddings = unit(0.0, 30.0, 80.0, 180.0)
    overlap = torch.zeros(4, 4, dtype=torch.float64)
    overlap[0, 1], overlap[0, 2] = 0.9, 0.3  # only view 0 has positives
    known = ~torch.eye(4, dtype=torch.bool)
    loss = info_nce(embeddings, overlap, known, temperature=1.0)
    terms = [math.log1p(math.exp(-1.0 - math.cos(math.radians(angle)))) for angle in (30.0, 80.0)]
    assert float(loss) == pytest.approx((0.9 * terms[0] + 0.3 * terms[1]) / 1.2)


@pytest.mark.parametrize('loss', [info_nce, multi_similarity_loss])
def test_no_positive_is_no_error(loss):
    embeddings = unit(0.0, 90.0).requires_grad_()
    value = loss(embeddings, torch.zeros(2, 2), ~torch.eye(2, dtype=torch.bool))
    value.backward()
    assert torch.isfinite(embeddings.grad).all()


def test_multi_similarity_by_hand():
    embeddings = unit(0.0, 60.0, 90.0)
    overlap = torch.zeros(3, 3)
    overlap[0, 1] = overlap[1, 0] = 1.0
    loss = multi_similarity_loss(embeddings, overlap, ~torch.eye(3, dtype=torch.bool))
    pull = math.log1p(math.exp(-2 * 0.0)) / 2
    away = math.log1p(math.exp(40 * (0.0 - 0.5))) / 40
    near = math.log1p(math.exp(40 * (math.cos(math.radians(30)) - 0.5))) / 40
    both = math.log1p(math.exp(-20.0) + math.exp(40 * (math.cos(math.radians(30)) - 0.5))) / 40
    assert float(loss) == pytest.approx((pull + away + pull + near + both) / 3, rel=1e-5)


def test_close_patches():
    a = torch.tensor([[[0.0, 0.0, 0.0]]])
    b = torch.tensor([[[3.0, 4.0, 0.0], [6.0, 8.0, 0.0], [float('nan')] * 3]])
    close = close_patches(a, torch.ones(1, 1), b, torch.tensor([[2.0, 2.0, 2.0]]), 2.5)
    assert close.tolist() == [[[True, False, True]]]


def test_local_loss_by_hand():
    # Group 0: patch 0 matches patch 1 of b; patch 1 matches nothing. Group 1: nothing matches.
    a = torch.stack([unit(0.0, 40.0), unit(200.0, 220.0)])
    b = torch.stack([unit(90.0, 10.0), unit(60.0, 180.0)])
    matches = torch.tensor([[1, -1], [-1, -1]])
    close = torch.zeros(2, 2, 2, dtype=torch.bool)
    close[0, 0, 1] = True  # the match itself stays a candidate
    cosines = [math.cos(math.radians(angle)) for angle in (90.0, 10.0, 60.0, 180.0)]
    loss = local_correspondence_loss(a, b, matches, close, temperature=0.5)
    total = sum(math.exp(c / 0.5) for c in cosines)
    assert float(loss) == pytest.approx(-math.log(math.exp(cosines[1] / 0.5) / total))
    close[0, 0, 0] = True  # and a near one is none
    loss = local_correspondence_loss(a, b, matches, close, temperature=0.5)
    total -= math.exp(cosines[0] / 0.5)
    assert float(loss) == pytest.approx(-math.log(math.exp(cosines[1] / 0.5) / total))


def test_local_loss_without_a_match():
    a = unit(0.0, 10.0)[None].requires_grad_()
    none = torch.full((1, 2), -1)
    loss = local_correspondence_loss(a, a, none, torch.zeros(1, 2, 2, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert a.grad.eq(0).all()


def test_match_accuracy():
    a, b = unit(0.0, 50.0, 100.0)[None], unit(1.0, 90.0, 51.0)[None]
    matches = torch.tensor([[0, 1, -1]])
    close = torch.zeros(1, 3, 3, dtype=torch.bool)
    assert float(match_accuracy(a, b, matches, close)) == 0.5
    close[0, 1, 2] = True  # the nearest lies where the match does
    assert float(match_accuracy(a, b, matches, close)) == 1.0
