"""Sensor noise against the model its docstring states."""

from dataclasses import replace

import numpy as np
import pytest

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.simulation.sensor import ColourNoise, DepthNoise

CAMERA = PinholeCamera(640, 480, 385.0, 385.0, 320.0, 240.0)
SMALL = PinholeCamera(160, 120, 96.0, 96.0, 80.0, 60.0)


def flat(depth_m, camera=CAMERA):
    return np.full((camera.height, camera.width), depth_m, np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize('depth_m', [1.0, 2.0, 4.0])
def test_depth_deviates_as_stated(depth_m):
    noise = DepthNoise(dropout=0, step_px=1e-4)
    measured = noise.apply(flat(depth_m), CAMERA, rng())
    error = (measured - depth_m)[2:-2, 2:-2]
    expected = depth_m**2 * 0.08 / (385.0 * 0.095)
    assert noise.sigma_m(depth_m, CAMERA) == pytest.approx(expected)
    assert error.std() == pytest.approx(expected, rel=0.03)
    assert abs(error.mean()) < 0.05 * expected


def test_disparity_is_quantised():
    measured = DepthNoise(dropout=0, disparity_px=0.3).apply(flat(4.0), CAMERA, rng())
    steps = 385.0 * 0.095 / np.unique(measured[measured > 0]).astype(float) * 32
    # Millimetres round 4 m by 1/300 of a step at most.
    assert np.abs(steps - steps.round()).max() < 0.05
    assert len(steps) < 150


def test_depth_is_in_whole_millimetres():
    measured = DepthNoise().apply(flat(2.345), CAMERA, rng()).astype(float) * 1000
    assert np.abs(measured - measured.round()).max() < 1e-3


@pytest.mark.parametrize('depth_m', [0.2, 7.0, 0.0])
def test_no_depth_beyond_the_range(depth_m):
    assert not DepthNoise().apply(flat(depth_m), CAMERA, rng()).any()


def test_dropout_is_as_stated():
    measured = DepthNoise(dropout=0.05).apply(flat(1.5), CAMERA, rng())
    assert (measured == 0).mean() == pytest.approx(0.05, abs=0.004)


def test_holes_beside_a_step_and_only_there():
    depth = flat(1.0, SMALL)
    depth[:, 80:] = 3.0
    measured = DepthNoise(dropout=0, edge_px=2).apply(depth, SMALL, rng())
    is_hole = (measured == 0).mean(axis=0)
    assert is_hole[78:82].min() > 0.3
    assert not is_hole[:77].any()
    assert not is_hole[83:].any()


@pytest.mark.parametrize(('angle_deg', 'is_seen'), [(60.0, True), (80.0, True), (87.0, False)])
def test_grazing_surfaces_give_no_depth(angle_deg, is_seen):
    """A wall turned about the vertical by this angle, seen head on along the optical axis."""
    x = (np.arange(SMALL.width) - SMALL.cx) / SMALL.fx
    slope = np.tan(np.radians(angle_deg))
    inverse = (1 - x * -slope) / 2.0  # plane z = 2 + slope x: inverse depth is linear
    depth = np.where(inverse > 0.15, 1 / np.maximum(inverse, 0.15), 0).astype(np.float32)
    measured = DepthNoise(dropout=0).apply(np.tile(depth, (120, 1)), SMALL, rng())
    assert (measured[20:100, 80] > 0).all() == is_seen
    assert (measured[20:100, 80] > 0).any() == is_seen


def test_colour_noise_is_as_stated():
    noise = ColourNoise(read=2.0, shot=0.05, vignetting=0, swing=0, target=100)
    image = np.full((480, 640, 3), 100, np.uint8)
    seen = noise.apply(image, CAMERA, np.zeros(3), 0.0, rng()).astype(float)
    # Rounding adds the variance 1 / 12 of one grey level.
    assert seen.std() == pytest.approx(np.sqrt(4 + 5 + 1 / 12), rel=0.02)
    assert seen.mean() == pytest.approx(100, abs=0.1)


def test_exposure_pulls_towards_its_target_and_wanders():
    noise = ColourNoise(read=0, shot=0, vignetting=0, target=100)
    dark = np.full((120, 160, 3), 60, np.uint8)
    levels = [noise.apply(dark, SMALL, np.zeros(3), t, rng()).mean() for t in range(40)]
    assert 65 < min(levels) < max(levels) < 100
    assert max(levels) / min(levels) > 1.05


def test_corners_are_darker():
    noise = replace(ColourNoise(), read=0, shot=0, swing=0)
    image = np.full((120, 160, 3), 115, np.uint8)
    seen = noise.apply(image, SMALL, np.zeros(3), 0.0, rng())
    assert seen[60, 80, 0] == 115
    assert seen[0, 0, 0] == pytest.approx(115 * 0.88, abs=1)


@pytest.mark.parametrize('axis', [0, 1])
def test_turning_blurs_along_the_motion_only(axis):
    """A dot under 100 deg/s and an exposure of 20 ms spreads over 13 px."""
    noise = ColourNoise(read=0, shot=0, vignetting=0, swing=0, exposure_s=0.02)
    noise = replace(noise, target=float(np.mean(_dot())))
    omega = np.zeros(3)
    omega[1 - axis] = np.radians(100)  # about x the image moves along y
    seen = noise.apply(_dot(), CAMERA, omega, 0.0, rng())[..., 0].astype(float) - 20
    along, across = (seen.sum(axis=0), seen.sum(axis=1))[:: 1 if axis == 0 else -1]
    assert (along > 5).sum() == pytest.approx(13.4, abs=2)
    assert (across > 5).sum() <= 3


def _dot():
    image = np.full((480, 640, 3), 20, np.uint8)
    image[240, 320] = 250
    return image
