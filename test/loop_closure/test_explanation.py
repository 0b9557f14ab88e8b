"""Why a pair is no loop: every reason with its figures, and the same outcome as the detector's."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import synthetic
from synthetic import CAMERA, WALLS, World, look_at, make_frame, out_and_back, random_wall_points

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.explanation_sentences import ending_sentence, search_sentence
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure import moment
from s3e_gnn_ros.loop_closure.archive import Archive, Rows
from s3e_gnn_ros.loop_closure.explanation import explain
from s3e_gnn_ros.loop_closure.loop_query import PROGRESS, furthest
from s3e_gnn_ros.loop_closure.moment import Stage
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.loop_closure.view_cache import ViewCache
from s3e_gnn_ros.retrieval.interface import Scores
from s3e_gnn_ros.types import KeyframeKey, Status

TARGET = synthetic.CORNER - [0.6, 0.4, 0.3]
T_WORLD_MATCH = look_at([-0.6, -0.2, 1.2], TARGET)
T_WORLD_QUERY = look_at([-0.3, -0.3, 1.4], TARGET)
T_FAR_TO_THE_SIDE = look_at([1.2, -0.3, 0.6], TARGET)
NUM_KEYFRAMES = 8


class Scripted:
    """Retrieval whose answers a test writes down: similarity of a query's id to entries."""

    def __init__(self, script):
        self._script = script
        self._size = 0

    def restore(self, stored):
        self._size = len(stored)

    def compare(self, keyframe, before):
        scores = np.zeros(self._size, dtype=np.float32)
        for entry, similarity in self._script.answers.get(keyframe.keyframe_id, {}).items():
            if entry < self._size:
                scores[entry] = similarity
        return Scores(10 * scores, scores)


@pytest.fixture
def scripted(monkeypatch):
    script = SimpleNamespace(answers={})
    monkeypatch.setattr(moment, 'make_retrieval', lambda _config: Scripted(script))
    return script


@pytest.fixture(scope='module')
def world():
    rng = np.random.default_rng(11)
    return World(random_wall_points(500, rng), rng)


def make_config(retrieval=None, **verification):
    values = {'min_keyframe_gap': 2, 'min_time_gap_s': 2.0, 'max_candidates': 3}
    return config_from_dict(
        {
            'retrieval': {**values, **(retrieval or {})},
            'verification': {'refine_with_depth': False, **verification},
        }
    )


def archive_of(views):
    """Keyframes of one session, a second apart, in the order of the views."""
    cache, keys = ViewCache(100), []
    for view in views:
        cache.add(view)
        keys.append(KeyframeKey(view.session, view.keyframe_id))
    poses = np.tile(np.eye(4), (len(views), 1, 1))
    stamps_ns = np.array([view.stamp_ns for view in views])
    return Archive(Rows(keys, [''] * len(keys), stamps_ns, poses, poses, None), [], cache)


@pytest.fixture(scope='module')
def corridor(world):
    """Eight keyframes a second apart that see the same from the same place."""
    view = world.view(0, T_WORLD_MATCH)
    start_ns = view.stamp_ns
    return [
        dataclasses.replace(view, keyframe_id=number, stamp_ns=start_ns + number * 10**9)
        for number in range(NUM_KEYFRAMES)
    ]


def tell(views, query, match, config):
    session = views[0].session
    return explain(
        archive_of(views), config, KeyframeKey(session, query), KeyframeKey(session, match)
    )


def assert_ends(told, stage, status, *parts):
    """The ending is this one, and its sentence holds these words and figures."""
    assert (told.ending.stage, told.ending.status) == (stage, status)
    sentence = ending_sentence(told)
    for part in parts:
        assert part in sentence
    return sentence


# The search.


def test_too_near_and_too_recent(scripted, corridor):
    scripted.answers = {7: dict.fromkeys(range(8), 0.9)}
    told = tell(corridor, 7, 6, make_config())
    sentence = assert_ends(told, Stage.EXCLUSION, Status.CLOSE_MATCHES_ONLY)
    assert '1 keyframes apart, not more than 2 (retrieval.min_keyframe_gap)' in sentence
    assert '1.00 s apart, less than 2 s (retrieval.min_time_gap_s)' in sentence
    assert told.then.rank is None
    assert told.then.similarity == pytest.approx(0.9)  # it is told all the same
    assert told.then.raw == pytest.approx(9.0)


