"""The encoder that ships, on whatever a camera and a front end may send."""

from dataclasses import replace

import numpy as np
import pytest

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.encoder import Encoder, load_encoder
from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.weights import load_weights
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.types import Features


@pytest.fixture(scope='module')
def encoder():
    return load_encoder()


def textured(height, width, channels=3, seed=0):
    """Noise at several scales: corners of every size."""
    rng = np.random.default_rng(seed)
    image = np.zeros((height, width), np.float64)
    for cell in (4, 16, 64):
        small = rng.random((height // cell + 1, width // cell + 1))
        image += np.kron(small, np.ones((cell, cell)))[:height, :width]
    grey = (255 * image / image.max()).astype(np.uint8)
    return grey if channels == 0 else np.repeat(grey[:, :, None], channels, axis=2)


def keypoints(num, width, height, seed=0):
    rng = np.random.default_rng(seed)
    points = (rng.random((num, 2)) * [width, height]).astype(np.float32)
    return Features(
        points_px=points,
        points_normalised=points.astype(np.float64),
        sizes_px=np.full(num, 31, np.float32),
        angles_deg=np.zeros(num, np.float32),
        responses=np.ones(num, np.float32),
        descriptors=np.zeros((num, 32), np.uint8),
        landmarks_m=np.full((num, 3), np.nan),
    )


def check(encoding):
    assert encoding.embedding.shape == (256,)
    assert encoding.embedding.dtype == np.float32
    assert np.linalg.norm(encoding.embedding) == pytest.approx(1.0, abs=1e-4)
    assert encoding.descriptors.shape == (128, 128)
    assert np.isfinite(encoding.descriptors).all()
    assert encoding.points_px.shape == (128, 2)


@pytest.mark.parametrize('channels', [0, 1, 3, 4])
@pytest.mark.parametrize(('height', 'width'), [(240, 320), (480, 640), (1080, 1920)])
def test_any_image(encoder, height, width, channels):
    check(encoder.embed(textured(height, width, channels)))


@pytest.mark.parametrize('num', [1, 5, 128, 5000])
def test_any_number_of_keypoints(encoder, num):
    encoding = encoder.embed(textured(480, 640), keypoints(num, 640, 480))
    check(encoding)
    assert (encoding.keypoint_index >= 0).sum() == min(num, 128)


@pytest.mark.parametrize('level', [0, 128, 255])
def test_an_image_of_one_colour(encoder, level):
    nothing = encoder.embed(np.full((480, 640, 3), level, np.uint8))
    np.testing.assert_array_equal(nothing.embedding, np.zeros(256, np.float32))
    assert nothing.embedding.dtype == np.float32
    assert np.isfinite(nothing.descriptors).all()
    assert (nothing.keypoint_index == -1).all()


def test_without_a_keypoint_there_is_nothing_to_recognise(encoder):
    assert not encoder.embed(textured(480, 640), keypoints(0, 640, 480)).embedding.any()


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('points_px', np.nan),
        ('points_px', -9.0),
        ('sizes_px', np.nan),
        ('sizes_px', np.inf),
        ('sizes_px', 0.0),
        ('angles_deg', np.nan),
    ],
)
def test_keypoints_that_cannot_be_used_count_as_none(encoder, name, value):
    image, good = textured(480, 640), keypoints(200, 640, 480)
    spoilt = getattr(good, name).copy()
    spoilt[100:] = value
    encoding = encoder.embed(image, replace(good, **{name: spoilt}))
    check(encoding)
    assert encoding.keypoint_index.max() == 99  # and 28 completed ones
    nothing = encoder.embed(image, replace(good, **{name: np.full_like(spoilt, value)}))
    assert not nothing.embedding.any()


@pytest.mark.parametrize('name', ['points_px', 'sizes_px', 'angles_deg', 'responses'])
def test_keypoints_of_unequal_number_are_one_sentence(encoder, name):
    features = keypoints(200, 640, 480)
    features = replace(features, **{name: getattr(features, name)[:150]})
    with pytest.raises(InputError, match='of keypoints are'):
        encoder.embed(textured(480, 640), features)


@pytest.fixture(scope='module')
def attentive():
    """Return the encoder with the one selection that reads depth."""
    weights = load_weights()
    config = EncoderConfig.from_dict(weights.configuration('encoder'))
    module = weights.build(lambda: build_encoder(config), 'encoder')
    return Encoder(replace(config, selection='attention'), module)


def test_depth_that_is_not_a_number_does_not_matter(attentive):
    image = textured(480, 640)
    ramp_m = np.tile(np.linspace(1.0, 9.0, 640, dtype=np.float32), (480, 1))
    is_known = np.random.default_rng(0).random(ramp_m.shape) < 0.5
    # Unknown depth counts as the median: all is 4 m away then, nothing before anything else.
    flat_m = np.where(is_known, np.float32(4.0), np.float32(np.nan))
    unknown, flat, ramp = (
        attentive.embed(image, depth_m=depth_m)
        for depth_m in (np.full_like(ramp_m, np.nan), flat_m, ramp_m)
    )
    without = attentive.embed(image)
    for same in (unknown, flat):
        np.testing.assert_array_equal(same.keypoint_index, without.keypoint_index)
        np.testing.assert_array_equal(same.embedding, without.embedding)
    assert (ramp.keypoint_index != without.keypoint_index).any()  # depth is looked at


def test_light_hardly_changes_the_embedding(encoder):
    image = textured(480, 640)
    features = OrbExtractor(FeatureConfig()).detect(image)
    darker = (0.4 * image).astype(np.uint8)
    other = encoder.embed(textured(480, 640, seed=1))
    same = encoder.embed(darker, features).embedding @ encoder.embed(image, features).embedding
    assert same > 0.9
    assert other.embedding @ encoder.embed(image).embedding < 0.5


@pytest.mark.parametrize(
    'image', [np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4), np.float32), np.zeros(4, np.uint8)]
)
def test_no_image_is_one_sentence(encoder, image):
    with pytest.raises(InputError, match='neither grey, BGR nor BGRA'):
        encoder.embed(image)
