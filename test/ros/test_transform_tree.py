"""TF's tree: chains in both directions, at the moment asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.odometry_buffer import Lookup
from s3e_gnn_ros.ros.transform_tree import TransformTree

MS = 1_000_000
GAP_S = 0.5
twists = st.lists(st.floats(-2, 2), min_size=6, max_size=6).map(se3.expmap)


@given(twists, twists, twists, twists)
def test_a_chain_goes_up_and_down(T_odom_base, T_base_link, T_link_camera, T_base_laser):
    tree = TransformTree(GAP_S)
    tree.add('/odom', 'base', 5 * MS, T_odom_base)
    tree.add_fixed('base', 'link', T_base_link)
    tree.add_fixed('link', '/camera', T_link_camera)
    tree.add_fixed('base', 'laser', T_base_laser)
    expected = T_odom_base @ T_base_link @ T_link_camera
    np.testing.assert_allclose(tree.at('odom', 'camera', 5 * MS), expected, atol=1e-12)
    np.testing.assert_allclose(tree.at('camera', 'odom', 5 * MS), se3.inverse(expected), atol=1e-9)
    np.testing.assert_allclose(
        tree.newest('laser', 'camera'),
        se3.inverse(T_base_laser) @ T_base_link @ T_link_camera,
        atol=1e-9,
    )
    assert tree.newest_ns('laser', 'camera') is None  # nothing moves between these two
    assert tree.at('odom', 'odom', 0) is not None


@pytest.fixture
def tree():
    """Return a tree of odometry at 20 Hz beneath a correction at 10 Hz."""
    tree = TransformTree(GAP_S)
    for i in range(11):
        tree.add('odom', 'base', i * 50 * MS, se3.make_pose(None, (0.1 * i, 0, 0)))
        if i % 2 == 0 and i < 10:
            tree.add('map', 'odom', i * 50 * MS, se3.make_pose(None, (0, 0.1 * i, 0)))
    return tree


def test_moving_transforms_are_interpolated_each_by_itself(tree):
    assert tree.newest_ns('odom', 'base') == 500 * MS
    assert tree.newest_ns('map', 'base') == 400 * MS
    np.testing.assert_allclose(tree.at('odom', 'base', 75 * MS)[:3, 3], (0.15, 0, 0), atol=1e-12)
    np.testing.assert_allclose(tree.at('map', 'base', 75 * MS)[:3, 3], (0.15, 0.15, 0), atol=1e-12)
    assert tree.at('map', 'base', 450 * MS) is Lookup.TOO_EARLY_TO_TELL
    assert tree.at('odom', 'base', -1) is Lookup.BEFORE_ODOMETRY


def test_frames_that_are_not_connected_have_no_transform(tree):
    assert tree.at('odom', 'elsewhere', 0) is None
    assert tree.newest('odom', 'elsewhere') is None
    assert tree.newest_ns('odom', 'elsewhere') is None


def test_a_recording_that_starts_again_is_taken(tree):
    tree.add('odom', 'base', 450 * MS, np.eye(4))  # a late message is not
    assert tree.newest_ns('odom', 'base') == 500 * MS
    tree.add('odom', 'base', -600 * MS, np.eye(4))
    assert tree.newest_ns('odom', 'base') == -600 * MS


def test_a_frame_may_get_another_parent(tree):
    tree.add('elsewhere', 'base', 600 * MS, np.eye(4))
    assert tree.at('odom', 'base', 100 * MS) is None
    assert tree.newest_ns('elsewhere', 'base') == 600 * MS


def test_a_circle_is_no_endless_loop(tree):
    tree.add_fixed('base', 'map', np.eye(4))
    tree.at('map', 'nowhere', 0)


def test_transforms_without_end_do_not_fill_the_memory():
    tree = TransformTree(GAP_S)
    for i in range(10_000):
        tree.add('odom', 'base', i, np.eye(4))
    assert len(tree._edges['base'].moving) <= 2_256
