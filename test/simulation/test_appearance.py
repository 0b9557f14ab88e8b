"""Appearance of images against the model its docstring states."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.simulation.appearance import Appearance, motion_blur, random_appearance

CAMERA = PinholeCamera(160, 120, 100.0, 100.0, 80.0, 60.0)
STILL = np.zeros(6)
GREY = np.full((120, 160, 3), 100, np.uint8)
DEPTH = np.full((120, 160), 2.0, np.float32)


def apply(appearance, twist=STILL, seed=0):
    return appearance.apply(GREY, DEPTH, CAMERA, twist, np.random.default_rng(seed))


def test_light_gain_and_tint_multiply():
    clean = {'read': 0, 'shot': 0, 'vignetting': 0}
    assert (apply(Appearance(exposure=0.5, gain=1.5, **clean)) == 75).all()
    assert (apply(Appearance(darkness=0.9, **clean)) == 10).all()
    tinted = apply(Appearance(white_balance=(0.8, 1.0, 1.2), **clean))
    assert (tinted[0, 0] == (80, 100, 120)).all()


def test_dark_images_raised_by_gain_are_noisier():
    bright = apply(Appearance(vignetting=0)).astype(float)
    dark = apply(Appearance(vignetting=0, darkness=0.9, gain=10)).astype(float)
    assert dark.std() > 3 * bright.std()
    assert dark.std() == pytest.approx(10 * np.sqrt(1 + 0.03 * 10), rel=0.05)
    assert (apply(Appearance(), seed=1) == apply(Appearance(), seed=1)).all()


@pytest.mark.parametrize(
    ('move', 'along', 'length'),
    [
        ([0, 0.1, 0, 0, 0, 0], 1, 10),  # a turn about y moves the image along x: 0.1 * 100 px
        ([0.1, 0, 0, 0, 0, 0], 0, 10),
        ([0, 0, 0, 0.2, 0, 0], 1, 10),  # a shift of 0.2 m at 2 m does as well
        ([0, 0, 0, 0, 0.2, 0], 0, 10),
    ],
)
def test_blur_is_as_long_as_the_image_moves(move, along, length):
    image = np.zeros((120, 160, 3), np.uint8)
    image[60, 80] = 250
    seen = motion_blur(image, DEPTH, CAMERA, np.array(move, float))[..., 0].astype(float)
    assert np.count_nonzero(seen.sum(axis=1 - along) > 3) == pytest.approx(length + 1, abs=2)
    assert np.count_nonzero(seen.sum(axis=along) > 3) == 1


def test_far_things_do_not_blur_by_a_shift():
    image = np.random.default_rng(0).integers(0, 255, GREY.shape, dtype=np.uint8)
    move = np.array([0, 0, 0, 0.2, 0, 0])
    assert (motion_blur(image, np.zeros_like(DEPTH), CAMERA, move) == image).all()


def test_random_ones_are_in_range():
    for seed in range(20):
        random_appearance(np.random.default_rng(seed), max_darkness=0.98, max_blur_s=0.06)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('exposure', 0.0),
        ('gain', float('nan')),
        ('darkness', 1.0),
        ('read', -1.0),
        ('shutter_s', float('inf')),
        ('vignetting', 2.0),
        ('white_balance', (1.0, 0.0, 1.0)),
    ],
)
def test_refuses(name, value):
    with pytest.raises(InputError, match=name):
        Appearance(**{name: value})
