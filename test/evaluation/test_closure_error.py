"""Closures of known error between poses of known truth."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.closure_error import (
    Tolerance,
    check_closures,
    closure_errors,
    travel_direction,
)
from s3e_gnn_ros.geometry.se3 import inverse, make_pose
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import LoopClosure

SECOND = 10**9


def turn(axis, degrees):
    return Rotation.from_euler(axis, degrees, degrees=True).as_matrix()


def out_and_back():
    """Drive 4 m along x within 4 s, look back, drive home; a pose every second."""
    out = [make_pose(None, [x, 0, 0]) for x in (0, 1, 2, 3, 4)]
    back = [make_pose(turn('y', 180), [x, 0, 0]) for x in (3, 2, 1, 0)]
    return Trajectory(np.arange(9, dtype=np.int64) * SECOND, np.array(out + back))


def closure(query_s, match_s, T_match_query):
    return LoopClosure(
        query_s, match_s, 0, 0, query_s * SECOND, match_s * SECOND, T_match_query, np.eye(6),
        0.5, 30, 0.5,
    )  # fmt: skip


def true_closure(path, query_s, match_s, error=None):
    T_match_query = inverse(path.poses[match_s]) @ path.poses[query_s]
    return closure(query_s, match_s, T_match_query @ (np.eye(4) if error is None else error))


@pytest.fixture
def path():
    return out_and_back()


def test_exact_closure_has_no_error(path):
    assert closure_errors(true_closure(path, 7, 1), path) == pytest.approx((0, 0), abs=1e-6)


def test_error_by_hand(path):
    error = make_pose(turn('z', 7), [0.03, 0, 0.04])
    translation_m, rotation_deg = closure_errors(true_closure(path, 7, 1, error), path)
    assert translation_m == pytest.approx(0.05)
    assert rotation_deg == pytest.approx(7)


def test_inverted_closure_is_seen_as_wrong(path):
    T_match_query = inverse(path.poses[1]) @ path.poses[3]
    assert closure_errors(closure(3, 1, inverse(T_match_query)), path)[0] == pytest.approx(4)


def test_outside_the_truth_is_unknown(path):
    assert closure_errors(closure(20, 1, np.eye(4)), path) is None
    (check,) = check_closures([closure(20, 1, np.eye(4))], path, path, Tolerance())
    assert check.is_wrong is None
    assert check.translation_error_m is None


@pytest.mark.parametrize(
    ('error', 'is_wrong'),
    [
        (make_pose(None, [0.19, 0, 0]), False),
        (make_pose(None, [0.21, 0, 0]), True),
        (make_pose(turn('x', 9.5)), False),
        (make_pose(turn('x', 10.5)), True),
    ],
)
def test_wrong_by_either(path, error, is_wrong):
    (check,) = check_closures([true_closure(path, 7, 1, error)], path, path, Tolerance())
    assert check.is_wrong is is_wrong


def test_tolerance_is_an_option(path):
    bad = true_closure(path, 7, 1, make_pose(None, [0.21, 0, 0]))
    (check,) = check_closures([bad], path, path, Tolerance(max_wrong_m=0.3))
    assert check.is_wrong is False


@pytest.mark.parametrize('values', [(0.0, 10.0), (0.2, float('nan')), (-1.0, 10.0)])
def test_tolerance_refuses(values):
    with pytest.raises(InputError, match='max_wrong_'):
        Tolerance(*values)


def test_directions_of_travel(path):
    opposite, same = check_closures(
        [true_closure(path, 6, 2), true_closure(path, 3, 1)], path, path, Tolerance()
    )
    assert opposite.travel == 'opposite'
    assert opposite.view_angle_deg == pytest.approx(180)
    assert same.travel == 'same'
    assert same.view_angle_deg == pytest.approx(0, abs=1e-5)


def test_crossing_directions():
    poses = [make_pose(None, p) for p in ([0, 0, 0], [1, 0, 0], [1, 0, 1], [1, 0, 2])]
    path = Trajectory(np.arange(4, dtype=np.int64) * SECOND, np.array(poses))
    (check,) = check_closures([true_closure(path, 3, 0)], None, path, Tolerance())
    assert check.travel == 'crossing'
    assert check.is_wrong is None


def test_standing_has_no_direction():
    poses = np.tile(np.eye(4), (5, 1, 1))
    path = Trajectory(np.arange(5, dtype=np.int64) * SECOND, poses)
    assert travel_direction(path, 2 * SECOND) is None
    (check,) = check_closures([closure(4, 1, np.eye(4))], path, path, Tolerance())
    assert check.travel == 'unknown'
