import pytest
import torch
from torch.nn import functional

from s3e_gnn_ros.encoder.sparse_conv import (
    SparseBatchNorm,
    SparseContext,
    SparseConv2d,
    SparseConvEncoder,
)
from s3e_gnn_ros.encoder.sparse_tensor import (
    cells_of_coordinates,
    cells_of_points,
    find_neighbours,
)
from s3e_gnn_ros.errors import InputError


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def grid_coordinates(num_images, height, width):
    axes = (torch.arange(num_images), torch.arange(height), torch.arange(width))
    return torch.cartesian_prod(*axes)


def dense_weight(kernel):
    """The weight (out, in, K, K) of conv2d that equals a kernel (K * K, in, out)."""
    side = round(len(kernel) ** 0.5)
    return kernel.unflatten(0, (side, side)).permute(3, 2, 1, 0)


def make_input(batch=2, n=128, side=16, width=640, height=480):
    pixels = torch.randint(0, 256, (batch, n, 3, side, side), dtype=torch.uint8)
    return pixels, torch.rand(batch, n, 2) * torch.tensor([width, height])


def trained_encoder(side=16):
    encoder = SparseConvEncoder(side)
    for _ in range(3):
        encoder(*make_input(side=side))
    return encoder.eval()


def test_points_fall_into_cells():
    points_px = torch.tensor([[[0.0, 0], [15.9, 15.9], [16, 0]], [[0, 16], [-1, -17], [0, 0]]])
    cells = cells_of_points(points_px, 16)
    expected = [[0, 0, 0], [0, 0, 1], [1, -2, -1], [1, 0, 0], [1, 1, 0]]
    assert cells.coordinates.tolist() == expected
    assert cells.cell_of_point.tolist() == [0, 0, 1, 4, 2, 3]
    features = torch.arange(6.0)[:, None]
    assert cells.average_points(features).flatten().tolist() == [0.5, 2, 4, 5, 3]
    per_cell = torch.arange(5.0)[:, None]
    assert cells.average_cells(per_cell).flatten().tolist() == [0.5, 3]


def test_neighbours_are_those_of_a_plain_search():
    coordinates = torch.randint(-4, 5, (60, 3))
    coordinates[:, 0] = torch.arange(60) % 2
    cells = cells_of_coordinates(coordinates, 2)
    places = {tuple(place): i for i, place in enumerate(cells.coordinates.tolist())}
    expected = [
        (offset, places[image, row + dy, column + dx], output)
        for offset, (dx, dy) in enumerate((x, y) for x in (-1, 0, 1) for y in (-1, 0, 1))
        for (image, row, column), output in places.items()
        if (image, row + dy, column + dx) in places
    ]
    found = find_neighbours(cells, 3)
    offsets = torch.repeat_interleave(torch.arange(9), torch.tensor(found.counts))
    pairs = torch.stack([offsets, found.inputs, found.outputs], dim=1)
    assert sorted(map(tuple, pairs.tolist())) == sorted(expected)


