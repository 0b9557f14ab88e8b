"""The correction of keyframes, carried to the frames between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.evaluation.correction import corrected_trajectory
from s3e_gnn_ros.geometry.se3 import expmap, make_pose
from s3e_gnn_ros.geometry.trajectory import Trajectory

STAMPS = np.arange(5, dtype=np.int64) * 100


def line(num=5):
    poses = np.tile(np.eye(4), (num, 1, 1))
    poses[:, 0, 3] = np.arange(num)
    return Trajectory(STAMPS[:num], poses)


def random_poses(num, seed):
    rng = np.random.default_rng(seed)
    return np.array([expmap(xi) for xi in rng.normal(0, 2, (num, 6))])


@given(st.integers(0, 1000))
def test_keyframes_get_exactly_their_optimised_pose(seed):
    odometry = Trajectory(STAMPS, random_poses(5, seed))
    rows = np.array([0, 2, 4])
    optimised = random_poses(3, seed + 1)
    out = corrected_trajectory(odometry, STAMPS[rows], odometry.poses[rows], optimised)
    np.testing.assert_allclose(out.poses[rows], optimised, atol=1e-9)


@given(st.integers(0, 1000))
def test_one_correction_for_all_moves_the_path_as_a_whole(seed):
    odometry = Trajectory(STAMPS, random_poses(5, seed))
    T_map_odom = random_poses(1, seed + 1)[0]
    rows = np.array([1, 3])
    poses = odometry.poses[rows]
    out = corrected_trajectory(odometry, STAMPS[rows], poses, T_map_odom @ poses)
    np.testing.assert_allclose(out.poses, T_map_odom @ odometry.poses, atol=1e-9)


def test_blend_by_hand():
    odometry = line()
    optimised = odometry.poses[[1, 3]].copy()
    optimised[1, 1, 3] = 0.4  # the later keyframe moves by 0.4 m in y
    out = corrected_trajectory(odometry, STAMPS[[1, 3]], odometry.poses[[1, 3]], optimised)
    np.testing.assert_allclose(out.poses[:, 1, 3], [0, 0, 0.2, 0.4, 0.4], atol=1e-12)
    np.testing.assert_allclose(out.poses[:, 0, 3], np.arange(5), atol=1e-12)


def test_far_from_the_origin_the_blend_stays_close():
    """Half of a turn about a keyframe 1 km out must not cut the corner."""
    poses = np.array([make_pose(None, [1000.0 + x, 0, 0]) for x in (0, 0.5, 1)])
    odometry = Trajectory(STAMPS[:3], poses)
    optimised = poses[[0, 2]].copy()
    optimised[1, :3, :3] = expmap([0, 0, 0.2, 0, 0, 0])[:3, :3]
    out = corrected_trajectory(odometry, STAMPS[[0, 2]], poses[[0, 2]], optimised)
    assert np.linalg.norm(out.poses[1, :3, 3] - poses[1, :3, 3]) < 0.1


def test_nothing_is_blended_over_a_change_of_session():
    odometry = line()
    optimised = odometry.poses[[1, 3]].copy()
    optimised[1, 1, 3] = 0.4
    keyframes = odometry.poses[[1, 3]]
    sessions = np.array([7, 8])
    out = corrected_trajectory(odometry, STAMPS[[1, 3]], keyframes, optimised, sessions)
    np.testing.assert_allclose(out.poses[:, 1, 3], [0, 0, 0, 0.4, 0.4], atol=1e-12)


@pytest.mark.parametrize('num_frames', [0, 5])
def test_without_keyframes_odometry_stays(num_frames):
    odometry = line(num_frames)
    none = np.zeros((0, 4, 4))
    assert corrected_trajectory(odometry, STAMPS[:0], none, none) is odometry
