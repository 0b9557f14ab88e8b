"""Two views of a synthetic world: what must be accepted, and a case for every rejection."""

from dataclasses import replace

import numpy as np
import pytest
import synthetic
from synthetic import CAMERA, CORNER, WALLS, World, look_at, random_wall_points

from s3e_gnn_ros.config import Config, FeatureConfig, VerificationConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure import verification
from s3e_gnn_ros.loop_closure.verification import Verifier
from s3e_gnn_ros.types import Status

TARGET = CORNER - [0.6, 0.4, 0.3]
FROM_THE_LEFT = look_at([-0.6, -0.2, 1.2], TARGET)
T_WORLD_MATCH = FROM_THE_LEFT
QUERIES = {
    'a step aside': look_at([-0.3, -0.3, 1.4], TARGET),
    'upside down': look_at([-0.5, -0.2, 1.3], TARGET, roll_deg=180.0),
    'rolled by 100 degrees': look_at([-0.5, -0.3, 1.0], TARGET, roll_deg=100.0),
    'a large yaw': look_at([1.2, -0.3, 0.6], TARGET),
}


@pytest.fixture
def world():
    rng = np.random.default_rng(11)
    return World(random_wall_points(500, rng), rng)


def verify(query, match, **changes):
    return Verifier(VerificationConfig(**changes), FeatureConfig()).verify(query, match)


def mahalanobis(result, T_match_query):
    xi = se3.logmap(se3.inverse(result.T_match_query) @ T_match_query)
    return xi @ np.linalg.solve(result.covariance, xi)


@pytest.mark.parametrize('walls', [None, WALLS], ids=['without depth', 'with depth'])
@pytest.mark.parametrize('landmarks', ['both', 'query', 'match'])
@pytest.mark.parametrize('T_world_query', QUERIES.values(), ids=QUERIES)
def test_a_loop_is_found_with_its_pose(world, T_world_query, landmarks, walls):
    match = world.view(3, T_WORLD_MATCH, with_landmarks=landmarks != 'query', walls=walls)
    query = world.view(40, T_world_query, with_landmarks=landmarks != 'match', walls=walls)
    result = verify(query, match)
    assert result.status == Status.LOOP_DETECTED
    T_match_query = se3.inverse(T_WORLD_MATCH) @ T_world_query
    difference = se3.inverse(result.T_match_query) @ T_match_query
    assert se3.translation_m(difference) < 0.02
    assert se3.rotation_angle_deg(difference) < 0.3
    # 22.5 is the 99.9 % point of chi-squared with 6 degrees of freedom.
    assert mahalanobis(result, T_match_query) < 22.5
    np.testing.assert_array_equal(result.covariance, result.covariance.T)
    assert np.linalg.eigvalsh(result.covariance).min() > 0
    assert np.sqrt(np.diag(result.covariance)[3:]).max() < 0.05
    assert result.inlier_ratio > 0.95
    assert result.num_inliers == result.is_inlier.sum() > 60


def test_matches_are_pairs_of_the_same_point(world):
    match, query = world.view(0, T_WORLD_MATCH), world.view(9, QUERIES['upside down'])
    result = verify(query, match)
    np.testing.assert_array_equal(
        query.features.descriptors[result.matches[:, 0]],
        match.features.descriptors[result.matches[:, 1]],
    )


def test_the_same_views_give_the_same_bits(world):
    match = world.view(0, T_WORLD_MATCH, walls=WALLS)
    query = world.view(9, QUERIES['a large yaw'], walls=WALLS)
    results = [verify(query, match) for _ in range(2)]
    np.testing.assert_array_equal(results[0].T_match_query, results[1].T_match_query)
    np.testing.assert_array_equal(results[0].covariance, results[1].covariance)
    np.testing.assert_array_equal(results[0].is_inlier, results[1].is_inlier)


def test_false_matches_are_left_out(world):
    match = world.view(0, T_WORLD_MATCH)
    query = world.view(9, QUERIES['a step aside'])
    rng = np.random.default_rng(1)
    features = query.features
    is_wrong = rng.random(len(features)) < 0.4
    points = features.points_px.copy()
    points[is_wrong] = rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (is_wrong.sum(), 2))
    query = replace(query, features=moved_to(features, points))
    result = verify(query, match)
    assert result.status == Status.LOOP_DETECTED
    assert not result.is_inlier[is_wrong[result.matches[:, 0]]].mean() > 0.05
    assert mahalanobis(result, se3.inverse(T_WORLD_MATCH) @ QUERIES['a step aside']) < 22.5