@pytest.mark.parametrize('kernel_size', [1, 3, 5])
def test_a_full_grid_is_a_dense_convolution(kernel_size):
    coordinates = grid_coordinates(2, 6, 7)
    conv = SparseConv2d(4, 5, kernel_size).double()
    image = torch.randn(2, 4, 6, 7, dtype=torch.float64)
    dense = functional.conv2d(image, dense_weight(conv.kernel), padding=kernel_size // 2)
    cells = cells_of_coordinates(coordinates, 2)
    features = image.permute(0, 2, 3, 1).flatten(0, 2)
    sparse = conv(features, find_neighbours(cells, kernel_size))
    torch.testing.assert_close(sparse, dense.permute(0, 2, 3, 1).flatten(0, 2))


def test_absent_cells_count_as_zero():
    coordinates = grid_coordinates(1, 6, 7)
    kept = torch.rand(42) < 0.4
    conv = SparseConv2d(4, 5).double()
    image = torch.randn(42, 4, dtype=torch.float64) * kept[:, None]
    dense = image.unflatten(0, (1, 6, 7)).permute(0, 3, 1, 2)
    dense = functional.conv2d(dense, dense_weight(conv.kernel), padding=1)
    cells = cells_of_coordinates(coordinates[kept], 1)
    sparse = conv(image[kept], find_neighbours(cells, 3))
    torch.testing.assert_close(sparse, dense.permute(0, 2, 3, 1).flatten(0, 2)[kept])


def test_gradients_of_the_convolution():
    conv = SparseConv2d(2, 3).double()
    neighbours = find_neighbours(cells_of_coordinates(torch.randint(0, 4, (9, 3)), 4), 3)
    num_cells = int(neighbours.outputs.max()) + 1
    features = torch.randn(num_cells, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, kernel: torch.func.functional_call(conv, {'kernel': kernel}, (x, neighbours)),
        (features, conv.kernel),
    )


@pytest.mark.parametrize('side', [16, 32, 64])
def test_encoder_gives_unit_vectors(side):
    embedding, descriptors = SparseConvEncoder(side).eval()(*make_input(3, 10, side))
    assert embedding.shape == (3, 256)
    assert descriptors.shape == (3, 10, 256)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(descriptors.norm(dim=2), torch.ones(3, 10))


@pytest.mark.parametrize('n', [1, 5, 128, 5000])
def test_any_number_of_points(n):
    encoder = trained_encoder()
    pixels, points_px = make_input(1, n)
    embedding, descriptors = encoder(pixels, points_px)
    assert embedding.isfinite().all()
    assert descriptors.shape == (1, n, 256)
    with pytest.raises(InputError, match=r'\(1, 0, 3, 16, 16\)'):
        encoder(pixels[:, :0], points_px[:, :0])
    with pytest.raises(InputError, match='32, 32'):
        SparseConvEncoder(32)(pixels, points_px)


def test_order_of_points_does_not_matter():
    encoder = trained_encoder()
    pixels, points_px = make_input(1)
    order = torch.randperm(128)
    embedding, descriptors = encoder(pixels, points_px)
    shuffled = encoder(pixels[:, order], points_px[:, order])
    torch.testing.assert_close(shuffled.embedding, embedding, atol=1e-6, rtol=0)
    torch.testing.assert_close(shuffled.descriptors, descriptors[:, order], atol=1e-5, rtol=0)


def test_a_batch_is_a_loop_of_singles():
    encoder = trained_encoder()
    pixels, points_px = make_input(4)
    batch = encoder(pixels, points_px)
    for i in range(4):
        single = encoder(pixels[i : i + 1], points_px[i : i + 1])
        torch.testing.assert_close(single.embedding[0], batch.embedding[i], atol=1e-6, rtol=0)
        torch.testing.assert_close(single.descriptors[0], batch.descriptors[i], atol=1e-5, rtol=0)


def test_floats_and_bytes_are_the_same_grey_levels():
    encoder = trained_encoder()
    pixels, points_px = make_input(1)
    torch.testing.assert_close(
        encoder(pixels.float(), points_px).embedding, encoder(pixels, points_px).embedding
    )


def test_a_shift_by_whole_cells_changes_nothing():
    encoder = trained_encoder()
    pixels, points_px = make_input(1)
    shifted = encoder(pixels, points_px + torch.tensor([160, -320])).embedding
    torch.testing.assert_close(shifted, encoder(pixels, points_px).embedding)


def test_patches_of_one_colour():
    encoder = trained_encoder()
    pixels, points_px = make_input(2)
    embedding, _ = encoder(torch.full_like(pixels, 90), points_px)
    assert embedding.isfinite().all()


def test_training_reaches_every_parameter():
    encoder = SparseConvEncoder(16)
    encoder(*make_input()).embedding[:, 0].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_batch_norm_of_a_single_cell_uses_the_running_statistics():
    norm = SparseBatchNorm(3)
    norm(torch.randn(50, 3) * 4 + 2)
    one = torch.randn(1, 3)
    in_training = norm(one)
    assert norm.bn.num_batches_tracked == 1
    torch.testing.assert_close(in_training, norm.eval()(one))
    assert SparseConvEncoder(16)(*make_input(1, 1)).embedding.isfinite().all()


def test_context_starts_at_zero_and_learns():
    context = SparseContext(8, cell_size_px=32)
    features, points_px = torch.randn(2, 30, 8), torch.rand(2, 30, 2) * 200
    added = context(features, points_px)
    assert added.shape == (2, 30, 8)
    assert (added == 0).all()
    (added - 1).square().sum().backward()
    assert context.last.kernel.grad.abs().sum() > 0


@pytest.mark.parametrize('n', [1, 5, 128])
def test_context_of_a_batch_is_a_loop_of_singles(n):
    context = SparseContext(8, cell_size_px=32).eval()
    torch.nn.init.normal_(context.last.kernel)
    features, points_px = torch.randn(3, n, 8), torch.rand(3, n, 2) * 200
    batch = context(features, points_px)
    for i in range(3):
        single = context(features[i : i + 1], points_px[i : i + 1])
        torch.testing.assert_close(single[0], batch[i], atol=1e-5, rtol=1e-4)
    order = torch.randperm(n)
    shuffled = context(features[:, order], points_px[:, order])
    torch.testing.assert_close(shuffled, batch[:, order], atol=1e-5, rtol=1e-4)
    alone = torch.tensor([[[0.0, 0], [320, 320]]])
    pair = torch.randn(1, 2, 8)
    other = pair.clone()
    other[:, 1] += 1
    torch.testing.assert_close(context(pair, alone)[:, 0], context(other, alone)[:, 0])
