import pytest
import torch

from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.minkowski import MinkowskiEncoder, import_minkowski
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.sparse_conv import SparseConvEncoder
from s3e_gnn_ros.errors import ConfigError, DependencyError

try:
    import_minkowski()
    HAS_MINKOWSKI = True
except DependencyError:
    HAS_MINKOWSKI = False

PAPER = EncoderConfig(backbone='sparse_conv', form='paper', patch_size_px=32, num_patches=128)

needs_minkowski = pytest.mark.skipif(
    not HAS_MINKOWSKI, reason='needs MinkowskiEngine: make test-minkowski'
)

# MinkowskiEngine 0.5.4 uses torch in ways that have been deprecated since.
pytestmark = [
    pytest.mark.filterwarnings('ignore:.*should not be instantiated:DeprecationWarning'),
    pytest.mark.filterwarnings('ignore:torch.sparse.SparseTensor.*is deprecated:UserWarning'),
]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_input(batch, n, side, is_clustered):
    pixels = torch.randint(0, 256, (batch, n, 3, side, side), dtype=torch.uint8)
    extent = torch.tensor([160, 120] if is_clustered else [640, 480])
    return pixels, torch.rand(batch, n, 2) * extent


def make_pair(side, dtype):
    """Both backends with the same weights, which are not those they start with."""
    plain = SparseConvEncoder(side).to(dtype)
    for _ in range(3):
        plain(*make_input(4, 32, side, is_clustered=True))
    engine = MinkowskiEncoder(side).to(dtype)
    engine.load_state_dict(plain.state_dict())
    return plain, engine


def run(encoder, pixels, points_px):
    """Outputs, and gradients of the input and of each parameter."""
    encoder.zero_grad()
    pixels = pixels.to(next(encoder.parameters()).dtype).requires_grad_()
    output = encoder(pixels, points_px)
    weights = torch.linspace(-1, 1, output.embedding.shape[1])
    (output.embedding * weights).sum().backward(retain_graph=True)
    output.descriptors.square().mul(weights).sum().backward()
    return output, pixels.grad, {name: p.grad for name, p in encoder.named_parameters()}


def assert_close(one, other):
    """1e-5 of the largest value; in double what its float averages allow."""
    relative = 1e-5 if other.dtype == torch.float32 else 1e-7
    largest = float(other.detach().abs().max())
    torch.testing.assert_close(one, other, atol=relative * largest, rtol=0)


@needs_minkowski
@pytest.mark.parametrize('is_training', [False, True])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ('batch', 'n', 'side'), [(1, 128, 16), (3, 128, 16), (2, 5, 16), (1, 1, 16), (2, 40, 32)]
)
def test_same_output_and_gradients(batch, n, side, dtype, is_training):
    if is_training and batch * n == 1:
        pytest.skip('MinkowskiEngine has no batch norm of a single cell')
    plain, engine = (model.train(is_training) for model in make_pair(side, dtype))
    pixels, points_px = make_input(batch, n, side, is_clustered=True)
    expected, pixels_grad, grads = run(engine, pixels, points_px)
    output, own_pixels_grad, own_grads = run(plain, pixels, points_px)
    assert_close(output.embedding, expected.embedding)
    assert_close(output.descriptors, expected.descriptors)
    assert_close(own_pixels_grad, pixels_grad)
    assert own_grads.keys() == grads.keys()
    for name, grad in grads.items():
        assert_close(own_grads[name], grad)
    for name, value in engine.state_dict().items():  # running statistics as well
        assert_close(plain.state_dict()[name].to(dtype), value.to(dtype))


@needs_minkowski
def test_same_output_for_many_points():
    plain, engine = (model.eval() for model in make_pair(16, torch.float32))
    given = make_input(1, 5000, 16, is_clustered=False)
    assert_close(plain(*given).embedding, engine(*given).embedding)


@pytest.mark.skipif(HAS_MINKOWSKI, reason='MinkowskiEngine is there')
def test_its_absence_is_said_in_one_sentence():
    with pytest.raises(DependencyError, match='scripts/build_minkowski'):
        MinkowskiEncoder(16)
    with pytest.raises(DependencyError, match='scripts/build_minkowski'):
        build_encoder(PAPER, 'minkowski')


@needs_minkowski
def test_the_backend_is_chosen_by_name():
    plain, engine = build_encoder(PAPER).eval(), build_encoder(PAPER, 'minkowski').eval()
    assert isinstance(engine, MinkowskiEncoder)
    engine.load_state_dict(plain.state_dict())
    given = make_input(1, 128, 32, is_clustered=True)
    assert_close(plain(*given).embedding, engine(*given).embedding)


@pytest.mark.parametrize(
    ('config', 'backend', 'words'),
    [
        (EncoderConfig(backbone='none'), 'minkowski', "'improved' with backbone 'none'"),
        (PAPER, 'cuda', "'cuda' instead of one of"),
    ],
)
def test_a_backend_that_cannot_compute_it_is_refused(config, backend, words):
    with pytest.raises(ConfigError, match=words):
        build_encoder(config, backend)
