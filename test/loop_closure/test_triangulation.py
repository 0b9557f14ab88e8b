from dataclasses import replace

import numpy as np
import pytest
from synthetic import CAMERA, World, look_at, random_wall_points

from s3e_gnn_ros.config import VerificationConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.triangulation import triangulate, triangulate_pairs
from s3e_gnn_ros.types import Frame, Keyframe

MAX_ERROR = 2.0 / 500.0


def see(points, T_b_a):
    """Return the points of camera a on the plane z = 1 of both cameras."""
    in_b = se3.transform_points(T_b_a, points)
    return points[:, :2] / points[:, 2:], in_b[:, :2] / in_b[:, 2:]


@pytest.mark.parametrize('xi', [[0, 0, 0, 0.3, 0, 0], [0.1, -0.2, 0.3, 0.2, -0.3, 0.4]])
def test_depth_is_recovered(xi):
    rng = np.random.default_rng(0)
    points = rng.uniform([-1, -1, 1.5], [1, 1, 5.0], (50, 3))
    T_b_a = se3.expmap(xi)
    found, good = triangulate_pairs(*see(points, T_b_a), T_b_a, MAX_ERROR)
    assert good.mean() > 0.9
    np.testing.assert_allclose(found[good], points[good], atol=1e-6)


def test_low_parallax_is_refused():
    points = np.array([[0.0, 0.0, 2.0], [0.0, 0.0, 40.0]])
    T_b_a = se3.make_pose(None, [0.2, 0, 0])  # 5.7 deg and 0.3 deg
    _, good = triangulate_pairs(*see(points, T_b_a), T_b_a, MAX_ERROR)
    assert good.tolist() == [True, False]


def test_points_behind_are_refused():
    points = np.array([[0.1, 0.0, 2.0], [0.1, 0.0, -2.0]])
    T_b_a = se3.make_pose(None, [0.3, 0, 0])
    _, good = triangulate_pairs(*see(points, T_b_a), T_b_a, MAX_ERROR)
    assert good.tolist() == [True, False]
    # In front of a and behind b, which has gone past it.
    T_b_a = se3.make_pose(None, [0.3, 0, -3.0])
    _, good = triangulate_pairs(*see(points[:1], T_b_a), T_b_a, MAX_ERROR)
    assert not good.any()


def test_rays_that_miss_each_other_are_refused():
    points = np.array([[0.0, 0.0, 2.0], [0.2, 0.1, 2.0]])
    T_b_a = se3.make_pose(None, [0.3, 0, 0])
    points_a, points_b = see(points, T_b_a)
    points_b[1, 1] += 5 * MAX_ERROR  # off the epipolar line
    _, good = triangulate_pairs(points_a, points_b, T_b_a, MAX_ERROR)
    assert good.tolist() == [True, False]


def test_no_pairs_and_no_baseline():
    points, good = triangulate_pairs(np.zeros((0, 2)), np.zeros((0, 2)), np.eye(4), MAX_ERROR)
    assert points.shape == (0, 3)
    assert good.shape == (0,)
    same = np.zeros((3, 2))
    assert not triangulate_pairs(same, same, np.eye(4), MAX_ERROR)[1].any()


def keyframe(number, features, T):
    frame = Frame(number, np.zeros((240, 320), np.uint8), CAMERA, None, T)
    return Keyframe(number, 1, frame, features)


@pytest.fixture
def neighbours():
    """Three keyframes 20 cm from each other, without landmarks, and the world they see."""
    rng = np.random.default_rng(4)
    world = World(random_wall_points(300, rng), rng)
    poses = [look_at([-0.6 + 0.2 * i, -0.2, 1.0], [1.4, 0.8, 3.7]) for i in range(3)]
    made = [
        keyframe(i, world.features(T, with_landmarks=False, noise_px=0.2), T)
        for i, T in enumerate(poses)
    ]
    return world, made


def true_landmarks(world, keyframe):
    where = {bytes(d): p for d, p in zip(world.descriptors, world.points, strict=True)}
    points = np.array([where[bytes(d)] for d in keyframe.features.descriptors])
    return se3.transform_points(se3.inverse(keyframe.T_odom_camera), points)


def test_neighbours_give_landmarks(neighbours):
    world, (first, second, last) = neighbours
    features = triangulate(last, [first, second], VerificationConfig())
    known = features.has_landmark
    assert known.mean() > 0.7
    error = np.linalg.norm(features.landmarks_m - true_landmarks(world, last), axis=1)
    assert np.median(error[known]) < 0.03
    # The wider baseline comes first, and wins.
    wide = triangulate(last, [first], VerificationConfig())
    both = wide.has_landmark
    np.testing.assert_array_equal(features.landmarks_m[both], wide.landmarks_m[both])
    assert last.features.has_landmark.sum() == 0  # the input stays as it was


def test_known_landmarks_are_kept(neighbours):
    _, (first, _, last) = neighbours
    landmarks = last.features.landmarks_m.copy()
    landmarks[::2] = 7.0
    last = replace(last, features=replace(last.features, landmarks_m=landmarks))
    features = triangulate(last, [first], VerificationConfig())
    np.testing.assert_array_equal(features.landmarks_m[::2], landmarks[::2])
    assert features.has_landmark[1::2].any()


@pytest.mark.parametrize('baseline_m', [0.0, 3.5])
def test_neighbours_at_the_same_place_or_far_away_give_none(neighbours, baseline_m):
    _, (first, _, last) = neighbours
    T = last.T_odom_camera @ se3.make_pose(None, [-baseline_m, 0, 0])
    other = keyframe(0, first.features, T)
    assert not triangulate(last, [other], VerificationConfig()).has_landmark.any()
    assert not triangulate(last, [], VerificationConfig()).has_landmark.any()