def test_too_near_but_long_ago(scripted, corridor):
    scripted.answers = {7: dict.fromkeys(range(8), 0.9)}
    told = tell(corridor, 7, 4, make_config({'min_keyframe_gap': 3}))
    sentence = assert_ends(told, Stage.EXCLUSION, Status.CLOSE_MATCHES_ONLY, '3 keyframes apart')
    assert 'min_time_gap_s' not in sentence
    assert told.then.exclusion.elapsed_s == pytest.approx(3.0)


def test_too_recent_but_far_apart(scripted, corridor):
    scripted.answers = {7: dict.fromkeys(range(8), 0.9)}
    told = tell(corridor, 7, 3, make_config({'min_time_gap_s': 4.5}))
    sentence = assert_ends(told, Stage.EXCLUSION, Status.CLOSE_MATCHES_ONLY, '4.00 s apart')
    assert 'min_keyframe_gap' not in sentence


def test_other_sessions_are_not_excluded(scripted, corridor):
    scripted.answers = {7: {6: 0.9}}
    views = [dataclasses.replace(view, session=3) for view in corridor[:7]] + [corridor[7]]
    told = explain(archive_of(views), make_config(), KeyframeKey(1, 7), KeyframeKey(3, 6))
    assert_ends(told, Stage.LOOP, Status.LOOP_DETECTED)
    assert not told.then.exclusion.is_same_session
    assert told.then.predecessor is None


def test_a_match_that_came_later(scripted, corridor):
    scripted.answers = {1: {6: 0.7}}
    told = tell(corridor, 1, 6, make_config())
    assert_ends(told, Stage.ORDER, None, 'keyframe 6 of session 1 came after keyframe 1')
    assert told.then is None
    assert (told.now.rank, told.now.num_eligible) == (1, 4)  # 4 to 7
    assert told.now.exclusion.gap == 5
    assert told.verification.status == Status.LOOP_DETECTED


def test_younger_keyframes_are_excluded_now_as_older_ones_are(scripted, corridor):
    scripted.answers = {4: dict.fromkeys(range(8), 0.5)}
    told = tell(corridor, 4, 6, make_config())
    assert told.now.ending.stage is Stage.EXCLUSION
    assert '2 keyframes apart' in search_sentence(told, told.now)


def test_no_similarity(scripted, corridor):
    scripted.answers = {7: {1: 0.5, 6: 0.9}}
    told = tell(corridor, 7, 0, make_config())
    assert_ends(told, Stage.SIMILARITY, Status.NO_DB_RESULTS, 'similarity 0')


def test_beyond_the_candidates(scripted, corridor):
    scripted.answers = {7: {0: 0.4, 1: 0.3, 2: 0.2, 3: 0.1, 4: 0.3, 6: 0.9}}
    told = tell(corridor, 7, 2, make_config())
    assert_ends(told, Stage.RANK, None, 'rank 4 of 5: only the best 3', 'max_candidates')
    assert [each.keyframe_id for each in told.then.candidates] == [0, 1, 4]
    # Of equals the earlier comes first, as with the detector.
    assert [tell(corridor, 7, match, make_config()).then.rank for match in (1, 4)] == [2, 3]


def test_low_nss(scripted, corridor):
    scripted.answers = {7: {0: 0.4, 6: 0.001}}
    told = tell(corridor, 7, 0, make_config())
    assert_ends(told, Stage.NSS, Status.LOW_NSS_FACTOR, 'similarity 0.001', '0.005')
    assert told.then.predecessor == KeyframeKey(1, 6)


def test_low_score(scripted, corridor):
    scripted.answers = {7: {0: 0.25, 1: 0.9, 6: 0.9}}
    told = tell(corridor, 7, 0, make_config({'min_similarity': 0.3}))
    assert_ends(told, Stage.SCORE, Status.LOW_SCORES, 'similarity 0.25', '0.3)')
    assert told.then.status == Status.LOOP_DETECTED  # that of the better candidate


def test_temporal_consistency(scripted, corridor):
    config = make_config({'consistency_window': 1, 'max_candidates': 1})
    scripted.answers = {6: {0: 0.5, 5: 0.9}, 7: {3: 0.5, 6: 0.9}}
    told = tell(corridor, 7, 3, config)
    status = Status.NO_TEMPORAL_CONSISTENCY
    assert_ends(told, Stage.CONSISTENCY, status, 'is 3 entries away', 'consistency_window 1')
    assert told.then.previous == (KeyframeKey(1, 0),)
    scripted.answers[6] = {2: 0.5, 5: 0.9}
    assert_ends(tell(corridor, 7, 3, config), Stage.LOOP, Status.LOOP_DETECTED)
    scripted.answers[6] = {}
    told = tell(corridor, 7, 3, config)
    assert_ends(told, Stage.CONSISTENCY, status, 'the query before had no candidates')


