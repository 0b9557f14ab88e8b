import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.consensus import Estimate, agrees, fuse_estimates

T_TRUE = se3.expmap([0.4, -1.0, 0.2, 1.0, 2.0, 3.0])


def estimate(step=(0.0,) * 6, sigma=0.01):
    return Estimate(T_TRUE @ se3.expmap(step), np.eye(6) * sigma**2)


def off(x_m):
    return (0, 0, 0, x_m, 0, 0)


def test_agreement_is_of_place_and_direction():
    T_turned = T_TRUE @ se3.expmap([0, np.radians(9), 0, 0, 0, 0])
    assert agrees(T_TRUE, T_TRUE @ se3.expmap(off(0.24)), 0.25, 8.0)
    assert not agrees(T_TRUE, T_TRUE @ se3.expmap(off(0.26)), 0.25, 8.0)
    assert not agrees(T_TRUE, T_turned, 0.25, 8.0)
    assert agrees(T_TRUE, T_turned, 0.25, 10.0)


def test_the_one_that_knows_more_weighs_more():
    T, covariance = fuse_estimates([estimate(off(0.1), sigma=0.01), estimate(sigma=0.03)])
    error = se3.logmap(se3.inverse(T_TRUE) @ T)
    np.testing.assert_allclose(error, off(0.09), atol=1e-9)
    # Twice the fused covariance: the two are not independent.
    np.testing.assert_allclose(np.diag(covariance), 2 * 0.9e-4, rtol=1e-9)


def test_one_estimate_is_left_as_it_is():
    only = estimate(off(0.3))
    T, covariance = fuse_estimates([only])
    np.testing.assert_allclose(T, only.T_map_query, atol=1e-12)
    np.testing.assert_allclose(covariance, only.covariance)


@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 8))
def test_many_of_a_kind_claim_no_more_than_one(seed, num):
    rng = np.random.default_rng(seed)
    estimates = [estimate(rng.normal(0, 0.01, 6)) for _ in range(num)]
    T, covariance = fuse_estimates(estimates)
    np.testing.assert_allclose(covariance, estimates[0].covariance, rtol=1e-6)
    assert se3.translation_m(se3.inverse(T_TRUE) @ T) < 0.05
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_the_order_of_the_estimates_does_not_matter():
    estimates = [estimate(off(x), sigma=s) for x, s in [(0, 0.01), (0.1, 0.02), (0.05, 0.04)]]
    (T_a, cov_a), (T_b, cov_b) = fuse_estimates(estimates), fuse_estimates(estimates[::-1])
    np.testing.assert_allclose(T_a, T_b, atol=1e-9)
    assert cov_a == pytest.approx(cov_b)
