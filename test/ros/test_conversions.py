"""Core types to ROS messages and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry
from std_msgs.msg import Header

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv

twists = arrays(np.float64, 6, elements=st.floats(-3, 3))
matrices = arrays(np.float64, (6, 6), elements=st.floats(-1e3, 1e3))


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamps_survive(stamp_ns):
    assert conv.stamp_to_ns(conv.stamp_from_ns(stamp_ns)) == stamp_ns


@given(twists)
def test_poses_survive(xi):
    T = se3.expmap(xi)
    np.testing.assert_allclose(conv.pose_from_message(conv.pose_to_message(T)), T, atol=1e-12)


@given(matrices)
def test_covariances_survive(matrix):
    values = conv.covariance_to_message(matrix)
    np.testing.assert_array_equal(conv.covariance_from_message(values), matrix)


def test_a_covariance_is_translation_first_in_ros():
    values = conv.covariance_to_message(np.diag([1.0, 2, 3, 4, 5, 6])).reshape(6, 6)
    assert np.diag(values).tolist() == [4, 5, 6, 1, 2, 3]


def test_a_transform_names_its_frames():
    T = se3.expmap([0.1, 0.2, 0.3, 1.0, 2.0, 3.0])
    message = conv.transform_to_message(T, 5, 'map', 'odom')
    assert (message.header.frame_id, message.child_frame_id) == ('map', 'odom')
    t = message.transform.translation
    np.testing.assert_allclose([t.x, t.y, t.z], T[:3, 3])


@pytest.mark.parametrize('shape', [(4, 6), (4, 6, 3)])
@pytest.mark.parametrize('is_contiguous', [True, False])
def test_images_survive(shape, is_contiguous):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    image = image if is_contiguous else image[:, ::-1]
    np.testing.assert_array_equal(
        conv.image_from_message(conv.image_to_message(image, Header())), image
    )


def test_depth_survives_exactly():
    depth = np.random.default_rng(0).random((4, 6), np.float32)
    np.testing.assert_array_equal(
        conv.depth_from_message(conv.depth_to_message(depth, Header())), depth
    )


@pytest.mark.parametrize('num_bytes', [1, 47, 44, 52])
def test_depth_of_another_size_is_refused(num_bytes):
    message = conv.depth_to_message(np.ones((3, 4), np.float32), conv.make_header(0, 'camera'))
    message.data = bytes(num_bytes)
    with pytest.raises(InputError, match=f'has {num_bytes} bytes instead of 48'):
        conv.depth_from_message(message)


def test_depth_in_millimetres_is_read():
    message = conv.depth_to_message(np.zeros((1, 2), np.float32), Header())
    message.encoding, message.data = '16UC1', conv.packed(np.array([1500, 0]), 'H').tobytes()
    np.testing.assert_allclose(conv.depth_from_message(message), [[1.5, 0.0]])


def test_an_image_with_too_little_data_is_refused():
    message = conv.image_to_message(np.zeros((4, 6), np.uint8), Header())
    message.height = 5
    with pytest.raises(InputError, match='24 bytes instead of 30'):
        conv.image_from_message(message)


def test_cameras_survive():
    camera = PinholeCamera(640, 480, 600.0, 601.0, 320.0, 240.0, (0.1, 0.2, 0.3, 0.4, 0.5))
    assert conv.camera_from_message(conv.camera_to_message(camera, Header())) == camera


def test_odometry_moves_into_the_map_with_its_covariance():
    message = Odometry(child_frame_id='base_link')
    message.header = conv.make_header(7, 'odom')
    message.pose.pose = conv.pose_to_message(se3.make_pose(translation=(1.0, 0.0, 0.0)))
    message.pose.covariance = np.diag([1.0, 4, 9, 1, 4, 9]).reshape(36)
    quarter_turn = se3.expmap([0, 0, np.pi / 2, 0, 0, 0])
    out = conv.corrected_odometry(message, quarter_turn, 'map')
    assert (out.header.frame_id, out.child_frame_id) == ('map', 'base_link')
    np.testing.assert_allclose(
        conv.pose_from_message(out.pose.pose)[:3, 3], [0.0, 1.0, 0.0], atol=1e-12
    )
    covariance = np.asarray(out.pose.covariance).reshape(6, 6)
    np.testing.assert_allclose(np.diag(covariance), [4, 1, 9, 4, 1, 9], atol=1e-9)