def test_too_few_features(scripted, corridor):
    scripted.answers = {7: {0: 0.9, 6: 0.9}}
    few = synthetic.select_features(corridor[7].features, np.arange(19))
    views = [*corridor[:7], dataclasses.replace(corridor[7], features=few)]
    told = tell(views, 7, 0, make_config())
    assert_ends(told, Stage.FEATURES, Status.TOO_FEW_FEATURES, '19 features', 'min_matches 20')
    assert told.then.rank == 1


def test_enough_better_loops(scripted, corridor):
    scripted.answers = {7: {0: 0.4, 1: 0.3, 2: 0.2, 6: 0.9}}
    config = make_config(max_closures=2)
    assert_ends(tell(corridor, 7, 2, config), Stage.MAX_CLOSURES, None, '2 better', 'closures 2')
    assert_ends(tell(corridor, 7, 1, config), Stage.LOOP, Status.LOOP_DETECTED)


def test_more_matches_elsewhere(scripted, corridor):
    scripted.answers = {7: {0: 0.1, 1: 0.3, 2: 0.2, 6: 0.9}}
    few = synthetic.select_features(corridor[2].features, np.arange(60))
    views = [*corridor[:2], dataclasses.replace(corridor[2], features=few), *corridor[3:]]
    config = config_from_dict({'verification': {'max_candidates': 2}}, make_config())
    assert_ends(tell(views, 7, 2, config), Stage.MATCHES, None, '2 candidates', 'max_candidates')
    assert_ends(tell(views, 7, 0, config), Stage.LOOP, Status.LOOP_DETECTED)


def test_candidates_that_fail_take_no_place(scripted, corridor):
    scripted.answers = {7: {0: 0.4, 1: 0.3, 2: 0.2, 6: 0.9}}
    none = synthetic.select_features(corridor[0].features, np.arange(0))
    views = [dataclasses.replace(corridor[0], features=none), *corridor[1:]]
    assert_ends(tell(views, 7, 2, make_config(max_closures=2)), Stage.LOOP, Status.LOOP_DETECTED)


# The verification.


def pair(world, T_world_query=T_WORLD_QUERY, **options):
    """A match of session 1 and, ten seconds later, a query."""
    return world.view(0, T_WORLD_MATCH, **options), world.view(10, T_world_query, **options)


def moved_to(view, points_px):
    """See the features elsewhere, with their depth."""
    normalised = CAMERA.normalise(points_px)
    z = view.features.landmarks_m[:, 2]
    features = dataclasses.replace(
        view.features,
        points_px=points_px.astype(np.float32),
        points_normalised=normalised,
        landmarks_m=np.column_stack([normalised * z[:, None], z]),
    )
    return dataclasses.replace(view, features=features)


def partly_wrong(world, num_matches, num_wrong):
    """A pair with that many matches, the wrong ones seen at random places."""
    match, query = pair(world)
    seen = np.flatnonzero(
        (query.features.descriptors[:, None] == match.features.descriptors[None]).all(2).any(1)
    )[:num_matches]
    features = synthetic.select_features(query.features, seen)
    rng = np.random.default_rng(8)
    points = features.points_px.copy()
    points[:num_wrong] = rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (num_wrong, 2))
    return match, moved_to(dataclasses.replace(query, features=features), points)


def verified(scripted, views, **limits):
    scripted.answers = {10: {0: 0.9}}
    return tell(views, 10, 0, make_config(**limits))


def test_a_loop(scripted, world):
    told = verified(scripted, pair(world, walls=WALLS), refine_with_depth=True)
    found = told.verification
    assert_ends(told, Stage.LOOP, Status.LOOP_DETECTED, f'{found.num_inliers} of ')
    measured = found.measured
    np.testing.assert_array_equal(measured.is_inlier(len(found.matches)), found.is_inlier)
    assert measured.num_orb == len(found.matches)
    for way in (measured.forward, measured.backward):
        assert 60 < way.num_inliers <= way.num_landmarks <= len(found.matches)
        assert 0.02 < way.area < 1
        assert way.inlier_ratio == way.num_inliers / way.num_landmarks
    assert max(measured.disagreement_m, measured.alignment_m) < 0.05
    assert min(measured.depth_forward.agreement, measured.depth_backward.agreement) > 0.9
    assert measured.sigma_m == pytest.approx(np.sqrt(np.diag(found.covariance)[3:].max()))
    assert measured.sigma_deg == pytest.approx(
        np.degrees(np.sqrt(np.diag(found.covariance)[:3].max()))
    )


