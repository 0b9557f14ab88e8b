import dataclasses

import numpy as np
import pytest
from synthetic import CAMERA, World, look_at, random_wall_points, select_features

from s3e_gnn_ros.config import Config, config_from_dict
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure import detector as detector_module
from s3e_gnn_ros.loop_closure.detector import LoopDetector
from s3e_gnn_ros.types import Frame, Keyframe, KeyframeKey, Status

SECOND_NS = 1_000_000_000
IMAGE = np.zeros((240, 320), dtype=np.uint8)
T_WORLD_CAMERA = look_at([-0.6, -0.2, 1.2], [1.4, 0.8, 3.7])


class Scripted:
    """Retrieval whose answers a test writes down: similarity to the entries so far."""

    def __init__(self):
        self.answers = []
        self.joined = []
        self.removed = []
        self._size = 0

    def __len__(self):
        return self._size

    def encode(self, frame, features):
        return None

    def remove(self, entry):
        self.removed.append(entry)

    def join(self, query, match):
        self.joined.append((query, match))

    def add(self, keyframe):
        self._size += 1
        return self._size - 1

    def similarities(self, keyframe):
        answer = np.zeros(self._size, dtype=np.float32)
        script = self.answers.pop(0) if self.answers else {}
        for entry, similarity in script.items():
            answer[entry] = similarity
        return answer


@pytest.fixture
def scripted(monkeypatch):
    retrieval = Scripted()
    monkeypatch.setattr(detector_module, 'make_retrieval', lambda _config: retrieval)
    return retrieval


@pytest.fixture(scope='module')
def world():
    rng = np.random.default_rng(2)
    return World(random_wall_points(300, rng), rng)


def make_config(**retrieval):
    values = {'min_keyframe_gap': 2, 'min_time_gap_s': 0.0, 'max_candidates': 3, **retrieval}
    return config_from_dict({'retrieval': values, 'verification': {'refine_with_depth': False}})


def make_keyframe(number, features, session=1, stamp_ns=None):
    stamp_ns = number * SECOND_NS if stamp_ns is None else stamp_ns
    frame = Frame(stamp_ns, IMAGE, CAMERA, None, np.eye(4))
    return Keyframe(number, session, frame, features)


def elsewhere(seed):
    """Features of a place that no other looks like."""
    rng = np.random.default_rng(1000 + seed)
    return World(random_wall_points(300, rng), rng).features(T_WORLD_CAMERA)


def fill(detector, world, num_keyframes):
    """Add keyframes of different places; all of them see what ``world`` is, from one place."""
    for number in range(num_keyframes):
        detector.process(make_keyframe(number, world.features(T_WORLD_CAMERA)))


