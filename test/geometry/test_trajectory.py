import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import interpolate, make_pose
from s3e_gnn_ros.geometry.trajectory import Trajectory

START_NS = 1_700_000_000_000_000_000


def line(stamps_ns):
    """One metre per second along x."""
    stamps = np.array(stamps_ns, dtype=np.int64)
    poses = np.array([make_pose(None, [(s - START_NS) * 1e-9, 0, 0]) for s in stamps.tolist()])
    return Trajectory(stamps, poses.reshape(-1, 4, 4))


@given(st.integers(0, 400_000_000))
def test_between_stamps_the_pose_is_interpolated(offset_ns):
    trajectory = line(START_NS + np.arange(5) * 100_000_000)
    T = trajectory.at(START_NS + offset_ns)
    np.testing.assert_allclose(T, make_pose(None, [offset_ns * 1e-9, 0, 0]), atol=1e-7)


def test_rotation_is_interpolated_too():
    quarter = make_pose([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    trajectory = Trajectory(np.array([0, 1000]), np.array([np.eye(4), quarter]))
    np.testing.assert_allclose(trajectory.at(250), interpolate(np.eye(4), quarter, 0.25))


def test_at_a_stamp_the_pose_is_exact():
    trajectory = line([START_NS, START_NS + 7, START_NS + 10_000_000_000])
    for stamp, T in zip(trajectory.stamps_ns.tolist(), trajectory.poses, strict=True):
        np.testing.assert_array_equal(trajectory.at(stamp), T)


def test_outside_and_in_a_gap_there_is_no_pose():
    trajectory = line([START_NS, START_NS + 600_000_000])
    assert trajectory.at(START_NS - 1) is None
    assert trajectory.at(START_NS + 600_000_001) is None
    assert trajectory.at(START_NS + 300_000_000) is None
    assert trajectory.at(START_NS + 300_000_000, max_gap_s=0.6) is not None


def test_an_empty_trajectory_knows_nothing():
    empty = Trajectory(np.zeros(0, dtype=np.int64), np.zeros((0, 4, 4)))
    assert len(empty) == 0
    assert empty.at(START_NS) is None


@pytest.mark.parametrize('stamps', [[5, 5], [5, 4], [1, 2, 3, 3]])
def test_stamps_must_increase(stamps):
    with pytest.raises(InputError, match=f'{stamps[-1]} ns follows {stamps[-2]} ns'):
        Trajectory(np.array(stamps), np.tile(np.eye(4), (len(stamps), 1, 1)))


def test_lengths_must_agree():
    with pytest.raises(InputError, match='2 stamps'):
        Trajectory(np.array([1, 2]), np.eye(4)[None])
