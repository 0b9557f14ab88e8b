import numpy as np
import pytest

from s3e_gnn_ros.encoder.image_planes import expose, grey_quantiles


@pytest.mark.parametrize('shape', [(1, 1), (1, 2), (7, 3), (120, 160)])
@pytest.mark.parametrize('brightest', [1, 9, 256])
def test_quantiles_from_the_histogram_are_those_of_the_pixels(shape, brightest):
    grey = np.random.default_rng(0).integers(0, brightest, shape, dtype=np.uint8)
    fractions = (0.0, 0.01, 0.5, 0.995, 1.0)
    expected = np.quantile(grey, fractions)
    np.testing.assert_allclose(grey_quantiles(grey, fractions), expected, atol=1e-9)


def test_only_a_narrow_range_is_stretched():
    ordinary = np.tile(np.arange(0, 256, 2, dtype=np.uint8), (128, 1))
    assert expose(ordinary) is ordinary
    dark = ordinary // 16
    stretched = expose(dark)
    assert int(stretched.max()) - int(stretched.min()) > 150
    flat = np.full((48, 64), 90, dtype=np.uint8)
    assert np.ptp(expose(flat)) == 0