def test_the_first_keyframe_has_nothing_to_match(scripted, world):
    query = LoopDetector(make_config()).process(make_keyframe(0, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.CLOSE_MATCHES_ONLY
    assert query.candidates == query.closures == ()


def test_too_few_features_are_no_query_but_remembered(scripted, world):
    detector = LoopDetector(make_config())
    features = world.features(T_WORLD_CAMERA)
    few = select_features(features, np.arange(19))
    assert detector.process(make_keyframe(0, few)).status == Status.TOO_FEW_FEATURES
    none = select_features(features, np.arange(0))
    assert detector.process(make_keyframe(1, none)).status == Status.TOO_FEW_FEATURES
    assert len(scripted) == 2


def test_keyframes_close_in_number_are_excluded(scripted, world):
    detector = LoopDetector(make_config(min_keyframe_gap=3))
    scripted.answers = [{}, {0: 1.0}, {0: 1.0, 1: 1.0}, dict.fromkeys(range(3), 1.0)]
    scripted.answers += [dict.fromkeys(range(4), 1.0)]
    queries = [
        detector.process(make_keyframe(i, world.features(T_WORLD_CAMERA))) for i in range(5)
    ]
    assert [q.status for q in queries[:4]] == [Status.CLOSE_MATCHES_ONLY] * 4
    assert queries[4].status == Status.LOOP_DETECTED
    assert [c.keyframe_id for c in queries[4].candidates] == [0]


def test_keyframes_close_in_time_are_excluded(scripted, world):
    detector = LoopDetector(make_config(min_keyframe_gap=1, min_time_gap_s=2.0))
    for number, stamp_ns in enumerate((0, SECOND_NS // 2, SECOND_NS, 2 * SECOND_NS - 1)):
        scripted.answers = [dict.fromkeys(range(number), 1.0)]
        keyframe = make_keyframe(number, world.features(T_WORLD_CAMERA), stamp_ns=stamp_ns)
        assert detector.process(keyframe).status == Status.CLOSE_MATCHES_ONLY
    scripted.answers = [dict.fromkeys(range(4), 1.0)]
    keyframe = make_keyframe(4, world.features(T_WORLD_CAMERA), stamp_ns=2 * SECOND_NS)
    query = detector.process(keyframe)
    assert query.status == Status.LOOP_DETECTED
    assert [c.keyframe_id for c in query.candidates] == [0]


def test_other_sessions_are_never_excluded(scripted, world):
    detector = LoopDetector(make_config(min_keyframe_gap=50, min_time_gap_s=50.0))
    fill(detector, world, 3)
    scripted.answers = [{0: 0.4, 2: 0.9}]
    query = detector.process(
        make_keyframe(0, world.features(T_WORLD_CAMERA), session=2, stamp_ns=3 * SECOND_NS)
    )
    assert query.status == Status.LOOP_DETECTED
    assert [(c.session, c.keyframe_id) for c in query.candidates] == [(1, 2), (1, 0)]
    closure = query.closures[0]
    assert (closure.query_session, closure.match_session) == (2, 1)
    assert (closure.query_stamp_ns, closure.match_stamp_ns) == (3 * SECOND_NS, 2 * SECOND_NS)


def test_nothing_similar_gives_no_results(scripted, world):
    detector = LoopDetector(make_config())
    fill(detector, world, 4)
    scripted.answers = [{3: 0.9}]  # similar to the predecessor alone
    query = detector.process(make_keyframe(4, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.NO_DB_RESULTS
    assert query.candidates == ()


def test_a_query_unlike_its_predecessor_means_nothing(scripted, world):
    detector = LoopDetector(make_config(min_nss_factor=0.1))
    fill(detector, world, 4)
    scripted.answers = [{0: 0.8, 3: 0.05}]
    query = detector.process(make_keyframe(4, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.LOW_NSS_FACTOR
    assert [c.keyframe_id for c in query.candidates] == [0]


def test_the_first_of_a_session_has_no_predecessor_to_be_unlike(scripted, world):
    detector = LoopDetector(make_config(min_nss_factor=0.1))
    fill(detector, world, 4)
    scripted.answers = [{0: 0.8}]
    keyframe = make_keyframe(0, world.features(T_WORLD_CAMERA), session=2)
    assert detector.process(keyframe).status == Status.LOOP_DETECTED


def test_low_scores(scripted, world):
    detector = LoopDetector(make_config(min_similarity=0.3))
    fill(detector, world, 4)
    scripted.answers = [{0: 0.29, 1: 0.1, 3: 0.9}]
    query = detector.process(make_keyframe(4, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.LOW_SCORES
    assert query.closures == ()


def test_candidates_below_the_limit_are_not_verified(scripted, world):
    detector = LoopDetector(make_config(min_similarity=0.3))
    fill(detector, world, 4)
    scripted.answers = [{0: 0.5, 1: 0.1, 3: 0.9}]
    query = detector.process(make_keyframe(4, world.features(T_WORLD_CAMERA)))
    assert [c.keyframe_id for c in query.candidates] == [0, 1]
    assert [c.match_id for c in query.closures] == [0]


def test_temporal_consistency(scripted, world):
    detector = LoopDetector(make_config(consistency_window=1, max_candidates=1))
    fill(detector, world, 8)
    expected = [
        ({0: 0.5, 7: 0.9}, Status.NO_TEMPORAL_CONSISTENCY),  # no candidate before it
        ({1: 0.5, 8: 0.9}, Status.LOOP_DETECTED),  # next to the last one
        ({4: 0.5, 9: 0.9}, Status.NO_TEMPORAL_CONSISTENCY),  # a jump
        ({10: 0.9}, Status.NO_DB_RESULTS),  # forgets what came before
        ({4: 0.5, 11: 0.9}, Status.NO_TEMPORAL_CONSISTENCY),
    ]
    scripted.answers = [answer for answer, _ in expected]
    for number, (_, status) in enumerate(expected, start=8):
        query = detector.process(make_keyframe(number, world.features(T_WORLD_CAMERA)))
        assert query.status == status


def test_candidates_with_the_most_matches_are_verified(scripted, world):
    config = config_from_dict({'verification': {'max_candidates': 2}}, make_config())
    detector = LoopDetector(config)
    features = world.features(T_WORLD_CAMERA)
    for number, num_features in enumerate((60, 300, 120)):
        few = select_features(features, np.arange(min(num_features, len(features))))
        detector.process(make_keyframe(number, few))
    for number in (3, 4, 5):
        detector.process(make_keyframe(number, elsewhere(number)))
    scripted.answers = [{0: 0.9, 1: 0.2, 2: 0.5, 5: 0.9}]
    query = detector.process(make_keyframe(6, features))
    assert [c.keyframe_id for c in query.candidates] == [0, 2, 1]
    assert [c.match_id for c in query.closures] == [2, 1]  # the more similar one first


def test_several_closures_of_one_query_by_similarity(scripted, world):
    detector = LoopDetector(make_config())
    poses = [T_WORLD_CAMERA @ se3.make_pose(None, [0.1 * i, 0, 0]) for i in range(6)]
    for number, T in enumerate(poses):
        detector.process(make_keyframe(number, world.features(T)))
    scripted.answers = [{0: 0.2, 1: 0.6, 2: 0.4, 3: 0.1, 5: 0.9}]
    query = detector.process(make_keyframe(6, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.LOOP_DETECTED
    assert [c.keyframe_id for c in query.candidates] == [1, 2, 0]
    assert [c.match_id for c in query.closures] == [1, 2, 0]
    assert [c.similarity for c in query.closures] == pytest.approx([0.6, 0.4, 0.2])
    assert {'retrieval', 'verification', 'insertion'} == set(query.stage_ms)
    assert scripted.joined == [(6, 1), (6, 2), (6, 0)]
    for closure, pixels in zip(query.closures, query.inliers_px, strict=True):
        error = closure.T_match_query @ se3.make_pose(None, [0.1 * closure.match_id, 0, 0])
        assert se3.translation_m(error) < 0.02
        assert pixels.shape == (closure.num_inliers, 4)
        assert closure.num_inliers > 100
        assert closure.inlier_ratio > 0.95


def test_the_status_is_that_of_the_candidate_that_came_furthest(scripted, world):
    detector = LoopDetector(make_config())
    scaled = world.features(T_WORLD_CAMERA @ se3.make_pose(None, [0.8, 0, 0]))
    scaled = dataclasses.replace(scaled, landmarks_m=scaled.landmarks_m * 1.4)
    for number, features in enumerate([elsewhere(0), scaled, elsewhere(1), elsewhere(2)]):
        detector.process(make_keyframe(number, features))
    scripted.answers = [{0: 0.9, 3: 0.5}, {0: 0.9, 1: 0.5, 2: 0.3, 4: 0.5}]
    query = detector.process(make_keyframe(4, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.TOO_FEW_MATCHES
    query = detector.process(make_keyframe(5, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.FORWARD_BACKWARD_DISAGREE
    assert query.closures == ()


def run_once():
    """Drive past six places twice, with the bag of words that is shipped."""
    detector = LoopDetector(
        make_config(method='bow', min_nss_factor=0.0)
    )  # neighbours share nothing
    rng = np.random.default_rng(7)
    places = [World(random_wall_points(150, rng), rng) for _ in range(6)]
    features = [places[i % 6].features(T_WORLD_CAMERA) for i in range(12)]
    return [detector.process(make_keyframe(i, f)) for i, f in enumerate(features)]


def test_with_the_bag_of_words_every_place_is_found_again_bit_for_bit():
    first, second = run_once(), run_once()
    for number, (a, b) in enumerate(zip(first, second, strict=True)):
        assert a.status == b.status
        assert a.candidates == b.candidates
        assert [c.match_id for c in a.closures] == [c.match_id for c in b.closures]
        assert [c.match_id for c in a.closures] == ([number - 6] if number >= 6 else [])
        for x, y in zip(a.closures, b.closures, strict=True):
            np.testing.assert_array_equal(x.T_match_query, y.T_match_query)
            np.testing.assert_array_equal(x.covariance, y.covariance)
        for x, y in zip(a.inliers_px, b.inliers_px, strict=True):
            np.testing.assert_array_equal(x, y)


def test_similarities_are_those_to_every_keyframe_before(world):
    detector = LoopDetector(Config())
    for number in range(4):
        detector.process(make_keyframe(number, world.features(T_WORLD_CAMERA)))
        assert detector.similarities.shape == (number,)
    assert detector.similarities.min() > 0.9


def test_the_pairs_behind_a_closure_index_the_features_of_both(scripted, world):
    detector = LoopDetector(make_config())
    features = [world.features(T_WORLD_CAMERA) for _ in range(4)]
    for number in range(3):
        detector.process(make_keyframe(number, features[number]))
    scripted.answers = [{0: 0.6, 2: 0.9}]
    query = detector.process(make_keyframe(3, features[3]))
    (pairs,), (points,), (pixels,) = query.inlier_pairs, query.match_points, query.inliers_px
    assert len(pairs) == query.closures[0].num_inliers
    np.testing.assert_array_equal(pixels[:, :2], features[3].points_px[pairs[:, 0]])
    np.testing.assert_array_equal(pixels[:, 2:], features[0].points_px[pairs[:, 1]])
    np.testing.assert_array_equal(points, features[0].points_normalised[pairs[:, 1]])
    same = (features[3].descriptors[pairs[:, 0]] == features[0].descriptors[pairs[:, 1]]).all(
        axis=1
    )
    assert same.mean() > 0.95


def test_robots_are_named(scripted, world):
    detector = LoopDetector(make_config(min_keyframe_gap=1))
    for session, robot_id in ((1, 'ant'), (2, 'bee')):
        for number in range(2):
            stamp_ns = (10 * session + number) * SECOND_NS
            keyframe = make_keyframe(number, world.features(T_WORLD_CAMERA), session, stamp_ns)
            if session == 2 and number == 1:
                scripted.answers = [{0: 0.5, 2: 0.4}]
            query = detector.process(dataclasses.replace(keyframe, robot_id=robot_id))
            assert query.robot_id == robot_id
    (closure,) = query.closures
    assert (closure.query_robot_id, closure.match_robot_id) == ('bee', 'ant')


def test_a_removed_keyframe_is_no_candidate(scripted, world):
    detector = LoopDetector(make_config())
    fill(detector, world, 5)
    keys = [KeyframeKey(1, 1), KeyframeKey(1, 2), KeyframeKey(1, 9)]
    assert detector.remove(keys) == 2
    assert detector.remove(keys) == 0
    assert scripted.removed == [1, 2]
    scripted.answers = [{0: 0.2, 1: 0.9, 2: 0.8, 4: 0.9}]
    query = detector.process(make_keyframe(5, world.features(T_WORLD_CAMERA)))
    assert [c.keyframe_id for c in query.candidates] == [0]
    assert [c.match_id for c in query.closures] == [0]
    assert scripted.joined[-1] == (5, 0)
    np.testing.assert_allclose(detector.similarities, [0.2, 0, 0, 0, 0.9])


def test_after_the_predecessor_was_removed_nothing_is_known_of_it(scripted, world):
    detector = LoopDetector(make_config(min_nss_factor=0.1))
    fill(detector, world, 5)
    detector.remove([KeyframeKey(1, 4)])
    scripted.answers = [{0: 0.8, 4: 0.05}]
    query = detector.process(make_keyframe(5, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.LOOP_DETECTED


def test_the_predecessor_is_that_of_the_session(scripted, world):
    """Keyframes of another robot come in between."""
    detector = LoopDetector(make_config(min_nss_factor=0.1))
    fill(detector, world, 4)
    detector.process(make_keyframe(0, world.features(T_WORLD_CAMERA), session=2, stamp_ns=0))
    scripted.answers = [{0: 0.8, 3: 0.5, 4: 0.0}]
    query = detector.process(make_keyframe(4, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.LOOP_DETECTED
    scripted.answers = [{0: 0.8, 3: 0.9, 5: 0.05}]
    query = detector.process(make_keyframe(5, world.features(T_WORLD_CAMERA)))
    assert query.status == Status.LOW_NSS_FACTOR


def test_a_keyframe_is_processed_once(scripted, world):
    detector = LoopDetector(make_config())
    fill(detector, world, 2)
    with pytest.raises(InputError, match='keyframe 1 of session 1 is in the map already'):
        detector.process(make_keyframe(1, world.features(T_WORLD_CAMERA)))
    assert len(scripted) == 2