def test_too_few_matches(scripted, world):
    rng = np.random.default_rng(5)
    stranger = World(random_wall_points(500, rng), rng).view(0, T_WORLD_MATCH)
    told = verified(scripted, (stranger, pair(world)[1]))
    found = len(told.verification.matches)
    status = Status.TOO_FEW_MATCHES
    assert_ends(told, Stage.VERIFICATION, status, f'{found} descriptor', f'({found} ORB, 0 lea')


def test_no_landmarks(scripted, world):
    told = verified(scripted, pair(world, with_landmarks=False))
    assert_ends(told, Stage.VERIFICATION, Status.NO_LANDMARKS, 'matches 0 have', 'and 0 one')


def test_no_pose(scripted, world):
    match, query = pair(world)
    rng = np.random.default_rng(6)
    points = rng.uniform((0, 0), (CAMERA.width, CAMERA.height), (len(query.features), 2))
    limits = {'max_reprojection_error_px': 0.1, 'ransac_iterations': 10}
    told = verified(scripted, (match, moved_to(query, points)), **limits)
    status = Status.NO_GEOMETRICAL_CONSISTENCY
    assert_ends(
        told, Stage.VERIFICATION, status, f'{len(told.verification.matches)} matches to 0.1'
    )


def test_too_few_inliers(scripted, world):
    told = verified(scripted, partly_wrong(world, 30, 15))
    found = told.verification.measured.forward
    assert 15 <= found.num_inliers < 20
    words = f'forward: {found.num_inliers} of {found.num_landmarks} matches'
    assert_ends(told, Stage.VERIFICATION, Status.TOO_FEW_INLIERS, words, 'min_inliers 20')


def test_low_inlier_ratio(scripted, world):
    told = verified(scripted, partly_wrong(world, 100, 60), min_inlier_ratio=0.6)
    found = told.verification.measured.forward
    assert found.inlier_ratio == pytest.approx(0.4, abs=0.1)
    words = f'a share of {found.inlier_ratio:.2f}'
    assert_ends(told, Stage.VERIFICATION, Status.LOW_INLIER_RATIO, words, 'ratio 0.6')


def test_the_direction_that_failed_is_named(scripted, world):
    match, query = pair(world)
    landmarks = query.features.landmarks_m.copy()
    rng = np.random.default_rng(3)
    is_wrong = rng.random(len(landmarks)) < 0.6
    landmarks[is_wrong] = rng.uniform((-2, -2, 1), (2, 2, 5), (is_wrong.sum(), 3))
    features = dataclasses.replace(query.features, landmarks_m=landmarks)
    views = match, dataclasses.replace(query, features=features)
    told = verified(scripted, views, min_inlier_ratio=0.7)
    assert_ends(told, Stage.VERIFICATION, Status.LOW_INLIER_RATIO, 'backward: ')


def test_inliers_too_concentrated(scripted):
    rng = np.random.default_rng(9)
    points = rng.uniform([1.2, 0.6, 4.0], [1.4, 0.8, 4.0], (80, 3))
    told = verified(scripted, pair(World(points, rng)))
    words = f'span {told.verification.measured.forward.area:.4f} of the image'
    assert_ends(told, Stage.VERIFICATION, Status.INLIERS_TOO_CONCENTRATED, words, 'area 0.02')


def test_directions_disagree(scripted, world):
    match, query = pair(world, T_FAR_TO_THE_SIDE)
    scaled = dataclasses.replace(match.features, landmarks_m=match.features.landmarks_m * 1.3)
    told = verified(scripted, (dataclasses.replace(match, features=scaled), query))
    found = told.verification.measured
    words = f'{found.disagreement_m:.3f} m and {found.disagreement_deg:.1f} deg apart'
    status = Status.FORWARD_BACKWARD_DISAGREE
    assert_ends(told, Stage.VERIFICATION, status, words, 'max_disagreement_m 0.25')


def test_depth_disagrees(scripted, world):
    match, query = pair(world, walls=WALLS)
    nearer = dataclasses.replace(query.depth, depth_m=np.full_like(query.depth.depth_m, 0.8))
    told = verified(scripted, (match, dataclasses.replace(query, depth=nearer)))
    found = told.verification.measured
    words = f'{found.depth_forward.agreement:.2f} and {found.depth_backward.agreement:.2f} agree'
    assert_ends(told, Stage.VERIFICATION, Status.DEPTH_DISAGREES, words, 'agreement 0.7')


