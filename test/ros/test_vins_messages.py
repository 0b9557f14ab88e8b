"""The layout of VINS-Mono's feedback, number by number."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from hypothesis import given
from hypothesis import strategies as st
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.vins_messages import (
    match_points_message,
    relative_yaw_deg,
    relo_pose_from_message,
)

STAMP_NS = 1_700_000_123_456_789_012


def test_match_points_number_by_number():
    # A quarter turn about z: quaternion (w, x, y, z) = (sqrt 1/2, 0, 0, sqrt 1/2).
    T_world_old = np.array(
        [[0.0, -1.0, 0, 1.5], [1.0, 0, 0, -2.25], [0, 0, 1.0, 0.5], [0, 0, 0, 1.0]]
    )
    points_old = np.array([[0.25, -0.5], [0.125, 0.75], [-0.375, 0.0625]])
    message = match_points_message(
        STAMP_NS, 137, points_old, np.array([907, 12, 300]), T_world_old
    )
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1_700_000_123, 456_789_012)
    # By increasing track number: the estimator looks for them in this order.
    assert [(p.x, p.y, p.z) for p in message.points] == [
        (0.125, 0.75, 12.0),
        (-0.375, 0.0625, 300.0),
        (0.25, -0.5, 907.0),
    ]
    (channel,) = message.channels
    half = np.sqrt(0.5)
    expected = [1.5, -2.25, 0.5, half, 0.0, 0.0, half, 137.0]
    np.testing.assert_allclose(channel.values, expected, atol=1e-6)


def test_match_points_byte_by_byte():
    T_world_old = se3.make_pose(translation=(1.5, -2.25, 0.5))
    message = match_points_message(
        STAMP_NS, 137, np.array([[0.25, -0.5]]), np.array([907]), T_world_old
    )
    expected = (
        b'\x00\x01\x00\x00'  # CDR, little endian
        + u4(1_700_000_123, 456_789_012)
        + u4(1) + b'\x00\x00\x00\x00'  # an empty frame_id with its end, padded
        + u4(1) + f4(0.25, -0.5, 907.0)
        + u4(1)
        + u4(1) + b'\x00\x00\x00\x00'  # the channel has no name
        + u4(8) + f4(1.5, -2.25, 0.5, 1.0, 0.0, 0.0, 0.0, 137.0)
    )  # fmt: skip
    found = bytearray(serialize_message(message))
    for padding in (17, 45):  # whatever was in memory
        found[padding : padding + 3] = bytes(3)
    assert bytes(found) == expected


def f4(*values):
    return np.array(values, '<f4').tobytes()


def u4(*values):
    return np.array(values, '<u4').tobytes()


def test_a_track_number_that_comes_twice_is_sent_once():
    points = np.array([[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    message = match_points_message(1, 0, points, np.array([5, 4, 5]), np.eye(4))
    assert [p.z for p in message.points] == [4.0, 5.0]
    assert message.points[1].x == pytest.approx(0.1)


def answer(index, T=None):
    message = Odometry()
    message.pose.pose = conv.pose_to_message(np.eye(4) if T is None else T)
    message.twist.twist.linear.x = 12.0
    message.twist.twist.linear.y = float(index)
    return message


def test_the_answer_is_read_back():
    T = se3.expmap([0.1, -0.2, 0.3, 1.0, 2.0, 3.0])
    index, T_old_current = relo_pose_from_message(answer(41, T))
    assert index == 41
    np.testing.assert_allclose(T_old_current, T, atol=1e-12)


@pytest.mark.parametrize('index', [-1.0, 0.5, float('nan'), float('inf'), 2.0**24])
def test_an_answer_without_a_keyframe_is_dropped(index):
    with pytest.raises(DropError, match='relo_relative_pose'):
        relo_pose_from_message(answer(index))


def test_an_answer_without_a_pose_is_dropped():
    message = answer(1)
    message.pose.pose.orientation.w = 0.0
    with pytest.raises(InputError, match='quaternion'):
        relo_pose_from_message(message)


@given(
    st.floats(-180, 180),
    st.floats(-179, 179),
    st.floats(-60, 60),
    st.floats(-60, 60),
    st.floats(-5, 5),
)
def test_yaw_is_the_difference_of_the_yaws_in_the_world(yaw_old, turn, pitch, roll, x):
    def pose(yaw, pitch, roll):
        R = Rotation.from_euler('ZYX', [yaw, pitch, roll], degrees=True).as_matrix()
        return se3.make_pose(R, (x, 1.0, 2.0))

    T_old, T_current = pose(yaw_old, pitch, roll), pose(yaw_old + turn, roll, pitch)
    found = relative_yaw_deg(T_current, se3.inverse(T_old) @ T_current)
    assert found == pytest.approx(turn, abs=1e-6)
