import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.geometry.se3 import adjoint, expmap, logmap
from s3e_gnn_ros.pose_graph.twists import adjoints, logmaps, squared_distances

twist = st.lists(st.floats(-1.7, 1.7), min_size=6, max_size=6)


@given(st.lists(twist, min_size=1, max_size=5))
def test_many_are_as_one(twists):
    T = np.array([expmap(xi) for xi in twists])
    np.testing.assert_allclose(logmaps(T), [logmap(each) for each in T], atol=1e-9)
    np.testing.assert_allclose(adjoints(T), [adjoint(each) for each in T], atol=1e-12)


@given(twist)
def test_logmaps_inverts_expmap(xi):
    np.testing.assert_allclose(logmaps(expmap(xi)[None])[0], xi, atol=1e-8)


def test_tiny_and_no_rotations():
    for angle in (0.0, 1e-12, 1e-7, 1e-5):
        xi = np.array([0, 0, angle, 3.0, -2.0, 1.0])
        np.testing.assert_allclose(logmaps(expmap(xi)[None])[0], xi, atol=1e-9)
    assert logmaps(np.zeros((0, 4, 4))).shape == (0, 6)


def test_distances_by_hand():
    twists = np.array([[0, 0, 0, 0.2, 0, 0], [0.1, 0, 0, 0, 0, 0.3]])
    covariances = np.tile(np.diag([0.1**2] * 6), (2, 1, 1))
    np.testing.assert_allclose(squared_distances(twists, covariances), [4.0, 10.0])
    assert squared_distances(np.zeros((0, 6)), np.zeros((0, 6, 6))).shape == (0,)
