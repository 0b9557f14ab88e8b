import pytest
import torch

from s3e_gnn_ros.encoder.vit import TransformerContext, VitEncoder
from s3e_gnn_ros.errors import ConfigError, InputError


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_input(batch=2, n=128, side=16):
    pixels = torch.randint(0, 256, (batch, n, 3, side, side), dtype=torch.uint8)
    return pixels, torch.rand(batch, n, 2) * torch.tensor([640, 480])


@pytest.mark.parametrize('side', [16, 32, 64])
def test_encoder_gives_unit_vectors(side):
    embedding, descriptors = VitEncoder(side)(*make_input(3, 10, side))
    assert embedding.shape == (3, 256)
    assert descriptors.shape == (3, 10, 256)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(descriptors.norm(dim=2), torch.ones(3, 10))


@pytest.mark.parametrize('n', [1, 5, 128, 1000])
def test_any_number_of_points(n):
    encoder = VitEncoder(16).eval()
    pixels, points_px = make_input(1, n)
    embedding, descriptors = encoder(pixels, points_px)
    assert embedding.isfinite().all()
    assert descriptors.shape == (1, n, 256)
    with pytest.raises(InputError, match=r'\(1, 0, 3, 16, 16\)'):
        encoder(pixels[:, :0], points_px[:, :0])


def test_order_of_points_does_not_matter_but_their_place_does():
    encoder = VitEncoder(16).eval()
    pixels, points_px = make_input(1)
    order = torch.randperm(128)
    embedding, descriptors = encoder(pixels, points_px)
    shuffled = encoder(pixels[:, order], points_px[:, order])
    torch.testing.assert_close(shuffled.embedding, embedding, atol=1e-6, rtol=0)
    torch.testing.assert_close(shuffled.descriptors, descriptors[:, order], atol=1e-6, rtol=0)
    elsewhere = encoder(pixels[:, order], points_px).embedding
    assert (elsewhere - embedding).abs().max() > 1e-4


@pytest.mark.parametrize('is_training', [True, False])
def test_a_batch_is_a_loop_of_singles(is_training):
    encoder = VitEncoder(16).train(is_training)
    pixels, points_px = make_input(4)
    batch = encoder(pixels, points_px)
    for i in range(4):
        single = encoder(pixels[i : i + 1], points_px[i : i + 1])
        torch.testing.assert_close(single.embedding[0], batch.embedding[i], atol=1e-6, rtol=0)


def test_training_and_evaluation_agree():
    encoder = VitEncoder(16)
    given = make_input()
    with torch.inference_mode():
        evaluated = encoder.eval()(*given).embedding
    torch.testing.assert_close(encoder.train()(*given).embedding, evaluated, atol=1e-6, rtol=0)


def test_training_reaches_every_parameter():
    encoder = VitEncoder(16)
    encoder(*make_input()).embedding[:, 0].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_gradients():
    context = TransformerContext(8, num_layers=1).double()
    torch.nn.init.normal_(context.last.weight)
    points_px = torch.rand(2, 5, 2, dtype=torch.float64) * 200
    features = torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: context(x, points_px), features)


def test_context_starts_at_zero_and_learns():
    context = TransformerContext(8)
    features, points_px = torch.randn(2, 30, 8), torch.rand(2, 30, 2) * 200
    added = context(features, points_px)
    assert added.shape == (2, 30, 8)
    assert (added == 0).all()
    (added - 1).square().sum().backward()
    assert context.last.weight.grad.abs().sum() > 0
    assert context(features[:, :1], points_px[:, :1]).isfinite().all()


def test_heads_divide_the_channels():
    with pytest.raises(ConfigError, match='30 channels'):
        VitEncoder(16, embedding_dim=30)
