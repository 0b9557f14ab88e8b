"""What is known of an image: taken as it comes, refused where it cannot be used."""

import numpy as np
import pytest
import synthetic

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.dbow.features import ImageFeatures, as_image_features, local_features
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import InputError

FRAME = synthetic.make_frame(synthetic.out_and_back(4)[0])
DESCRIPTORS = np.arange(64, dtype=np.uint8).reshape(2, 32)


@pytest.mark.parametrize(
    ('values', 'sentence'),
    [
        ({}, 'neither'),
        ({'image': np.zeros((4, 4), np.float32)}, 'float32 is neither grey, BGR nor BGRA'),
        ({'descriptors': np.zeros((2, 64), np.uint8)}, 'descriptors are'),
        (
            {'descriptors': DESCRIPTORS, 'keypoints_px': np.zeros((3, 2))},
            '2 descriptors belong to',
        ),
        ({'descriptors': DESCRIPTORS, 'keypoints_px': np.zeros(4)}, r'keypoints are \(4,\)'),
        ({'descriptors': DESCRIPTORS, 'keypoints_px': np.full((2, 2), np.nan)}, 'not finite'),
        ({'image': FRAME.image[:100], 'camera': FRAME.camera}, r'image is \(320, 100\)'),
        ({'image': FRAME.image, 'depth_m': FRAME.depth_m[::2]}, r'depth is \(320, 120\)'),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(values, sentence):
    with pytest.raises(InputError, match=sentence) as error:
        ImageFeatures(**values)
    assert '\n' not in str(error.value)


def test_bare_descriptors_are_features_already():
    assert as_image_features(DESCRIPTORS).descriptors is DESCRIPTORS
    given = ImageFeatures(FRAME.image)
    assert as_image_features(given) is given


def test_the_front_ends_features_are_taken_as_they_are():
    points_px = np.array([[10.0, 20.0], [159.5, 119.5]])
    given = ImageFeatures(
        FRAME.image, points_px, DESCRIPTORS, camera=FRAME.camera, depth_m=FRAME.depth_m
    )
    features = local_features(given, OrbExtractor(FeatureConfig()))
    assert (features.descriptors == DESCRIPTORS).all()
    assert features.points_px.tolist() == points_px.tolist()
    assert features.points_normalised[1] == pytest.approx([0.0, 0.0])
    assert features.landmarks_m[1, 2] == pytest.approx(FRAME.depth_m[118:122, 158:162].min(), 0.05)


def test_without_keypoints_nobody_knows_where_a_feature_lies():
    features = local_features(
        ImageFeatures(descriptors=DESCRIPTORS), OrbExtractor(FeatureConfig())
    )
    assert np.isnan(features.points_px).all()
    assert not features.has_landmark.any()


def test_orb_is_computed_at_the_front_ends_keypoints_and_beside_them():
    extractor = OrbExtractor(FeatureConfig(num_features=50))
    alone = local_features(ImageFeatures(FRAME.image), extractor)
    points_px = np.array([[100.0, 100.0], [200.0, 120.0]], np.float32)
    both = local_features(ImageFeatures(FRAME.image, points_px), extractor)
    assert both.points_px[:2].tolist() == points_px.tolist()
    assert len(both) == len(alone) + 2
    assert not alone.has_landmark.any()


def test_colour_with_alpha_is_read_as_grey():
    colour = np.repeat(FRAME.image[:, :, None], 4, axis=2)
    extractor = OrbExtractor(FeatureConfig())
    grey = local_features(ImageFeatures(FRAME.image), extractor)
    assert len(local_features(ImageFeatures(colour), extractor)) == len(grey)