def moved_to(features, points_px):
    """See the features elsewhere, with their depth."""
    normalised = CAMERA.normalise(points_px)
    z = features.landmarks_m[:, 2]
    return replace(
        features,
        points_px=points_px.astype(np.float32),
        points_normalised=normalised,
        landmarks_m=np.column_stack([normalised * z[:, None], z]),
    )


def pair(world, T_world_query=QUERIES['a step aside'], **options):
    return world.view(9, T_world_query, **options), world.view(0, T_WORLD_MATCH, **options)


def assert_rejected(result, status):
    assert result.status == status
    assert result.T_match_query is None
    assert result.covariance is None


def test_too_few_matches(world):
    rng = np.random.default_rng(5)
    query, _ = pair(world)
    stranger = World(random_wall_points(500, rng), rng).view(0, T_WORLD_MATCH)
    assert_rejected(verify(query, stranger), Status.TOO_FEW_MATCHES)


@pytest.mark.parametrize('num_left', [0, 1, 19])
def test_too_few_matches_of_few_features(world, num_left):
    query, match = pair(world)
    few = synthetic.select_features(query.features, np.arange(num_left))
    assert_rejected(verify(replace(query, features=few), match), Status.TOO_FEW_MATCHES)
    assert_rejected(verify(match, replace(query, features=few)), Status.TOO_FEW_MATCHES)


def test_no_landmarks(world):
    result = verify(*pair(world, with_landmarks=False))
    assert_rejected(result, Status.NO_LANDMARKS)
    assert len(result.matches) > 20


def test_no_geometrical_consistency(world):
    query, match = pair(world)
    rng = np.random.default_rng(6)
    points = rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (len(query.features), 2))
    query = replace(query, features=moved_to(query.features, points))
    result = verify(query, match, max_reprojection_error_px=0.1, ransac_iterations=10)
    assert_rejected(result, Status.NO_GEOMETRICAL_CONSISTENCY)


def with_wrong_share(world, num_matches, num_wrong):
    """Return a pair of views with that many matches, the wrong ones seen at random places."""
    query, match = pair(world, with_landmarks=True)
    seen = np.flatnonzero(
        (query.features.descriptors[:, None] == match.features.descriptors[None]).all(2).any(1)
    )[:num_matches]
    assert len(seen) == num_matches
    features = synthetic.select_features(query.features, seen)
    rng = np.random.default_rng(8)
    points = features.points_px.copy()
    points[:num_wrong] = rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (num_wrong, 2))
    return replace(query, features=moved_to(features, points)), match


def test_too_few_inliers(world):
    result = verify(*with_wrong_share(world, 30, 15))
    assert_rejected(result, Status.TOO_FEW_INLIERS)
    assert 15 <= result.num_inliers < 20


def test_low_inlier_ratio(world):
    views = with_wrong_share(world, 100, 60)
    assert verify(*views).status == Status.LOOP_DETECTED
    result = verify(*views, min_inlier_ratio=0.6)
    assert_rejected(result, Status.LOW_INLIER_RATIO)
    assert result.inlier_ratio == pytest.approx(0.4, abs=0.1)


def test_inliers_too_concentrated():
    rng = np.random.default_rng(9)
    # A poster of 20 cm, seen from 3 m: 16 of 320 pixels.
    points = rng.uniform([1.2, 0.6, 4.0], [1.4, 0.8, 4.0], (80, 3))
    result = verify(*pair(World(points, rng)))
    assert_rejected(result, Status.INLIERS_TOO_CONCENTRATED)


def test_forward_and_backward_disagree(world):
    """Each camera believes the room to be of another size."""
    query, match = pair(world, QUERIES['a large yaw'])
    scaled = replace(match.features, landmarks_m=match.features.landmarks_m * 1.3)
    result = verify(query, replace(match, features=scaled))
    assert_rejected(result, Status.FORWARD_BACKWARD_DISAGREE)


