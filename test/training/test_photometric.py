"""Spoiled images: shapes, truth of strength, nothing moved."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.training import photometric
from s3e_gnn_ros.training.degradation import Degradation

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (60, 80), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (60, 80, 3), dtype=np.uint8)
ALL = Degradation(1, 1, 1, 1, 1, 1, 1, 1, 1)
NONE = Degradation(0, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize('image', [GREY, COLOUR], ids=['grey', 'colour'])
def test_every_degradation_keeps_shape_and_type(image):
    spoiled, is_hidden = ALL.apply(image, np.random.default_rng(1))
    assert spoiled.shape == image.shape
    assert spoiled.dtype == np.uint8
    assert is_hidden.shape == (60, 80)
    assert 0 < is_hidden.mean() < 0.5


def test_no_degradation_changes_nothing():
    spoiled, is_hidden = NONE.apply(COLOUR, np.random.default_rng(1))
    assert (spoiled == COLOUR).all()
    assert not is_hidden.any()


def test_same_seed_same_image():
    one, _ = ALL.apply(COLOUR, np.random.default_rng(3))
    two, _ = ALL.apply(COLOUR, np.random.default_rng(3))
    other, _ = ALL.apply(COLOUR, np.random.default_rng(4))
    assert (one == two).all()
    assert (one != other).any()


@pytest.mark.parametrize('length', [1.0, 7.0, 31.0, 40.0])
@pytest.mark.parametrize('angle', [0.0, 37.0, 90.0])
def test_blur_line_has_its_length_and_its_middle_stays(length, angle):
    kernel = photometric.line_kernel(length, angle)
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    middle = (kernel.shape[0] - 1) / 2
    rows, columns = np.mgrid[: kernel.shape[0], : kernel.shape[0]] - middle
    assert abs((kernel * rows).sum()) < 1e-3
    assert abs((kernel * columns).sum()) < 1e-3
    # The variance of a uniform line is length^2 / 12; the bilinear weights add up to 1/2.
    assert (kernel * (rows**2 + columns**2)).sum() == pytest.approx(length**2 / 12, rel=0.1, abs=1)


def test_a_dark_image_made_bright_has_few_grey_levels():
    image = np.full((50, 50), 100, np.uint8)
    dark = photometric.darken(image, 0.02, 50.0, 0.6, 0.1, np.random.default_rng(0))
    assert len(np.unique(dark)) < 12
    assert dark.mean() == pytest.approx(100, abs=6)
    assert dark.std() > 15


def test_evaluation_darkness_and_blur_lie_inside_the_training_ranges():
    ranges = Degradation()
    assert ranges.light[0] < 0.02 < ranges.light[1]
    assert ranges.blur_px[0] < 31 < ranges.blur_px[1]


@pytest.mark.parametrize('wrong', [{'dark': 1.5}, {'light': (0.1, 0.01)}, {'blur_px': (0, 5)}])
def test_wrong_degradations_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Degradation(**wrong)
