"""The covariance of the corrected pose, against samples of what it is about."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.config import Config, PoseGraphConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.noise import odometry_sigmas
from s3e_gnn_ros.ros.corrected_pose import (
    CovarianceSince,
    corrected_covariance,
    corrected_pose_message,
)
from s3e_gnn_ros.ros.correction import Correction
from s3e_gnn_ros.types import KeyframeKey

S = 1_000_000_000
T_BODY_CAMERA = se3.expmap([1.2, -1.1, 0.9, 0.1, 0.05, 0.2])
T_ODOM_BODY_THEN = se3.expmap([0.0, 0.0, 0.5, 3.0, 1.0, 0.0])
T_ODOM_BODY = T_ODOM_BODY_THEN @ se3.expmap([0.0, 0.0, 0.4, 0.8, 0.1, 0.0])
T_MAP_ODOM = se3.expmap([0.0, 0.0, -0.7, 2.0, -1.0, 0.3])


def some_covariance():
    A = np.random.default_rng(0).normal(size=(6, 6))
    return 1e-4 * (A @ A.T + np.eye(6))


def correction(keyframe_id=4, stamp_ns=10 * S, covariance='some'):
    T_odom_camera = T_ODOM_BODY_THEN @ T_BODY_CAMERA
    covariance = some_covariance() if covariance == 'some' else covariance
    return Correction(
        KeyframeKey(1, keyframe_id), stamp_ns, 'odom', T_MAP_ODOM @ T_odom_camera, T_odom_camera,
        covariance=covariance,
    )  # fmt: skip


def test_it_is_what_samples_of_keyframe_and_odometry_scatter_by():
    config = PoseGraphConfig()
    made = correction()
    C = corrected_covariance(made, T_ODOM_BODY_THEN, T_ODOM_BODY, config)
    rng = np.random.default_rng(1)
    sigmas = odometry_sigmas(se3.inverse(T_ODOM_BODY_THEN) @ T_ODOM_BODY, config)
    T_camera_body = se3.inverse(made.T_odom_camera) @ T_ODOM_BODY
    mean = made.T_map_camera @ T_camera_body
    number = 4000
    of_keyframe = rng.multivariate_normal(np.zeros(6), made.covariance, number)
    of_odometry = rng.normal(size=(number, 6)) * sigmas
    samples = [
        made.T_map_camera @ se3.expmap(a) @ T_camera_body @ se3.expmap(b)
        for a, b in zip(of_keyframe, of_odometry, strict=True)
    ]
    twists = np.array([se3.logmap(se3.inverse(mean) @ T) for T in samples])
    scale = np.sqrt(np.outer(np.diag(C), np.diag(C)))
    np.testing.assert_allclose(np.cov(twists.T) / scale, C / scale, atol=0.08)
    # And in the message: errors of position and small turns about the axes of the map.
    message = corrected_pose_message(7, 'map', mean, C)
    moved = np.array([T[:3, 3] - mean[:3, 3] for T in samples])
    turned = np.array([se3.logmap(T @ se3.inverse(mean))[:3] for T in samples])
    expected = np.cov(np.hstack([moved, turned]).T)
    M = message.pose.covariance.reshape(6, 6)
    scale = np.sqrt(np.outer(np.diag(M), np.diag(M)))
    np.testing.assert_allclose(expected / scale, M / scale, atol=0.08)
    p = message.pose.pose.position
    np.testing.assert_allclose((p.x, p.y, p.z), mean[:3, 3], atol=1e-12)
    assert message.header.frame_id == 'map'


def test_motion_counts_from_the_keyframe_on_and_where_the_camera_sits_does_not_matter():
    since = CovarianceSince(Config())
    since.add_odometry(9_900_000_000, T_ODOM_BODY_THEN)
    since.add_odometry(10_100_000_000, T_ODOM_BODY_THEN)
    since.add_odometry(11 * S, T_ODOM_BODY)
    found = since.at(correction(), T_ODOM_BODY)
    expected = corrected_covariance(
        correction(), T_ODOM_BODY_THEN, T_ODOM_BODY, Config().pose_graph
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    since.add_odometry(12 * S, T_ODOM_BODY @ se3.make_pose(translation=(5.0, 0, 0)))
    later = since.at(correction(), T_ODOM_BODY @ se3.make_pose(translation=(5.0, 0, 0)))
    assert np.trace(later) > np.trace(found)


def test_a_keyframe_from_before_the_first_odometry_counts_from_now_on():
    since = CovarianceSince(Config())
    since.add_odometry(11 * S, T_ODOM_BODY)
    found = since.at(correction(), T_ODOM_BODY)
    expected = corrected_covariance(correction(), T_ODOM_BODY, T_ODOM_BODY, Config().pose_graph)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_time_that_jumps_back_forgets_the_odometry_before():
    since = CovarianceSince(Config())
    since.add_odometry(10 * S, se3.make_pose(translation=(100.0, 0, 0)))
    since.add_odometry(2 * S, T_ODOM_BODY)
    since.add_odometry(3 * S, T_ODOM_BODY)
    found = since.at(correction(5, 2 * S), T_ODOM_BODY)
    expected = corrected_covariance(correction(), T_ODOM_BODY, T_ODOM_BODY, Config().pose_graph)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_an_unknown_covariance_stays_unknown():
    since = CovarianceSince(Config())
    assert since.at(correction(covariance=None), T_ODOM_BODY) is None
