"""Correspondences by hand."""

import torch

from s3e_gnn_ros.training.correspondences import correspondences

NAN = float('nan')


def points(*x):
    return torch.tensor([[value, 0.0, 0.0] for value in x])


def test_mutually_nearest_within_the_tolerance():
    a, b = points(0, 10, 20, 21), points(20.4, 0.5, 14)
    ones = torch.ones(4)
    # 10 is too far from 14; 20 and 21 both want 20.4, which prefers 20.
    assert correspondences(a, ones, b, ones[:3], 2.0).tolist() == [1, -1, 0, -1]


def test_the_coarser_view_decides_the_tolerance():
    a, b = points(0.0), points(3.0)
    one = torch.ones(1)
    assert correspondences(a, one, b, one, 2.0).tolist() == [-1]
    assert correspondences(a, one, b, 2 * one, 2.0).tolist() == [0]
    assert correspondences(a, 2 * one, b, one, 2.0).tolist() == [0]


def test_unknown_landmarks_match_nothing():
    a = points(0.0, NAN)
    spacing = torch.tensor([1.0, NAN])
    assert correspondences(a, spacing, a, spacing, 2.0).tolist() == [0, -1]
    assert correspondences(a[1:], spacing[1:], a, spacing, 2.0).tolist() == [-1]


def test_of_patches_at_one_point_the_one_of_the_same_scale():
    a, b = points(5.0), points(5.0, 5.0, 5.2)
    extent_a, extent_b = torch.tensor([40.0]), torch.tensor([90.0, 42.0, 40.0])
    matches = correspondences(a, torch.ones(1), b, torch.ones(3), 2.0, extent_a, extent_b)
    assert matches.tolist() == [1]
    matches = correspondences(a, torch.ones(1), b[:1], torch.ones(1), 2.0, extent_a, extent_b[:1])
    assert matches.tolist() == [-1]


def test_a_batch_is_its_singles():
    generator = torch.Generator().manual_seed(0)
    a, b = (
        torch.rand(3, 2, 20, 3, generator=generator),
        torch.rand(3, 2, 15, 3, generator=generator),
    )
    spacing_a, spacing_b = torch.full((3, 2, 20), 0.1), torch.full((3, 2, 15), 0.1)
    batch = correspondences(a, spacing_a, b, spacing_b, 3.0)
    assert (batch >= 0).any()
    for i in range(3):
        for j in range(2):
            one = correspondences(a[i, j], spacing_a[i, j], b[i, j], spacing_b[i, j], 3.0)
            assert torch.equal(one, batch[i, j])
