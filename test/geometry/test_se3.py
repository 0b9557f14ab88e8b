import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3

numbers = st.floats(-10, 10, allow_subnormal=False)
vectors = arrays(np.float64, 3, elements=numbers)
twists = arrays(np.float64, 6, elements=numbers)
poses = twists.map(se3.expmap)
# The logarithm is unique below half a turn.
small_twists = arrays(np.float64, 6, elements=st.floats(-1.8, 1.8, allow_subnormal=False))


@given(twists)
def test_exp_is_a_rigid_transform(xi):
    T = se3.expmap(xi)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T[:3, :3]) > 0
    np.testing.assert_array_equal(T[3], [0, 0, 0, 1])


@given(small_twists)
def test_log_inverts_exp(xi):
    np.testing.assert_allclose(se3.logmap(se3.expmap(xi)), xi, atol=1e-7)


@given(poses)
def test_exp_inverts_log(T):
    np.testing.assert_allclose(se3.expmap(se3.logmap(T)), T, atol=1e-6)


def test_exp_of_a_screw_by_hand():
    # A quarter turn about z while moving along it: what a screw does.
    T = se3.expmap([0, 0, np.pi / 2, 0, 0, 3.0])
    expected = [[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 3.0], [0, 0, 0, 1]]
    np.testing.assert_allclose(T, expected, atol=1e-12)
    # A quarter of a circle of radius 1, driven forward (x) and turning left.
    T = se3.expmap([0, 0, np.pi / 2, np.pi / 2, 0, 0])
    np.testing.assert_allclose(T[:3, 3], [1, 1, 0], atol=1e-12)


@given(poses, small_twists)
def test_adjoint_moves_a_perturbation_to_the_left(T, xi):
    left = se3.expmap(se3.adjoint(T) @ xi)
    np.testing.assert_allclose(T @ se3.expmap(xi) @ se3.inverse(T), left, atol=1e-6)


@given(poses)
def test_inverse(T):
    np.testing.assert_allclose(se3.inverse(T) @ T, np.eye(4), atol=1e-9)


def test_inverse_of_a_stack_is_that_of_each():
    stack = np.array([se3.expmap(np.arange(6) * 0.1 * k) for k in range(4)])
    np.testing.assert_array_equal(se3.inverse(stack), [se3.inverse(T) for T in stack])


@given(poses, arrays(np.float64, (5, 3), elements=numbers))
def test_transform_points(T, points):
    homogeneous = np.column_stack([points, np.ones(5)])
    expected = (homogeneous @ T.T)[:, :3]
    np.testing.assert_allclose(se3.transform_points(T, points), expected, atol=1e-9)


@given(arrays(np.float64, (6, 6), elements=numbers))
def test_swap_is_an_involution_that_moves_blocks(matrix):
    swapped = se3.swap_rotation_translation(matrix)
    np.testing.assert_array_equal(se3.swap_rotation_translation(swapped), matrix)
    np.testing.assert_array_equal(swapped[:3, :3], matrix[3:, 3:])
    np.testing.assert_array_equal(swapped[:3, 3:], matrix[3:, :3])


@given(poses, poses)
def test_interpolation_meets_both_ends(T_a, T_b):
    np.testing.assert_allclose(se3.interpolate(T_a, T_b, 0.0), T_a, atol=1e-9)
    np.testing.assert_allclose(se3.interpolate(T_a, T_b, 1.0), T_b, atol=1e-9)


@given(poses, small_twists, st.floats(0, 1))
def test_interpolation_turns_evenly_along_a_straight_line(T_a, xi, fraction):
    T_b = T_a @ se3.expmap(xi)
    T = se3.interpolate(T_a, T_b, fraction)
    np.testing.assert_allclose(
        T[:3, 3], T_a[:3, 3] + fraction * (T_b[:3, 3] - T_a[:3, 3]), atol=1e-9
    )
    if np.linalg.norm(xi[:3]) < 3.1:
        whole = se3.rotation_angle_deg(se3.inverse(T_a) @ T_b)
        part = se3.rotation_angle_deg(se3.inverse(T_a) @ T)
        assert part == pytest.approx(fraction * whole, abs=1e-5)


@given(poses)
def test_quaternion_round_trip(T):
    quat = se3.quat_xyzw(T)
    assert np.linalg.norm(quat) == pytest.approx(1.0)
    np.testing.assert_allclose(se3.pose_from_quat(T[:3, 3], quat), T, atol=1e-9)
    np.testing.assert_allclose(se3.pose_from_quat(T[:3, 3], -quat), T, atol=1e-9)


def test_quaternion_order_is_xyzw():
    T = se3.expmap([0, 0, np.pi / 2, 0, 0, 0])
    np.testing.assert_allclose(se3.quat_xyzw(T), [0, 0, np.sqrt(0.5), np.sqrt(0.5)])
    np.testing.assert_allclose(se3.quat_xyzw(np.array([np.eye(4), T]))[0], [0, 0, 0, 1])


@pytest.mark.parametrize(
    ('translation', 'quat', 'message'),
    [
        ([0, 0, np.nan], [0, 0, 0, 1], 'not finite'),
        ([0, 0, 0], [0, np.inf, 0, 1], 'not finite'),
        ([0, 0, 0], [0, 0, 0, 0], 'norm 0.0000'),
        ([0, 0, 0], [0, 0, 0, 1.02], 'norm 1.0200'),
    ],
)
def test_bad_quaternions_are_refused(translation, quat, message):
    with pytest.raises(InputError, match=message):
        se3.pose_from_quat(translation, quat)


@given(st.floats(0, np.pi), vectors)
def test_angle_and_distance(angle, translation):
    T = se3.expmap([0, angle, 0, 0, 0, 0])
    T[:3, 3] = translation
    assert se3.rotation_angle_deg(T) == pytest.approx(np.degrees(angle), abs=1e-5)
    assert se3.translation_m(T) == pytest.approx(np.linalg.norm(translation))


def test_check_pose_makes_a_rounded_rotation_orthonormal():
    T = se3.expmap([0.3, -0.2, 0.5, 1.0, 2.0, 3.0])
    checked = se3.check_pose(np.round(T, 3), 'pose')
    np.testing.assert_allclose(checked, T, atol=2e-3)
    np.testing.assert_allclose(checked[:3, :3] @ checked[:3, :3].T, np.eye(3), atol=1e-12)


def _mirror():
    return np.diag([1.0, 1.0, -1.0, 1.0])


def _scaled_last_row():
    T = np.eye(4)
    T[3, 3] = 2.0
    return T


@pytest.mark.parametrize(
    ('T', 'message'),
    [
        (np.eye(3), 'shape'),
        (np.full((4, 4), np.nan), 'not finite'),
        (np.diag([1.1, 1.0, 1.0, 1.0]), 'no rigid transform'),
        (_mirror(), 'no rigid transform'),
        (_scaled_last_row(), 'no rigid transform'),
    ],
)
def test_check_pose_says_what_is_wrong(T, message):
    with pytest.raises(InputError, match=f'the pose .*{message}|the pose is {message}'):
        se3.check_pose(T, 'the pose')
