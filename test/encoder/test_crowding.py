import numpy as np
import pytest

from s3e_gnn_ros.encoder import crowding
from s3e_gnn_ros.encoder.crowding import find_crowded


def one_by_one(points_px, sizes_px, responses, scales):
    """Compare every point with every other."""
    is_crowded = np.zeros(len(points_px), dtype=bool)
    for scale in np.unique(scales):
        members = np.flatnonzero(scales == scale)
        points, strength = points_px[members], responses[members]
        radius = 10.0 * sizes_px[members[0]] / 31.0
        squared = ((points[:, None] - points[None]) ** 2).sum(axis=2)
        is_near = (squared < radius**2) & (strength[None, :] > strength[:, None])
        is_crowded[members] = is_near.any(axis=1)
    return is_crowded


@pytest.mark.parametrize('spread', ['even', 'heaps', 'whole pixels', 'one place'])
@pytest.mark.parametrize('num_scales', [1, 8])
@pytest.mark.parametrize('max_pairs', [50, 1 << 18])
def test_equals_the_comparison_of_all_pairs(monkeypatch, spread, num_scales, max_pairs):
    monkeypatch.setattr(crowding, '_MAX_PAIRS', max_pairs)
    rng = np.random.default_rng(0)
    num = 600
    scales = rng.integers(num_scales, size=num)
    sizes_px = (31.0 * 1.2**scales * rng.uniform(1.0, 1.01, num)).astype(np.float32)
    points_px = rng.uniform(0, (640, 480), (num, 2))
    if spread == 'heaps':
        points_px = points_px[rng.integers(5, size=num)] + rng.normal(0, 8, (num, 2))
    elif spread == 'whole pixels':
        points_px = np.round(points_px / 5) * 5
    elif spread == 'one place':
        points_px = np.full_like(points_px, 7.5)
    responses = np.round(rng.uniform(size=num), 2).astype(np.float32)  # some are equal
    given = (points_px.astype(np.float32), sizes_px, responses, scales)
    np.testing.assert_array_equal(find_crowded(*given), one_by_one(*given))


@pytest.mark.parametrize('num', [0, 1])
def test_nobody_crowds_so_few(num):
    ones = np.ones(num, np.float32)
    found = find_crowded(np.ones((num, 2), np.float32), ones, ones, np.zeros(num, np.intp))
    assert found.tolist() == [False] * num
