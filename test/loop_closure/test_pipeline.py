import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic import START_NS, make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.types import KeyframeKey, Status

STEP_NS = 300_000_000
CONFIG = config_from_dict(
    {
        'features': {'num_features': 600},
        'retrieval': {'min_keyframe_gap': 3, 'min_time_gap_s': 0.0, 'max_candidates': 2},
        'verification': {'refine_with_depth': False},
    }
)


@pytest.fixture(scope='module')
def frames():
    """Five frames out, five back; each is a keyframe."""
    return [make_frame(T, START_NS + i * STEP_NS) for i, T in enumerate(out_and_back(10))]


def without_depth(frame):
    return dataclasses.replace(frame, depth_m=None)


def test_out_and_back_closes_loops(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=4)
    closures = []
    for number, frame in enumerate(frames):
        chosen = pipeline.offer(frame)
        assert chosen is (number != 5)  # the camera turns round where it is
        if not chosen:
            continue
        keyframe, query = pipeline.process(frame)
        assert keyframe.session == query.session == 4
        assert keyframe.keyframe_id == query.query_id == number - (number > 5)
        assert keyframe.frame is frame
        assert query.stamp_ns == frame.stamp_ns
        assert next(iter(query.stage_ms)) == 'features'
        assert pipeline.similarities.shape == (keyframe.keyframe_id,)
        closures += query.closures
    assert len(closures) >= 4
    poses = {frame.stamp_ns: frame.T_world_camera for frame in frames}
    for closure in closures:
        T_true = se3.inverse(poses[closure.match_stamp_ns]) @ poses[closure.query_stamp_ns]
        error = se3.inverse(closure.T_match_query) @ T_true
        assert se3.translation_m(error) < 0.05
        assert se3.rotation_angle_deg(error) < 1.0