def test_depth_pulls_the_pose_away(scripted, world):
    match, query = pair(world, walls=WALLS)
    T_world_shifted = T_WORLD_QUERY @ se3.make_pose(None, [0.0, 0.0, 0.15])
    depth_m = synthetic.render_depth(synthetic.DEPTH_CAMERA, T_world_shifted)
    depth = dataclasses.replace(query.depth, depth_m=depth_m)
    limits = {'max_alignment_m': 0.5, 'max_disagreement_m': 0.08, 'refine_with_depth': True}
    told = verified(scripted, (match, dataclasses.replace(query, depth=depth)), **limits)
    words = f'moves the pose by {told.verification.measured.alignment_m:.3f} m'
    assert told.verification.measured.alignment_m > 0.08
    assert_ends(told, Stage.VERIFICATION, Status.DEPTH_DISAGREES, words, 'disagreement_m 0.08')


def test_uncertain(scripted, world):
    told = verified(scripted, pair(world), max_sigma_m=0.001)
    words = f'uncertain by {told.verification.measured.sigma_m:.3f} m'
    assert_ends(told, Stage.VERIFICATION, Status.UNCERTAIN_POSE, words, 'max_sigma_m 0.001')


# As the detector.


def drive(config, num_frames=14):
    """Go round the corner and back; returns the pipeline and what became of each query."""
    pipeline, queries, similarities = LoopClosurePipeline(config, session=4), [], []
    for number, T in enumerate(out_and_back(num_frames)):
        frame = make_frame(T, synthetic.START_NS + number * 10**9)
        if pipeline.offer(frame):
            queries.append(pipeline.process(frame)[1])
            similarities.append(pipeline.similarities)
    return pipeline, queries, similarities


SETTINGS = {
    's3e': ({'method': 's3e'}, {}),
    'bow': ({'method': 'bow'}, {}),
    'bow, consistency': ({'method': 'bow', 'consistency_window': 1, 'max_candidates': 1}, {}),
    'bow, one closure': ({'method': 'bow'}, {'max_closures': 1}),
    'bow, nss': ({'method': 'bow', 'min_nss_factor': 0.1, 'min_similarity': 0.08}, {}),
}


@pytest.mark.parametrize('settings', SETTINGS.values(), ids=SETTINGS)
def test_the_outcome_is_what_the_detector_decided(settings):
    gaps = {'min_keyframe_gap': 3, 'min_time_gap_s': 3.0, 'max_candidates': 3}
    config = config_from_dict(
        {
            'retrieval': {**gaps, **settings[0]},
            'verification': settings[1],
            'features': {'num_features': 300},
        }
    )
    pipeline, queries, similarities = drive(config)
    loops = [closure for query in queries for closure in query.closures]
    assert loops
    archive = Archive(pipeline.rows(), loops, pipeline)
    for query, scores in list(zip(queries, similarities, strict=True))[4:9:2]:
        key = KeyframeKey(4, query.query_id)
        told = [
            explain(archive, config, key, KeyframeKey(4, match)) for match in range(query.query_id)
        ]
        assert_same(query, scores, told, config)


def assert_same(query, scores, told, config):
    """All that the stories of a query with each older keyframe say is what became of it."""
    candidates = {each.keyframe_id: each.similarity for each in query.candidates}
    is_loop = {each.match_id for each in query.closures}
    reached = PROGRESS[0]
    for match, story in enumerate(told):
        assert story.then.similarity == pytest.approx(scores[match], abs=1e-4)
        assert (story.ending.stage is Stage.LOOP) == (match in is_loop)
        if match in candidates:
            assert story.then.rank == list(candidates).index(match) + 1
            assert story.then.similarity == pytest.approx(candidates[match], abs=1e-4)
            if story.ending.stage in (Stage.LOOP, Stage.VERIFICATION):
                reached = furthest(reached, story.verification.status)
        else:
            assert story.ending.stage in (Stage.RANK, Stage.EXCLUSION, Stage.SIMILARITY)
    found = told[0].then.status
    assert query.status == (reached if found == Status.LOOP_DETECTED else found)


# Bad input.


def test_unknown_and_equal_keyframes(scripted, corridor):
    with pytest.raises(InputError, match='keyframe 99 of session 1'):
        tell(corridor, 99, 0, make_config())
    with pytest.raises(InputError, match='keyframe 99 of session 1'):
        tell(corridor, 0, 99, make_config())
    with pytest.raises(InputError, match='keyframe 3 of session 1 is no match of itself'):
        tell(corridor, 3, 3, make_config())
