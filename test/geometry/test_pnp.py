import numpy as np
import pytest

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.pnp import Observations, refine_pose, solve_pnp_ransac

SIGMA = 1.0 / 500.0  # one pixel
THRESHOLD = 4.0 / 500.0
POSES = {
    'a step': se3.expmap([0.1, -0.2, 0.05, 0.4, -0.1, 0.3]),
    'upside down': se3.expmap([0.0, 0.0, np.pi - 1e-3, 0.2, 0.1, 0.0]),
    'a large yaw': se3.expmap([0.0, 1.2, 0.0, 0.0, 0.0, 0.0]) @ se3.make_pose(None, [3, 0, 1]),
}


def observe(T_a_b, num_points, rng, noise=SIGMA):
    """See random points, in front of camera a, from a; landmarks are given in b."""
    z = rng.uniform(1.5, 6.0, num_points)
    in_a = np.column_stack([rng.uniform(-0.5, 0.5, (num_points, 2)) * z[:, None], z])
    points = in_a[:, :2] / in_a[:, 2:] + rng.normal(0, noise, (num_points, 2))
    return Observations(se3.transform_points(se3.inverse(T_a_b), in_a), points, SIGMA)


def spoil(observations, share, rng):
    """See some landmarks at random places."""
    points = observations.points.copy()
    is_wrong = np.arange(len(points)) < share * len(points)
    points[is_wrong] = rng.uniform(-0.6, 0.6, (is_wrong.sum(), 2))
    return Observations(observations.landmarks_m, points, observations.sigma), is_wrong


def error(T, T_true):
    difference = se3.inverse(T) @ T_true
    return se3.translation_m(difference), se3.rotation_angle_deg(difference)


@pytest.mark.parametrize('T_a_b', POSES.values(), ids=POSES)
@pytest.mark.parametrize('seed', [0, 1])
def test_the_pose_is_found_among_40_percent_outliers(T_a_b, seed):
    rng = np.random.default_rng(seed)
    observations, is_wrong = spoil(observe(T_a_b, 150, rng), 0.4, rng)
    T, is_inlier = solve_pnp_ransac(observations, THRESHOLD, 500)
    distance_m, angle_deg = error(T, T_a_b)
    assert distance_m < 0.02
    assert angle_deg < 0.3
    assert is_inlier[~is_wrong].mean() > 0.95
    assert is_inlier[is_wrong].mean() < 0.05


def test_the_same_input_gives_the_same_pose():
    rng = np.random.default_rng(2)
    observations, _ = spoil(observe(POSES['a step'], 80, rng), 0.5, rng)
    first = solve_pnp_ransac(observations, THRESHOLD, 200)
    for _ in range(3):
        again = solve_pnp_ransac(observations, THRESHOLD, 200)
        np.testing.assert_array_equal(first[0], again[0])
        np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize('num_points', range(4))
def test_fewer_than_four_points_give_no_pose(num_points):
    observations = observe(POSES['a step'], num_points, np.random.default_rng(3))
    assert solve_pnp_ransac(observations, THRESHOLD, 100) is None


def test_landmarks_that_fit_no_pose_give_none():
    rng = np.random.default_rng(4)
    observations, _ = spoil(observe(POSES['a step'], 30, rng), 1.0, rng)
    assert solve_pnp_ransac(observations, 0.05 * SIGMA, 100) is None


@pytest.mark.parametrize('shape', ['point', 'line'])
def test_degenerate_landmarks_do_not_raise(shape):
    along = np.zeros(20) if shape == 'point' else np.linspace(0, 1, 20)
    landmarks = np.column_stack([along, np.zeros(20), np.full(20, 3.0)])
    observations = Observations(landmarks, landmarks[:, :2] / 3.0, SIGMA)
    solution = solve_pnp_ransac(observations, THRESHOLD, 100)
    assert solution is None or np.isfinite(solution[0]).all()


def test_a_point_behind_the_camera_is_no_inlier():
    observations = Observations(np.array([[0.0, 0.0, -2.0]]), np.zeros((1, 2)), SIGMA)
    assert np.abs(observations.residuals(np.eye(4))).min() > 100


