"""Keypoints in VINS's layout, and where their landmarks lie as the camera sees them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros.adapters.host_points import MAX_EXACT_ID, cloud_from_message

CAMERA = PinholeCamera(640, 480, 600.0, 610.0, 319.5, 239.5, (0.1, -0.05, 0.001, 0.002))
T_ODOM_CAMERA = se3.expmap([0.2, -0.4, 0.7, 3.0, -2.0, 1.0])


def message(*rows, landmarks=None, num_channels=None):
    channels = [SimpleNamespace(values=list(row)) for row in rows][:num_channels]
    places = [(1.0 * i, 2.0, 3.0) for i in range(len(rows))] if landmarks is None else landmarks
    points = [SimpleNamespace(x=x, y=y, z=z) for x, y, z in places]
    return SimpleNamespace(points=points, channels=channels)


def test_one_channel_per_point_is_read():
    cloud = cloud_from_message(message((0.1, 0.2, 30, 40, 7), (0.3, 0.4, 50, 60, 8)))
    assert cloud.points_px.tolist() == [[30, 40], [50, 60]]
    assert cloud.feature_ids.tolist() == [7, 8]
    assert cloud.landmarks_odom.tolist() == [[0, 2, 3], [1, 2, 3]]
    assert np.isnan(cloud.depths_m).all()
    assert cloud.num_inexact_ids == 0


def test_no_points_are_no_error():
    cloud = cloud_from_message(message())
    assert cloud.points_px.shape == (0, 2)
    assert cloud.in_camera(CAMERA, T_ODOM_CAMERA).landmarks_m.shape == (0, 3)


@pytest.mark.parametrize(
    'broken',
    [
        message((0.1, 0.2, 30, 40)),
        message((0.1, 0.2, 30, 40, 7), (0, 0, 1, 2, 3), num_channels=1),
        message((0.1, 0.2, np.nan, 40, 7)),
        # All values of a kind in one channel, as a LiDAR's cloud has them.
        message((1, 2, 3, 4, 5), landmarks=[(0, 0, 0)] * 5),
    ],
)
def test_broken_points_are_dropped(broken):
    with pytest.raises(DropError) as info:
        cloud_from_message(broken)
    assert info.value.reason == 'keyframe_points'


def test_a_track_number_that_a_float32_cannot_hold_is_unknown():
    ids = [0, MAX_EXACT_ID, MAX_EXACT_ID + 1, MAX_EXACT_ID + 2, -1, 0.5, np.nan]
    as_sent = np.array(ids, dtype=np.float32)
    assert as_sent[2] == np.float32(MAX_EXACT_ID + 2)  # two numbers, one value: why it is unknown
    cloud = cloud_from_message(message(*[(0, 0, 30, 40, value) for value in as_sent.tolist()]))
    assert cloud.feature_ids.tolist() == [0, MAX_EXACT_ID, -1, -1, -1, -1, -1]
    assert cloud.num_inexact_ids == 5


@given(
    st.lists(
        st.tuples(st.floats(0, 639), st.floats(0, 479), st.floats(0.3, 50)), min_size=1, max_size=9
    )
)
def test_landmarks_of_the_world_come_back_to_the_camera(seen):
    points_px, z = np.array(seen)[:, :2].astype(np.float32), np.array(seen)[:, 2:]
    landmarks_m = np.column_stack([CAMERA.normalise(points_px), np.ones(len(z))]) * z
    in_odom = se3.transform_points(T_ODOM_CAMERA, landmarks_m)
    rows = [(0.0, 0.0, *px, i) for i, px in enumerate(points_px.tolist())]
    points = cloud_from_message(message(*rows, landmarks=in_odom)).in_camera(CAMERA, T_ODOM_CAMERA)
    np.testing.assert_allclose(points.landmarks_m, landmarks_m, atol=1e-9)
    np.testing.assert_array_equal(points.points_px, points_px)


def test_what_lies_behind_the_camera_or_is_not_known_is_no_landmark():
    landmarks = se3.transform_points(
        T_ODOM_CAMERA, np.array([[0, 0, 2.0], [0, 0, -2.0], [0, 0, 0.0], [np.nan, 0, 1]])
    )
    rows = [(0, 0, 320, 240, i) for i in range(4)]
    points = cloud_from_message(message(*rows, landmarks=landmarks)).in_camera(
        CAMERA, T_ODOM_CAMERA
    )
    assert np.isfinite(points.landmarks_m).all(axis=1).tolist() == [True, False, False, False]


def test_points_outside_the_image_are_left_out():
    rows = [(0, 0, u, v, n) for n, (u, v) in enumerate([(-1, 5), (5, 5), (640, 5), (639, 479)])]
    points = cloud_from_message(message(*rows)).in_camera(CAMERA, T_ODOM_CAMERA)
    assert points.feature_ids.tolist() == [1, 3]


def test_a_sixth_value_is_the_depth_in_millimetres():
    rows = [(0, 0, 100, 200, 1, 2500.0), (0, 0, 300, 50, 2, 0.0), (0, 0, 9, 9, 3)]
    cloud = cloud_from_message(message(*rows))
    assert cloud.depths_m[0] == 2.5
    assert np.isnan(cloud.depths_m[1:]).all()
    points = cloud.in_camera(CAMERA, np.eye(4))
    np.testing.assert_allclose(CAMERA.project(points.landmarks_m[:1]), [[100, 200]], atol=1e-3)
    assert points.landmarks_m[0, 2] == 2.5
    np.testing.assert_array_equal(points.landmarks_m[1], cloud.landmarks_odom[1])
