import numpy as np
import pytest
from synthetic import CAMERA, make_frame

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.depth_alignment import back_project
from s3e_gnn_ros.loop_closure.view import DepthImage, make_view
from s3e_gnn_ros.types import Frame, Keyframe


@pytest.mark.parametrize(
    ('size', 'expected'),
    [((640, 480), (160, 120)), ((60, 40), (60, 40)), ((321, 241), (161, 121))],
)
def test_depth_is_thinned_to_about_160_pixels(size, expected):
    width, height = size
    camera = PinholeCamera(width, height, 0.8 * width, 0.8 * width, width / 2.1, height / 1.9)
    depth_m = np.random.default_rng(0).uniform(1, 5, (height, width)).astype(np.float32)
    frame = Frame(5, np.zeros((height, width), np.uint8), camera, depth_m, np.eye(4))
    features = OrbExtractor(FeatureConfig()).extract(frame)
    depth = make_view(Keyframe(3, 7, frame, features)).depth
    assert depth.depth_m.shape == expected[::-1]
    assert (depth.camera.width, depth.camera.height) == expected
    # Each point left is exactly one of the whole image.
    whole = {tuple(p) for p in back_project(DepthImage(depth_m, camera), 1, 0, 9).round(6)}
    assert {tuple(p) for p in back_project(depth, 1, 0, 9).round(6)} <= whole


def test_a_view_keeps_what_belongs_to_the_keyframe():
    frame = make_frame(np.eye(4), stamp_ns=77, with_depth=False)
    features = OrbExtractor(FeatureConfig()).extract(frame)
    view = make_view(Keyframe(3, 7, frame, features))
    assert (view.keyframe_id, view.session, view.stamp_ns) == (3, 7, 77)
    assert view.camera is CAMERA
    assert view.features is features
    assert view.depth is None
