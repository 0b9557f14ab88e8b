"""The whole graph as processes over DDS gives what the offline replay gives."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from s3e_gnn_ros.config import config_from_dotted
from s3e_gnn_ros.data.bag_recording import BagRecording
from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import S3EError
from s3e_gnn_ros.evaluation.replay import replay_offline
from s3e_gnn_ros.ros import processes
from s3e_gnn_ros.ros.live import _live_config, replay_live

CONFIG = config_from_dotted(
    {
        'keyframes.min_translation_m': 0.25,
        'retrieval.min_time_gap_s': 1.5,
        'retrieval.min_keyframe_gap': 4,
    }
)


def test_live_and_offline_close_the_same_loops(recording, domain):
    seen = []
    live = replay_live(
        recording, RecordingOptions(), CONFIG, 2.0, lambda done, total: seen.append((done, total))
    )
    source = open_recording(recording)
    offline = replay_offline(
        'x', source.frames(), CONFIG, source.ground_truth, source.drops, source.notes
    )
    assert len(offline.closures) > 4
    assert not live.drops
    np.testing.assert_array_equal(live.stamps_ns, offline.stamps_ns)
    np.testing.assert_allclose(live.T_odom_camera, offline.T_odom_camera, atol=1e-9)
    assert [q.status for q in live.queries] == [q.status for q in offline.queries]
    pairs = [[(c.query_id, c.match_id) for c in run.closures] for run in (live, offline)]
    assert pairs[0] == pairs[1]
    for mine, theirs in zip(live.closures, offline.closures, strict=True):
        np.testing.assert_allclose(mine.T_match_query, theirs.T_match_query, atol=1e-6)
        np.testing.assert_allclose(mine.covariance, theirs.covariance, rtol=1e-3, atol=1e-12)
        assert mine.num_inliers == theirs.num_inliers
    np.testing.assert_allclose(live.T_map_camera, offline.T_map_camera, atol=1e-3)
    np.testing.assert_allclose(live.similarity, offline.similarity, atol=1e-6)
    np.testing.assert_array_equal(live.odometry.stamps_ns, offline.odometry.stamps_ns)
    assert len(live.images) == live.num_keyframes
    assert live.g2o.count('EDGE_SE3') == offline.g2o.count('EDGE_SE3')
    assert seen[-1] == (52, 52)


@pytest.mark.parametrize(('x_m', 'is_body'), [(0.0, False), (0.3, True)])
def test_an_identity_given_for_the_body_means_poses_of_the_camera(recording, x_m, is_body):
    T_body_camera = np.eye(4)
    T_body_camera[0, 3] = x_m
    options = RecordingOptions(T_body_camera=T_body_camera)
    config = config_from_dotted({'node.body_frame_pose': True})
    node = _live_config(recording, BagRecording(recording, options), options, config).node
    assert node.body_frame_pose is is_body
    assert node.T_body_camera == (x_m, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def test_a_child_that_dies_is_an_error_with_its_last_words(
    recording, domain, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(processes.NODE_MODULES, 'pose_graph', 's3e_gnn_ros.no_such_node')
    with pytest.raises(
        S3EError, match=r'pose_graph_node ended with status 1.*no_such_node.*log: '
    ):
        replay_live(recording, RecordingOptions(), CONFIG, 3.0)
