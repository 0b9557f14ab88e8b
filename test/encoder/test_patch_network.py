import pytest
import torch

from s3e_gnn_ros.encoder.patch_network import PatchNetwork, normalise_patches


@pytest.mark.parametrize('size', [16, 32])
def test_descriptors_are_unit_vectors(size):
    network = PatchNetwork(size).eval()
    pixels = torch.randint(0, 256, (5, 1, size, size), dtype=torch.uint8)
    descriptors = network(pixels)
    assert descriptors.shape == (5, 128)
    assert torch.allclose(descriptors.norm(dim=1), torch.ones(5), atol=1e-5)


def test_exposure_does_not_change_a_patch():
    patch = torch.rand(1, 1, 16, 16) * 100.0
    other = 1.5 * patch + 20.0
    assert torch.allclose(normalise_patches(patch), normalise_patches(other), atol=0.05)


def test_a_patch_of_one_colour_is_zero_and_its_descriptor_finite():
    pixels = torch.full((1, 1, 16, 16), 77, dtype=torch.uint8)
    assert (normalise_patches(pixels) == 0).all()
    assert PatchNetwork(16).eval()(pixels).isfinite().all()


def test_each_patch_is_embedded_by_itself():
    network = PatchNetwork(16).eval()
    pixels = torch.randint(0, 256, (6, 1, 16, 16), dtype=torch.uint8)
    together = network(pixels)
    apart = torch.cat([network(pixels[i : i + 1]) for i in range(6)])
    assert torch.allclose(together, apart, atol=1e-5)
