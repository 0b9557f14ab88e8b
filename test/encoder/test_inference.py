"""The form of the improved encoder that runs on the robot gives what the trained module gives."""

import numpy as np
import pytest
import torch

from s3e_gnn_ros.encoder import inference
from s3e_gnn_ros.encoder.encoder_config import BACKBONES, EncoderConfig
from s3e_gnn_ros.encoder.inference import inference_form
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.sparse_tensor import cells_of_points, find_neighbours


def trained(config):
    """Make an encoder in which nothing is zero or one any more."""
    torch.manual_seed(0)
    encoder = build_encoder(config).eval()
    state = {
        name: torch.rand_like(value) + 0.5
        if 'running_var' in name
        else 0.3 * torch.randn_like(value)
        for name, value in encoder.state_dict().items()
        if value.is_floating_point()
    }
    encoder.load_state_dict(state, strict=False)
    return encoder.requires_grad_(False)


def patches(num, config, rng):
    side = config.sampled_size_px
    pixels = rng.integers(0, 256, (1, num, config.num_scales, side, side), dtype=np.uint8)
    pixels[0, 0] = 90  # nothing in it
    points_px = rng.uniform(-5, 640, (1, num, 2)).astype(np.float32)
    return torch.from_numpy(pixels), torch.from_numpy(points_px)


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize(('side', 'num_scales', 'num'), [(16, 2, 128), (32, 1, 5), (8, 3, 1)])
def test_equals_the_module(backbone, side, num_scales, num):
    config = EncoderConfig(backbone, num_scales=num_scales, sampled_size_px=side)
    encoder = trained(config)
    given = patches(num, config, np.random.default_rng(0))
    before = given[0].clone()
    for fast, slow in zip(inference_form(encoder)(*given), encoder(*given), strict=True):
        assert fast.shape == slow.shape
        np.testing.assert_allclose(fast, slow, atol=1e-5)
    assert (given[0] == before).all()


def test_the_paper_s_form_stays_as_it_is():
    encoder = build_encoder(EncoderConfig(form='paper', patch_size_px=16)).eval()
    assert inference_form(encoder) is encoder


def test_weights_are_copied():
    config = EncoderConfig()
    encoder = trained(config)
    given = patches(20, config, np.random.default_rng(0))
    fast = inference_form(encoder)
    before = fast(*given).embedding.clone()
    encoder.load_state_dict({name: v + 1 for name, v in encoder.state_dict().items()})
    np.testing.assert_allclose(fast(*given).embedding, before, atol=1e-6)


def test_the_table_holds_the_pairs_of_the_kernel_map():
    points_px = np.random.default_rng(0).uniform(-100, 640, (90, 2)).astype(np.float32)
    cells = cells_of_points(torch.from_numpy(points_px)[None], 32)
    pairs = find_neighbours(cells, 3)
    table, cell_of_point = inference._neighbour_table(points_px, 32)
    np.testing.assert_array_equal(cell_of_point, cells.cell_of_point)
    offset, output = np.nonzero(len(cells.keys) > table.T)
    np.testing.assert_array_equal(output, pairs.outputs)
    np.testing.assert_array_equal(table[output, offset], pairs.inputs)
    assert np.bincount(offset, minlength=9).tolist() == pairs.counts