def test_a_new_session_counts_from_zero_and_remembers_the_old(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    for frame in frames[:2]:
        assert pipeline.offer(frame)
        pipeline.process(frame)
    pipeline.start_session(2)
    # The same stamps and pose again: of another run, so neither too soon nor too near.
    assert pipeline.offer(frames[1])
    keyframe, query = pipeline.process(frames[1])
    assert (keyframe.session, keyframe.keyframe_id) == (2, 0)
    assert query.status == Status.LOOP_DETECTED
    best = query.closures[0]
    assert (best.match_session, best.match_id) == (1, 1)
    np.testing.assert_allclose(best.T_match_query, np.eye(4), atol=0.01)


def test_without_depth_landmarks_are_triangulated(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    first, _ = pipeline.process(without_depth(frames[0]))
    assert not first.features.has_landmark.any()
    second, _ = pipeline.process(without_depth(frames[1]))
    known = second.features.has_landmark
    assert known.sum() > 50
    z = frames[1].depth_m[tuple(second.features.points_px[known].round().astype(int).T[::-1])]
    error = np.abs(second.features.landmarks_m[known, 2] / z - 1)
    assert np.median(error) < 0.05


def test_without_depth_loops_are_closed(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    closures = []
    for frame in frames:
        closures += pipeline.process(without_depth(frame))[1].closures
    assert closures
    poses = {frame.stamp_ns: frame.T_world_camera for frame in frames}
    for closure in closures:
        T_true = se3.inverse(poses[closure.match_stamp_ns]) @ poses[closure.query_stamp_ns]
        error = se3.inverse(closure.T_match_query) @ T_true
        assert se3.translation_m(error) < 0.15


def test_a_new_session_does_not_triangulate_with_the_old(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    pipeline.process(without_depth(frames[0]))
    pipeline.start_session(2)
    keyframe, _ = pipeline.process(without_depth(frames[1]))
    assert not keyframe.features.has_landmark.any()


def test_keypoints_of_a_front_end_are_used(frames):
    given = np.array([[100.0, 100.0], [150.5, 90.25]])
    keyframe, query = LoopClosurePipeline(CONFIG, session=1).process(frames[0], given)
    np.testing.assert_allclose(keyframe.features.points_px[:2], given)
    assert len(keyframe.features) > 100
    assert 'features' in query.stage_ms


def test_the_same_frames_give_the_same_bits(frames):
    runs = []
    for _ in range(2):
        pipeline = LoopClosurePipeline(CONFIG, session=1)
        runs.append([pipeline.process(frame)[1] for frame in frames[2:9]])
    num_closures = 0
    for a, b in zip(*runs, strict=True):
        assert (a.status, a.candidates) == (b.status, b.candidates)
        for x, y in zip(a.closures, b.closures, strict=True):
            np.testing.assert_array_equal(x.T_match_query, y.T_match_query)
            num_closures += 1
    assert num_closures > 0


def test_a_lone_image_without_depth_is_triangulated_with_the_keyframes_just_before(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    first, _ = pipeline.process(frames[0])
    assert first.features.has_landmark.any()
    second, _ = pipeline.process(without_depth(frames[1]))
    assert second.features.has_landmark.sum() > 50


def with_robot(name, **sections):
    return dataclasses.replace(
        CONFIG, node=dataclasses.replace(CONFIG.node, robot_id=name), **sections
    )


def test_keyframes_carry_the_name_of_the_robot(frames):
    keyframe, query = LoopClosurePipeline(with_robot('ant'), session=1).process(frames[0])
    assert keyframe.robot_id == query.robot_id == 'ant'


def test_keyframes_of_another_robot_close_loops(frames):
    other = LoopClosurePipeline(with_robot('bee'), session=2)
    theirs = [other.process(frame)[0] for frame in frames[:4]]
    pipeline = LoopClosurePipeline(with_robot('ant'), session=1)
    own = [pipeline.process(frame)[0] for frame in frames[:4]]
    queries = [pipeline.process_keyframe(keyframe) for keyframe in theirs]
    assert [query.robot_id for query in queries] == ['bee'] * 4
    closures = [closure for query in queries for closure in query.closures]
    assert len(closures) >= 4
    for closure in closures:
        assert (closure.query_session, closure.match_session) == (2, 1)
        assert (closure.query_robot_id, closure.match_robot_id) == ('bee', 'ant')
        T_true = se3.inverse(own[closure.match_id].T_odom_camera)
        T_true = T_true @ theirs[closure.query_id].T_odom_camera
        assert se3.translation_m(se3.inverse(T_true) @ closure.T_match_query) < 0.05
    assert len(pipeline) == 8
    # Neither its own ones, as they come back over the network, nor any for a second time.
    assert pipeline.process_keyframe(own[0]) is None
    assert pipeline.process_keyframe(theirs[1]) is None
    assert len(pipeline) == 8
    # Its own session goes on as if nothing had come between.
    keyframe, _ = pipeline.process(frames[4])
    assert keyframe.keyframe_id == 4


def test_landmarks_of_the_front_end_stand_in_for_depth(frames):
    points_px = np.array([[100.0, 100.0], [150.5, 90.25], [200.0, 120.0]], dtype=np.float32)
    landmarks = np.array([[0.1, 0.2, 2.5], [np.nan] * 3, [0.3, 0.0, 3.5]])
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    keyframe, _ = pipeline.process(without_depth(frames[0]), points_px, landmarks)
    np.testing.assert_array_equal(keyframe.features.landmarks_m[:3], landmarks)
    assert keyframe.features.has_landmark.sum() == 2
    with_depth, _ = pipeline.process(frames[1], points_px, landmarks)
    assert np.abs(with_depth.features.landmarks_m[0] - landmarks[0]).max() > 0.1


class Kept:
    """A stored map of what a pipeline has seen."""

    def __init__(self, pipeline):
        self.keys = pipeline.keys
        self._views = {key: pipeline.view(key) for key in self.keys}

    def view(self, key):
        return self._views[key]


def rows_of(keyframes):
    return SimpleNamespace(
        keys=[KeyframeKey(each.session, each.keyframe_id) for each in keyframes],
        robot_ids=[each.robot_id for each in keyframes],
        stamps_ns=np.array([each.stamp_ns for each in keyframes]),
        T_odom_camera=np.array([each.T_odom_camera for each in keyframes]),
        T_map_camera=np.full((len(keyframes), 4, 4), np.nan),
        embeddings=np.array([each.encoding.embedding for each in keyframes]),
    )


def test_a_restored_map_finds_what_the_old_one_would(frames):
    first = LoopClosurePipeline(CONFIG, session=1)
    processed = [first.process(frame) for frame in frames[:8]]
    closures = [closure for _, query in processed for closure in query.closures]
    assert closures
    second = LoopClosurePipeline(CONFIG, session=2)
    second.restore(rows_of([keyframe for keyframe, _ in processed]), closures, Kept(first))
    assert second.keys == first.keys
    first.start_session(2)
    for frame in frames[8:]:
        expected, found = (each.process(frame)[1] for each in (first, second))
        assert found.status == expected.status == Status.LOOP_DETECTED
        np.testing.assert_allclose(second.similarities, first.similarities, atol=1e-5)
        assert [c.match_id for c in found.closures] == [c.match_id for c in expected.closures]
        for ours, theirs in zip(found.closures, expected.closures, strict=True):
            np.testing.assert_array_equal(ours.T_match_query, theirs.T_match_query)
    located = second.relocalise(without_depth(frames[3]))
    assert located.match is not None
    assert located.match.session == 1


def test_memory_is_bounded(frames):
    limited = dataclasses.replace(CONFIG.map, max_keyframes=24, cached_views=2)
    pipeline = LoopClosurePipeline(with_robot('ant', map=limited), session=1)
    pruned = []
    for number in range(36):
        frame = dataclasses.replace(
            frames[number % 5], stamp_ns=START_NS + number * STEP_NS, depth_m=None
        )
        pipeline.process(frame)
        pruned += pipeline.take_pruned()
        assert len(pipeline) <= 24
    assert pipeline.take_pruned() == []
    assert len(pruned) + len(pipeline) == 36
    assert not set(pruned) & set(pipeline.keys)
    assert {KeyframeKey(1, number) for number in range(16, 36)} <= set(pipeline.keys)


def test_views_of_a_stored_map_leave_memory(frames):
    config = with_robot('ant', map=dataclasses.replace(CONFIG.map, cached_views=1))
    pipeline = LoopClosurePipeline(config, session=1)
    for frame in frames[:4]:
        pipeline.process(frame)
    stored = Kept(pipeline)
    pipeline.views_stored([*pipeline.keys, KeyframeKey(9, 9)], stored)
    assert pipeline._database.views.num_in_memory == 1
    assert pipeline.view(KeyframeKey(1, 2)) is stored.view(KeyframeKey(1, 2))
    assert KeyframeKey(9, 9) not in pipeline


def test_removed_keyframes_close_no_loop(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    for frame in frames[:3]:
        pipeline.process(frame)
    assert pipeline.remove(pipeline.keys) == 3
    assert len(pipeline) == 0
    pipeline.start_session(2)
    assert pipeline.process(frames[1])[1].status == Status.CLOSE_MATCHES_ONLY


def test_other_limits_hold_from_the_next_keyframe_on(frames):
    """As if they had held from the beginning: what was compared before is compared again."""
    strict = config_from_dict(
        {
            'features': {'num_features': 400},
            'retrieval': {'max_candidates': 1, 'min_keyframe_gap': 5},
            'verification': {'min_inliers': 60},
        },
        CONFIG,
    )
    changed, always = LoopClosurePipeline(CONFIG, 1), LoopClosurePipeline(strict, 1)
    for frame in frames[:7]:
        changed.process(frame)
        always.process(frame)
    changed.set_config(strict)
    for frame in frames[7:]:
        keyframe, query = changed.process(frame)
        other, expected = always.process(frame)
        assert len(keyframe.features) == len(other.features) <= 400
        assert len(query.candidates) == len(expected.candidates) == 1
        assert query.query_id - query.candidates[0].keyframe_id > 5


def test_a_threshold_that_nothing_meets_ends_the_loops(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    queries = [pipeline.process(frame)[1] for frame in frames[:8]]
    assert queries[-1].closures
    whole = {'min_inlier_area': 1.0}
    strict = config_from_dict({'verification': whole, 'relocalisation': whole}, CONFIG)
    pipeline.set_config(strict)
    _, query = pipeline.process(frames[8])
    assert (query.status, query.closures) == (Status.INLIERS_TOO_CONCENTRATED, ())
    assert pipeline.relocalise(frames[8]).status == Status.INLIERS_TOO_CONCENTRATED
    pipeline.set_config(CONFIG)
    assert pipeline.relocalise(frames[8]).status == Status.LOOP_DETECTED
    assert pipeline.process(frames[9])[1].closures


def test_the_selector_takes_other_limits_too(frames):
    pipeline = LoopClosurePipeline(CONFIG, session=1)
    assert pipeline.offer(frames[0])
    pipeline.set_config(config_from_dict({'keyframes': {'min_interval_s': 100.0}}, CONFIG))
    assert not pipeline.offer(frames[3])
