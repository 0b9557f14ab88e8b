"""What odometry says of any two keyframes, against gtsam's own marginals and drawn noise."""

import gtsam
import numpy as np
import pytest
from aliased import chain, make_drive

from s3e_gnn_ros.geometry.se3 import expmap, inverse
from s3e_gnn_ros.pose_graph.chains import OdometryTrees
from s3e_gnn_ros.pose_graph.twists import logmaps

SIGMAS = np.array([0.01, 0.02, 0.03, 0.02, 0.01, 0.04])


@pytest.fixture(scope='module')
def forked():
    """Twelve keyframes; at 4 a second run forks off (5, 7, 9, ...); 11 is a tree of its own."""
    rng = np.random.default_rng(0)
    parents = np.array([-1, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, -1])
    T = np.array([expmap(rng.normal(0, 0.4, 6)) for _ in parents])
    C = np.array([np.diag((SIGMAS * (1 + k)) ** 2) for k in range(len(parents))])
    return parents, T, C


def marginal(parents, T, C, a, b):
    """Solve the tree with gtsam, a held fast, and ask it for the covariance of b."""
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    poses = [np.eye(4)] * len(parents)
    for k, parent in enumerate(parents):
        if parent >= 0:
            poses[k] = poses[parent] @ T[k]
            noise = gtsam.noiseModel.Gaussian.Covariance(C[k])
            graph.add(gtsam.BetweenFactorPose3(int(parent), k, gtsam.Pose3(T[k]), noise))
    for k, pose in enumerate(poses):
        values.insert(k, gtsam.Pose3(pose))
    for k in {a, int(np.flatnonzero(parents < 0)[-1])}:
        tight = gtsam.noiseModel.Isotropic.Sigma(6, 1e-7)
        graph.add(gtsam.PriorFactorPose3(k, values.atPose3(k), tight))
    return inverse(poses[a]) @ poses[b], gtsam.Marginals(graph, values).marginalCovariance(b)


@pytest.mark.parametrize(('a', 'b'), [(0, 3), (2, 9), (9, 2), (10, 9), (9, 10), (8, 5), (4, 4)])
def test_forked_trees_agree_with_gtsam(forked, a, b):
    trees = OdometryTrees(*forked)
    T_a_b, covariance = marginal(*forked, a, b)
    rows = np.array([a]), np.array([b])
    np.testing.assert_allclose(trees.poses(*rows)[0], T_a_b, atol=1e-9)
    np.testing.assert_allclose(trees.covariances(*rows)[0], covariance, rtol=1e-4, atol=1e-9)


def test_trees_are_told_apart(forked):
    trees = OdometryTrees(*forked)
    a, b = np.array([0, 9, 11]), np.array([10, 11, 11])
    np.testing.assert_array_equal(trees.are_tied(a, b), [True, False, True])


def test_covariance_is_that_of_drawn_noise():
    """Far along a bent way the rotation's noise has become the position's."""
    drive = make_drive(0, laps=1)
    parents, T, C = chain(drive.truth, SIGMAS / 10)
    trees = OdometryTrees(parents, T, C)
    expected = trees.covariances(np.array([3]), np.array([30]))[0]
    rng = np.random.default_rng(1)
    twists = []
    for _ in range(3000):
        T_3_30 = np.eye(4)
        for k in range(4, 31):
            T_3_30 = T_3_30 @ T[k] @ expmap(rng.normal(0, SIGMAS / 10))
        twists.append(inverse(trees.poses(np.array([3]), np.array([30]))[0]) @ T_3_30)
    drawn = np.cov(logmaps(np.array(twists)).T)
    np.testing.assert_allclose(drawn, expected, atol=0.1 * np.abs(expected).max())
    summed = 27 * np.diag((SIGMAS / 10) ** 2)  # what plain addition would give
    assert expected[3:, 3:].trace() > 3 * summed[3:, 3:].trace()


def test_poses_from_start_where_the_root_is(forked):
    trees = OdometryTrees(*forked)
    rng = np.random.default_rng(2)
    poses = np.array([expmap(rng.normal(0, 1, 6)) for _ in range(12)])
    out = trees.poses_from(poses)
    np.testing.assert_allclose(out[[0, 11]], poses[[0, 11]])
    np.testing.assert_allclose(inverse(out[8]) @ out[10], forked[1][10], atol=1e-12)
