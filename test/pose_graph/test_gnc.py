import gtsam
import numpy as np
import pytest
from aliased import chain, columns, make_drive, rms_m
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.pose_graph.batch import minimise, poses_of
from s3e_gnn_ros.pose_graph.gnc import gnc, tls_weights, weighted
from s3e_gnn_ros.pose_graph.loops import chi2_threshold

THRESHOLD = chi2_threshold(0.9999)
ODOMETRY = np.array([0.005] * 3 + [0.012] * 3)


def odometry_graph(drive):
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    graph.add(gtsam.PriorFactorPose3(0, gtsam.Pose3(), gtsam.noiseModel.Isotropic.Sigma(6, 1e-3)))
    _, T, C = chain(drive.odometry, ODOMETRY)
    for k, pose in enumerate(drive.odometry):
        values.insert(k, gtsam.Pose3(pose))
        if k:
            noise = gtsam.noiseModel.Gaussian.Covariance(C[k])
            graph.add(gtsam.BetweenFactorPose3(k - 1, k, gtsam.Pose3(T[k]), noise))
    return graph, values


def run(drive, pinned=None):
    base, values = odometry_graph(drive)
    loops = columns(drive)
    none = np.zeros(len(loops), bool)
    return gnc(base, loops, values, THRESHOLD, none if pinned is None else pinned)


@pytest.mark.parametrize('wrong', [0.0, 0.1, 0.3])
def test_wrong_closures_lose_their_weight(wrong):
    drive = make_drive(7, wrong=wrong)
    result = run(drive)
    np.testing.assert_array_equal(result.weights > 0, ~drive.is_wrong)
    base, values = odometry_graph(drive)
    best = minimise(weighted(base, columns(drive), (~drive.is_wrong) * 1.0), values)
    np.testing.assert_allclose(poses_of(result.values), poses_of(best), atol=1e-3)
    assert rms_m(poses_of(result.values), drive.truth) < 0.1


def test_it_ends_where_gtsam_ends():
    drive = make_drive(8, wrong=0.2)
    base, values = odometry_graph(drive)
    loops = columns(drive)
    params = gtsam.GncLMParams()
    params.setKnownInliers(list(range(base.size())))
    theirs = gtsam.GncLMOptimizer(weighted(base, loops, np.ones(len(loops))), values, params)
    theirs.setInlierCostThresholds(THRESHOLD / 2)  # gtsam's cost is half of chi2
    theirs.optimize()
    expected = np.asarray(theirs.getWeights())[base.size() :]
    np.testing.assert_array_equal(run(drive).weights > 0.5, expected > 0.5)


def test_what_is_pinned_stays():
    drive = make_drive(7, wrong=0.1)
    pinned = np.zeros(len(drive.closures), bool)
    pinned[np.flatnonzero(drive.is_wrong)[0]] = True
    assert run(drive, pinned).weights[pinned] == 1.0


@given(st.floats(0, 1e6), st.floats(1e-6, 1e6))
def test_weights_are_shares_that_fall_with_the_residual(residual, mu):
    weights = tls_weights(np.array([residual, residual * 1.1 + 0.1]), THRESHOLD, mu)
    assert 0 <= weights[1] <= weights[0] <= 1 + 1e-9


def test_weights_end_as_a_plain_decision():
    residuals = np.array([0.0, THRESHOLD, THRESHOLD + 1e-6, 1e9])
    np.testing.assert_array_equal(tls_weights(residuals, THRESHOLD, np.inf), [1, 1, 0, 0])
    near = tls_weights(residuals[[0, 3]], THRESHOLD, 1e6)
    np.testing.assert_allclose(near, [1, 0])
