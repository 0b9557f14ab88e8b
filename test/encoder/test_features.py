import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic import CAMERA, CORNER, look_at, make_frame

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.features import OrbExtractor, depth_at, to_grey
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.matching import match_descriptors
from s3e_gnn_ros.types import Frame

POSE = look_at([-0.6, -0.2, 1.2], CORNER - [0.6, 0.4, 0.3])


@pytest.fixture(scope='module')
def extractor():
    return OrbExtractor(FeatureConfig(num_features=300))


@pytest.fixture(scope='module')
def frame():
    return make_frame(POSE)


def assert_consistent(features):
    N = len(features)
    assert features.points_px.shape == features.points_normalised.shape == (N, 2)
    assert features.landmarks_m.shape == (N, 3)
    assert features.descriptors.shape == (N, 32)
    assert features.descriptors.dtype == np.uint8
    assert features.points_px.dtype == np.float32
    for values in (features.sizes_px, features.angles_deg, features.responses):
        assert values.shape == (N,)
        assert values.dtype == np.float32


def test_landmarks_lie_on_the_walls(extractor, frame):
    features = extractor.extract(frame)
    assert_consistent(features)
    assert len(features) > 200
    assert features.has_landmark.all()
    points = se3.transform_points(POSE, features.landmarks_m)
    off_m = np.abs(points - CORNER).min(axis=1)
    assert np.quantile(off_m, 0.9) < 0.03
    np.testing.assert_allclose(CAMERA.project(features.landmarks_m), features.points_px, atol=1e-3)


def test_grey_and_colour_give_the_same_features(extractor, frame):
    colour = cv2.cvtColor(frame.image, cv2.COLOR_GRAY2BGR)
    np.testing.assert_array_equal(extractor.describe(frame.image), extractor.describe(colour))
    np.testing.assert_array_equal(to_grey(colour), frame.image)
    np.testing.assert_array_equal(
        extractor.extract(frame).descriptors, extractor.describe(frame.image)
    )


@pytest.mark.parametrize('shape', [(240, 320), (240, 320, 3)])
def test_a_flat_image_has_no_features(extractor, shape):
    image = np.full(shape, 128, dtype=np.uint8)
    frame = Frame(0, image, CAMERA, np.ones((240, 320), np.float32), np.eye(4))
    assert extractor.describe(image).shape == (0, 32)
    for features in (extractor.extract(frame), extractor.extract_at(frame, np.zeros((0, 2)))):
        assert len(features) == 0
        assert_consistent(features)
        assert not features.has_landmark.any()


@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    config=st.sampled_from(
        [
            FeatureConfig(),
            FeatureConfig(num_levels=16, scale_factor=2.0),
            FeatureConfig(num_levels=1),
        ]
    ),
)
def test_no_image_is_too_small(width, height, config):
    image = np.random.default_rng(0).integers(0, 255, (height, width)).astype(np.uint8)
    camera = PinholeCamera(width, height, 30.0, 30.0, width / 2, height / 2)
    frame = Frame(0, image, camera, np.ones(image.shape, np.float32), np.eye(4))
    extractor = OrbExtractor(config)
    assert len(extractor.describe(image)) == len(extractor.extract(frame))
    assert_consistent(extractor.extract(frame))
    centre = np.array([[width / 2, height / 2]])
    assert_consistent(extractor.extract_at(frame, centre))


def test_a_small_image_does_not_spoil_the_next(frame):
    extractor = OrbExtractor(FeatureConfig())
    before = extractor.describe(frame.image)
    extractor.describe(np.zeros((1, 1), dtype=np.uint8))
    np.testing.assert_array_equal(extractor.describe(frame.image), before)


def test_more_levels_than_the_image_has_still_give_features(frame):
    config = FeatureConfig(num_levels=16, scale_factor=2.0)
    assert len(OrbExtractor(config).describe(frame.image)) > 100


def test_keypoints_of_the_front_end_come_first(extractor, frame):
    given_px = np.array([[100.25, 90.5], [200.0, 120.0], [60.0, 150.75]])
    features = extractor.extract_at(frame, given_px)
    assert_consistent(features)
    np.testing.assert_allclose(features.points_px[:3], given_px)
    assert len(features) > 3 + 100


def test_keypoints_of_the_front_end_match_after_a_roll(frame):
    """They get an orientation: the image turned upside down gives the same descriptors."""
    extractor = OrbExtractor(FeatureConfig(num_features=300))
    rng = np.random.default_rng(1)
    points = rng.uniform((50, 50), (270, 190), (60, 2)).round()
    turned = Frame(0, np.ascontiguousarray(frame.image[::-1, ::-1]), CAMERA, None, np.eye(4))
    upright = extractor.extract_at(frame, points).descriptors[:60]
    rolled = extractor.extract_at(turned, (319, 239) - points).descriptors[:60]
    bits = np.unpackbits(upright ^ rolled, axis=1).sum(axis=1)
    assert np.median(bits) < 30  # 128 for unrelated ones
    assert len(match_descriptors(upright, rolled, 64, 1.0)) > 45


def test_depth_out_of_range_gives_no_landmark(frame):
    near = OrbExtractor(FeatureConfig(max_depth_m=3.2)).extract(frame)
    z = depth_at(frame.depth_m, near.points_px)
    assert 0.05 < near.has_landmark.mean() < 0.95
    np.testing.assert_array_equal(near.has_landmark, z <= 3.2)
    assert np.isnan(near.landmarks_m[~near.has_landmark]).all()


def test_no_depth_gives_no_landmarks(extractor):
    features = extractor.extract(make_frame(POSE, with_depth=False))
    assert len(features) > 200
    assert np.isnan(features.landmarks_m).all()


def test_an_edge_belongs_to_the_surface_in_front():
    depth_m = np.full((6, 8), 4.0, dtype=np.float32)
    depth_m[:, 4:] = 1.5
    depth_m[2, 2] = 0.0
    points = np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0], [3.4, 5.0], [7.0, 0.0]])
    np.testing.assert_allclose(depth_at(depth_m, points), [4.0, 4.0, 1.5, 1.5, 1.5])


def test_where_nothing_around_has_depth_it_is_unknown():
    depth_m = np.zeros((5, 5), dtype=np.float32)
    depth_m[0, 0] = 2.0
    points = np.array([[1.0, 1.0], [2.0, 2.0], [-3.0, -0.2], [99.0, 99.0]])
    np.testing.assert_allclose(depth_at(depth_m, points), [2.0, np.nan, 2.0, np.nan])
