"""Odometry at a moment: the same as the offline trajectory says, whenever it can be known."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.ros.odometry_buffer import CAPACITY_S, Lookup, OdometryBuffer

T_BODY_CAMERA = se3.expmap([0.3, -0.2, 0.1, 0.5, 0.6, 0.7])


@given(
    st.lists(st.integers(0, 3_000_000_000), min_size=1, max_size=20, unique=True),
    st.integers(0, 3_000_000_000),
    st.booleans(),
)
def test_answers_are_those_of_the_trajectory(stamps, asked, is_exact):
    stamps.sort()
    asked = stamps[asked % len(stamps)] if is_exact else asked
    rng = np.random.default_rng(len(stamps))
    poses = np.array([se3.expmap(rng.normal(size=6)) for _ in stamps])
    buffer = OdometryBuffer(max_gap_s=0.5)
    for stamp, pose in zip(stamps, poses, strict=True):
        assert buffer.add(stamp, pose)
    expected = Trajectory(np.array(stamps), poses @ T_BODY_CAMERA).at(asked, 0.5)
    answer = buffer.at(asked, T_BODY_CAMERA)
    if expected is None:
        assert isinstance(answer, Lookup)
        assert (answer is Lookup.TOO_EARLY_TO_TELL) == (asked > stamps[-1])
    else:
        np.testing.assert_array_equal(answer, expected)


def test_old_poses_are_forgotten():
    buffer = OdometryBuffer(0.5)
    step_ns = 50_000_000
    for i in range(4096):
        buffer.add(i * step_ns, np.eye(4))
    assert len(buffer) <= CAPACITY_S * 1e9 / step_ns + 257
    assert buffer.at(0, np.eye(4)) is Lookup.BEFORE_ODOMETRY


def test_what_is_not_newer_is_ignored():
    buffer = OdometryBuffer(0.5)
    assert buffer.add(10, np.eye(4))
    assert not buffer.add(10, np.eye(4))
    assert not buffer.add(9, np.eye(4))
    assert len(buffer) == 1


def test_poses_close_together_do_not_fill_the_memory_either():
    buffer = OdometryBuffer(0.5, capacity=300)
    for i in range(2000):
        assert buffer.add(i, np.eye(4))
        assert len(buffer) <= 300 + 256
    assert buffer.newest_ns == 1999
    assert buffer.at(1999 - 299, np.eye(4)) is not Lookup.BEFORE_ODOMETRY
    buffer.clear()
    assert buffer.newest_ns is None
