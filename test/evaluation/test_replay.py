import dataclasses
from collections import Counter

import numpy as np
import pytest
from synthetic import START_NS, make_frame, out_and_back

from s3e_gnn_ros.config import config_from_dict
from s3e_gnn_ros.data.drift import drift, parse_drift
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.evaluation.replay import replay_offline
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, Status

STEP_NS = 150_000_000
CONFIG = config_from_dict(
    {
        'features': {'num_features': 500},
        'retrieval': {'min_keyframe_gap': 3, 'min_time_gap_s': 0.5},
        'verification': {'refine_with_depth': False},
    }
)


@pytest.fixture(scope='module')
def frames():
    """Out and back within 4 s, on odometry that drifts."""
    poses = np.array(out_and_back(25))
    stamps = START_NS + STEP_NS * np.arange(len(poses), dtype=np.int64)
    odometry = drift(Trajectory(stamps, poses), parse_drift('translation=0.05,yaw_bias_deg=1'))
    return [
        dataclasses.replace(make_frame(T, int(stamp)), T_odom_camera=odometry.at(int(stamp)))
        for stamp, T in zip(stamps, poses, strict=True)
    ]


def run(frames, truth=None, drops=None, notes=()):
    return replay_offline('corner', frames, CONFIG, truth, Counter(drops), list(notes))


@pytest.fixture(scope='module')
def result(frames):
    return run(frames, drops={'depth_data': 2}, notes=['a note'])


def test_every_keyframe_has_all_its_entries(frames, result):
    K = len(result.stamps_ns)
    assert 8 < K < len(frames)
    assert len(result.odometry) == len(frames)
    assert result.T_odom_camera.shape == result.T_map_camera.shape == (K, 4, 4)
    np.testing.assert_array_equal(result.keyframe_ids, np.arange(K))
    assert (result.sessions == 1).all()
    assert len(result.queries) == len(result.images) == K
    assert set(result.images) == {KeyframeKey(1, i) for i in range(K)}
    for stage in ('features', 'retrieval', 'insertion', 'optimisation'):
        assert len(result.stage_ms[stage]) == K
    np.testing.assert_array_equal(np.isnan(result.similarity), np.triu(np.ones((K, K), bool)))
    by_stamp = {frame.stamp_ns: frame.T_odom_camera for frame in frames}
    for stamp, T in zip(result.stamps_ns.tolist(), result.T_odom_camera, strict=True):
        np.testing.assert_array_equal(T, by_stamp[stamp])
    assert result.drops == {'depth_data': 2}
    assert result.notes == ['a note']
    assert result.wall_s > 0
    assert result.g2o.count('VERTEX_SE3:QUAT') == K
    assert result.g2o.count('EDGE_SE3:QUAT') == K - 1 + len(result.closures)


def test_closures_pull_the_poses_together(frames, result):
    assert len(result.closures) >= 3
    truth = {frame.stamp_ns: frame.T_world_camera for frame in frames}
    poses = np.array([truth[stamp] for stamp in result.stamps_ns.tolist()])

    def last_error_m(estimate):
        T = se3.inverse(estimate[0]) @ estimate[-1]
        return se3.translation_m(se3.inverse(se3.inverse(poses[0]) @ poses[-1]) @ T)

    assert last_error_m(result.T_odom_camera) > 0.05
    assert last_error_m(result.T_map_camera) < 0.5 * last_error_m(result.T_odom_camera)


def test_a_closure_that_contradicts_is_handed_over_as_rejected(frames, result, monkeypatch):
    """One closure is bent as it enters the graph: the others outvote it."""
    bent = result.closures[len(result.closures) // 2]
    key = (bent.match_id, bent.query_id)
    add_closure = PoseGraph.add_closure

    def bend(graph, closure):
        if (closure.match_id, closure.query_id) == key:
            T = closure.T_match_query @ se3.make_pose(translation=[4.0, 0, 0])
            closure = dataclasses.replace(closure, T_match_query=T)
        return add_closure(graph, closure)

    monkeypatch.setattr(PoseGraph, 'add_closure', bend)
    again = run(frames)
    assert [(c.match_id, c.query_id) for c in again.rejected] == [key]
    assert len(again.closures) == len(result.closures) - 1
    assert result.rejected == []


def test_each_closure_has_its_matches(result):
    assert len(result.inliers) == len(result.closures)
    for closure in result.closures:
        pair = KeyframeKey(1, closure.query_id), KeyframeKey(1, closure.match_id)
        matches = result.inliers[pair]
        assert matches.query_px.shape == matches.match_px.shape == (closure.num_inliers, 2)


def test_the_same_frames_give_the_same_result(frames, result):
    again = run(frames)
    np.testing.assert_array_equal(again.T_map_camera, result.T_map_camera)
    np.testing.assert_array_equal(again.similarity, result.similarity)
    assert again.g2o == result.g2o
    assert [q.status for q in again.queries] == [q.status for q in result.queries]


def test_frames_without_odometry_are_counted_out(frames):
    few = [dataclasses.replace(frames[0], T_odom_camera=None), *frames[1:3]]
    result = run(few, drops={'no_odometry': 1})
    assert result.drops == {'no_odometry': 2}
    assert len(result.odometry) == 2
    assert [q.status for q in result.queries] == [Status.CLOSE_MATCHES_ONLY]
    assert result.closures == []


def test_no_frame_with_a_pose_is_an_error_that_says_why(frames):
    blind = [dataclasses.replace(frame, T_odom_camera=None) for frame in frames[:3]]
    with pytest.raises(RecordingError, match=r"'corner'.*1 image_data, 3 no_odometry"):
        run(blind, drops={'image_data': 1})
    with pytest.raises(RecordingError, match='dropped: none'):
        run([])


def test_odometry_that_starts_again_at_its_origin_is_counted_and_ties_nothing(frames):
    """Half-way the front end loses track: its frame jumps by 30 m and turns round."""
    T_new_old = se3.make_pose(se3.expmap([0, 0, 3.0, 0, 0, 0])[:3, :3], [30.0, 0.0, 0.0])
    half = len(frames) // 2
    broken = frames[:half] + [
        dataclasses.replace(frame, T_odom_camera=T_new_old @ frame.T_odom_camera)
        for frame in frames[half:]
    ]
    result = run(broken)
    assert result.drops == {'odometry_break': 1}
    assert result.closures
    # The way back sees the places of the way out again: the closures bring the pieces together.
    assert np.ptp(result.T_map_camera[:, :3, 3], axis=0).max() < 5.0
