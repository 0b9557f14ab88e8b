import numpy as np

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.map_poses import MapPoses
from s3e_gnn_ros.types import KeyframeKey

T_MAP_ODOM = se3.expmap([0.1, -0.3, 0.2, 4.0, 5.0, 6.0])


def step(number):
    return se3.expmap([0, 0.1 * number, 0, 0.5 * number, 0, 0])


def driven(*sessions):
    poses = MapPoses()
    for session in sessions:
        for number in range(4):
            poses.add(KeyframeKey(session, number), step(number))
    return poses


def test_before_any_correction_the_first_odometry_is_the_map():
    poses = driven(1, 2)
    np.testing.assert_array_equal(poses.pose(KeyframeKey(1, 2)), step(2))
    assert poses.pose(KeyframeKey(2, 2)) is None
    assert poses.pose(KeyframeKey(3, 0)) is None


def test_corrected_poses_and_odometry_since():
    poses = driven(1)
    corrected = np.array([step(0), T_MAP_ODOM @ step(1)])
    poses.set_poses([KeyframeKey(1, 0), KeyframeKey(1, 1)], corrected)
    np.testing.assert_array_equal(poses.pose(KeyframeKey(1, 0)), step(0))
    for number in (1, 2, 3):
        found = poses.pose(KeyframeKey(1, number))
        np.testing.assert_allclose(found, T_MAP_ODOM @ step(number), atol=1e-12)


def test_a_session_that_nothing_ties_to_the_map_has_no_pose_in_it():
    poses = driven(1, 2)
    poses.set_poses([KeyframeKey(2, 0)], T_MAP_ODOM[None])
    assert poses.pose(KeyframeKey(1, 0)) is None
    assert poses.pose(KeyframeKey(2, 3)) is not None
    keys = [KeyframeKey(1, 1), KeyframeKey(2, 1)]
    table = poses.table(keys)
    assert np.isnan(table[0]).all()
    np.testing.assert_allclose(table[1], T_MAP_ODOM @ step(1), atol=1e-12)
    comparable, frames = poses.comparable(keys)
    np.testing.assert_array_equal(comparable[0], step(1))
    assert frames.tolist() == [1, 0]


def test_what_is_not_known_says_nothing():
    poses = driven(1)
    poses.set_poses([KeyframeKey(1, 1)], np.full((1, 4, 4), np.nan))
    poses.set_poses([KeyframeKey(5, 5)], T_MAP_ODOM[None])
    np.testing.assert_array_equal(poses.pose(KeyframeKey(1, 1)), step(1))
    assert poses.pose(KeyframeKey(5, 5)) is None
    assert len(poses) == 4


def test_a_removed_keyframe_has_no_pose():
    poses = driven(1)
    poses.set_poses([KeyframeKey(1, 3)], T_MAP_ODOM[None])
    poses.remove(KeyframeKey(1, 3))
    assert poses.pose(KeyframeKey(1, 3)) is None
    assert poses.pose(KeyframeKey(1, 2)) is not None  # still by the correction it brought
    assert len(poses) == 3
