import dataclasses

import numpy as np
import pytest
from synthetic import START_NS, make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.types import Status

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