@pytest.mark.parametrize('refine', [True, False])
def test_depth_that_shows_a_wall_in_free_space_disagrees(world, refine):
    query, match = pair(world, walls=WALLS)
    in_front = replace(query.depth, depth_m=np.full_like(query.depth.depth_m, 0.8))
    result = verify(replace(query, depth=in_front), match, refine_with_depth=refine)
    assert_rejected(result, Status.DEPTH_DISAGREES)


def test_depth_without_overlap_disagrees(world):
    query, match = pair(world, walls=WALLS)
    nothing = replace(query.depth, depth_m=np.zeros_like(query.depth.depth_m))
    assert_rejected(verify(replace(query, depth=nothing), match), Status.DEPTH_DISAGREES)


def test_a_patch_of_depth_that_agrees_is_too_little(world):
    query, match = pair(world, walls=WALLS)
    depth_m = np.zeros_like(match.depth.depth_m)
    depth_m[55:65, 75:85] = match.depth.depth_m[55:65, 75:85]
    match = replace(match, depth=replace(match.depth, depth_m=depth_m))
    assert verify(query, match, min_depth_overlap=0.001).status == Status.LOOP_DETECTED
    assert_rejected(verify(query, match), Status.DEPTH_DISAGREES)


def test_depth_that_pulls_the_pose_away_disagrees(world):
    """The depth image was taken 15 cm to the side of where the colour image was."""
    query, match = pair(world, walls=WALLS)
    T_world_shifted = QUERIES['a step aside'] @ se3.make_pose(None, [0.0, 0.0, 0.15])
    depth_m = synthetic.render_depth(synthetic.DEPTH_CAMERA, T_world_shifted)
    query = replace(query, depth=replace(query.depth, depth_m=depth_m))
    options = {'max_alignment_m': 0.5, 'min_depth_agreement': 0.0}
    assert verify(query, match, **options).status == Status.LOOP_DETECTED
    result = verify(query, match, max_disagreement_m=0.08, **options)
    assert_rejected(result, Status.DEPTH_DISAGREES)


def test_landmarks_too_far_away_leave_the_pose_uncertain():
    rng = np.random.default_rng(10)
    z = rng.uniform(60.0, 80.0, 60)
    points = np.column_stack([rng.uniform(-0.5, 0.5, (60, 2)) * z[:, None], z])
    world = World(points, rng)
    views = [
        world.view(i, se3.make_pose(None, [0.3 * i, 0, 0]), noise_px=1.5, noise_m=0.5)
        for i in range(2)
    ]
    options = {'max_disagreement_m': 5.0}
    assert_rejected(verify(*views, **options), Status.UNCERTAIN_POSE)
    relaxed = verify(*views, **options, max_sigma_m=10.0)
    assert relaxed.status == Status.LOOP_DETECTED
    assert mahalanobis(relaxed, se3.make_pose(None, [-0.3, 0, 0])) < 22.5


@pytest.mark.parametrize('walls', [None, WALLS], ids=['without depth', 'with depth'])
def test_a_direction_nothing_tells_about_is_uncertain(world, walls, monkeypatch):
    unknown = np.diag([1e6, 1e6, 1e6, 1e6, 1e6, 0.0])
    monkeypatch.setattr(verification, 'refine_pose', lambda T, *_: (T, unknown))
    assert_rejected(verify(*pair(world, walls=walls)), Status.UNCERTAIN_POSE)


def test_landmarks_on_a_line_do_not_raise():
    """A line leaves the turn about it open; whatever is said, it is not an error."""
    rng = np.random.default_rng(12)
    points = np.column_stack([np.linspace(-1, 1, 60), np.zeros(60), np.full(60, 3.0)])
    world = World(points, rng)
    views = [
        world.view(i, se3.make_pose(None, [0.1 * i, 0.1 * i, 0]), noise_px=0.0, noise_m=0.0)
        for i in range(2)
    ]
    for options in ({}, {'min_inlier_area': 0.0}):
        assert verify(*views, **options).status != Status.LOOP_DETECTED


def test_the_covariance_grows_with_the_noise(world):
    stated = []
    for noise_px in (0.3, 3.0):
        query, match = pair(world, noise_px=noise_px)
        stated.append(np.trace(verify(query, match, min_sigma_m=0.0).covariance))
    assert stated[1] > 3 * stated[0]


def test_the_defaults_are_those_of_the_configuration():
    assert Config().verification == VerificationConfig()
