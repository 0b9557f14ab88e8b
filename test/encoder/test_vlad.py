import pytest
import torch

from s3e_gnn_ros.encoder.vlad import VladHead


def test_aggregate_equals_the_sum_over_patches_and_centres():
    torch.manual_seed(0)
    head = VladHead(descriptor_dim=6, num_centres=3, embedding_dim=2, reduced_dim=4).double()
    descriptors = torch.randn(1, 5, 6, dtype=torch.float64)
    expected = torch.zeros(3, 4, dtype=torch.float64)
    for d in head.reduce(descriptors)[0]:
        # The nearest centre in Euclidean distance has the largest share.
        logits = -0.5 * head.sharpness * ((d - head.centres) ** 2).sum(dim=1)
        share = torch.softmax(logits, dim=0)
        for k in range(3):
            expected[k] += share[k] * (d - head.centres[k])
    expected = torch.nn.functional.normalize(expected, dim=1).flatten()
    expected = expected / expected.norm()
    assert torch.allclose(head.aggregate(descriptors)[0], expected, atol=1e-12)


def test_reduction_keeps_the_principal_directions():
    torch.manual_seed(2)
    head = VladHead(6, 3, 2, reduced_dim=2)
    descriptors = torch.randn(500, 6) * torch.tensor([0.1, 3.0, 0.1, 0.1, 2.0, 0.1])
    head.set_reduction(descriptors)
    kept = head.reduction.weight.square().sum(dim=0)  # share of each input that is kept
    assert torch.allclose(kept, torch.tensor([0, 1, 0, 0, 1, 0.0]), atol=0.02)


def test_order_of_patches_does_not_matter():
    head = VladHead(8, 4, 6, 5)
    descriptors = torch.nn.functional.normalize(torch.randn(2, 10, 8), dim=2)
    shuffled = descriptors[:, torch.randperm(10)]
    assert torch.allclose(head(descriptors), head(shuffled), atol=1e-5)


def test_whitening_gives_each_direction_the_same_variance():
    torch.manual_seed(1)
    head = VladHead(3, 4, 5, 3)
    vlads = torch.randn(400, 12) * torch.linspace(0.1, 3.0, 12) + 2.0
    head.set_whitening(vlads, damping=0.0)
    projected = head.projection(vlads)
    assert torch.allclose(projected.mean(dim=0), torch.zeros(5), atol=1e-4)
    covariance = projected.T @ projected / 399
    assert torch.allclose(covariance, torch.eye(5), atol=1e-3)


@pytest.mark.parametrize('num', [1, 7, 300])
def test_any_number_of_patches_gives_a_unit_embedding(num):
    head = VladHead(8, 4, 6, 5)
    embedding = head(torch.nn.functional.normalize(torch.randn(3, num, 8), dim=2))
    assert embedding.shape == (3, 6)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(3), atol=1e-5)
