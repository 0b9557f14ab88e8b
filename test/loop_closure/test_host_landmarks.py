import numpy as np
import pytest
from synthetic import World, look_at, random_wall_points

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.host_landmarks import add_host_landmarks

T_WORLD_CAMERA = look_at([-0.6, -0.2, 1.2], [1.4, 0.8, 3.7])


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    world = World(random_wall_points(50, rng), rng)
    found = world.features(T_WORLD_CAMERA)
    found.landmarks_m[5:] = np.nan
    return found


def test_where_depth_says_nothing_the_front_end_does(features):
    given = np.array([[0.1, 0.2, 3.0], [0.0, 0.0, 9.0], [np.nan] * 3, [0.3, 0.1, -1.0]])
    rows = [7, 2, 8, 9]  # unknown, known by depth, unknown to both, behind the camera
    completed = add_host_landmarks(features, features.points_px[rows], given)
    np.testing.assert_array_equal(completed.landmarks_m[7], given[0])
    np.testing.assert_array_equal(completed.landmarks_m[2], features.landmarks_m[2])
    assert np.flatnonzero(completed.has_landmark).tolist() == [0, 1, 2, 3, 4, 7]
    assert features.has_landmark.sum() == 5  # the old ones stay as they are


def test_keypoints_that_became_no_feature_are_passed_over(features):
    keypoints = np.array([[0.5, 0.5], [1.5, 2.5]])
    completed = add_host_landmarks(features, keypoints, np.ones((2, 3)))
    assert completed.has_landmark.sum() == 5


@pytest.mark.parametrize('shape', [(3, 3), (2, 2), (2,)])
def test_landmarks_of_another_number_are_refused(features, shape):
    with pytest.raises(InputError, match=r'instead of \(2, 3\)'):
        add_host_landmarks(features, features.points_px[:2], np.ones(shape))