@pytest.mark.parametrize('directions', ['a', 'b', 'both'])
def test_the_information_is_that_of_a_monte_carlo_run(directions):
    T_a_b = POSES['a step']
    rng = np.random.default_rng(5)
    errors, covariances = [], []
    seen_by_a = observe(T_a_b, 60, rng, noise=0.0)
    seen_by_b = observe(se3.inverse(T_a_b), 60, rng, noise=0.0)
    for _ in range(60):
        noisy = [
            Observations(o.landmarks_m, o.points + rng.normal(0, SIGMA, o.points.shape), SIGMA)
            for o in (seen_by_a, seen_by_b)
        ]
        start = T_a_b @ se3.expmap(rng.normal(0, 0.02, 6))
        T, information = refine_pose(
            start,
            None if directions == 'b' else noisy[0],
            None if directions == 'a' else noisy[1],
        )
        errors.append(se3.logmap(se3.inverse(T) @ T_a_b))
        covariances.append(np.linalg.inv(information))
    sampled = np.std(errors, axis=0)
    stated = np.sqrt(np.diag(np.mean(covariances, axis=0)))
    assert np.abs(np.mean(errors, axis=0) / sampled).max() < 0.5  # no bias
    # Variances within a factor 2; the stated ones rather too large than too small.
    ratio = (stated / sampled) ** 2
    assert ratio.min() > 0.5
    assert ratio.max() < 2.0 * 1.5  # 60 samples leave 18 % on a variance


def test_residuals_above_the_stated_sigma_lower_the_information():
    rng = np.random.default_rng(6)
    T_a_b = POSES['a step']
    _, sharp = refine_pose(T_a_b, observe(T_a_b, 200, rng, noise=SIGMA), None)
    _, blurred = refine_pose(T_a_b, observe(T_a_b, 200, rng, noise=4 * SIGMA), None)
    ratio = np.diag(sharp) / np.diag(blurred)
    assert ratio.min() > 4.0


def test_outliers_among_the_inliers_hardly_move_the_refined_pose():
    rng = np.random.default_rng(7)
    T_a_b = POSES['a step']
    observations = observe(T_a_b, 100, rng)
    points = observations.points.copy()
    points[:10] += 15 * SIGMA
    spoiled = Observations(observations.landmarks_m, points, SIGMA)
    T, _ = refine_pose(T_a_b, spoiled, None)
    distance_m, angle_deg = error(T, T_a_b)
    assert distance_m < 0.01
    assert angle_deg < 0.15


@pytest.mark.parametrize('directions', ['a', 'b', 'both'])
def test_no_small_step_from_the_refined_pose_lowers_the_loss(directions):
    """The derivatives are written by hand: at their minimum the loss itself must be least."""
    rng = np.random.default_rng(8)
    T_a_b = POSES['a large yaw']
    seen_by_a = spoil(observe(T_a_b, 80, rng), 0.1, rng)[0] if directions != 'b' else None
    seen_by_b = observe(se3.inverse(T_a_b), 80, rng) if directions != 'a' else None

    def loss(T):
        parts = []
        if seen_by_a is not None:
            parts.append(seen_by_a.residuals(T).ravel())
        if seen_by_b is not None:
            parts.append(seen_by_b.residuals(se3.inverse(T)).ravel())
        return (np.sqrt(1 + (np.concatenate(parts) / SIGMA) ** 2) - 1).sum()

    T, _ = refine_pose(T_a_b @ se3.expmap(rng.normal(0, 0.01, 6)), seen_by_a, seen_by_b)
    for step in 1e-5 * np.vstack([np.eye(6), -np.eye(6)]):
        assert loss(T @ se3.expmap(step)) > loss(T)


@pytest.mark.parametrize('seed', [545, 1152])
def test_a_wall_is_not_seen_from_its_other_side(seed):
    """Most of a small flat patch agrees with a pose turned the other way, too."""
    rng = np.random.default_rng(seed)
    landmarks = np.c_[rng.uniform(-0.35, 0.35, (120, 2)), 1.6 + rng.normal(0, 0.003, 120)]
    T_a_b = se3.expmap(np.array([0.0, 0.13, 0.0, 0.35, 0.02, -0.15]))
    seen = se3.transform_points(T_a_b, landmarks)
    points = seen[:, :2] / seen[:, 2:] + rng.normal(0, 0.005, (120, 2))
    is_wrong = rng.random(120) < 0.08
    points[is_wrong] = rng.uniform(-0.5, 0.5, (is_wrong.sum(), 2))
    found = solve_pnp_ransac(Observations(landmarks, points, 0.003), 0.0104, 500)
    assert found is not None
    assert se3.rotation_angle_deg(se3.inverse(T_a_b) @ found[0]) < 15.0
