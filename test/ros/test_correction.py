"""When a correction applies, and how it is followed."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.correction import Applicability, Correction, Follower, approach
from s3e_gnn_ros.types import KeyframeKey

twists = st.lists(st.floats(-1.5, 1.5), min_size=6, max_size=6).map(se3.expmap)
S = 1_000_000_000


def correction(keyframe_id, second, session=1, **changes):
    T = se3.make_pose(translation=(0.1, 0.2, 0.3))
    made = Correction(
        KeyframeKey(session, keyframe_id), int(second * S), 'odom', T @ np.eye(4), np.eye(4)
    )
    return dataclasses.replace(made, **changes)


class Drive:
    """Odometry at 10 Hz along x, which the test can break."""

    def __init__(self):
        self.applicability = Applicability()
        self.second = 100.0
        self.x = 0.0
        self.frame = 'odom'

    def on(self, latest, seconds=0.1, x=None, second=None):
        self.second = self.second + seconds if second is None else second
        self.x = self.x + 0.1 if x is None else x
        T = se3.make_pose(translation=(self.x, 0, 0))
        self.applicability.take_odometry(round(self.second * S), T, self.frame)
        return self.applicability.applies(latest)


def test_without_a_correction_nothing_applies():
    drive = Drive()
    assert not drive.applicability.applies(correction(0, 100.0))  # to what?
    assert not drive.on(None)
    assert drive.on(correction(0, 100.0))
    assert drive.applicability.applies(correction(1, 100.1))  # the next, before more odometry


def test_age_alone_is_no_reason():
    drive, latest = Drive(), correction(3, 90.0)
    assert all(drive.on(latest, seconds=10.0, x=0.0) for _ in range(360))  # parked for an hour


def test_after_a_jump_only_a_keyframe_from_after_it_applies():
    drive, old = Drive(), correction(3, 100.0)
    assert drive.on(old)
    assert drive.on(old)
    assert not drive.on(old, x=-40.0)  # the front end started again at its origin
    jumped_at = drive.second
    assert not drive.on(old)
    assert not drive.on(correction(4, jumped_at - 0.05))  # made before, solved after
    assert drive.on(correction(5, jumped_at + 0.1))
    assert drive.on(correction(5, jumped_at + 0.1))


def test_after_time_has_jumped_back_only_a_newer_session_applies():
    drive, old = Drive(), correction(30, 100.0)
    assert drive.on(old)
    assert not drive.on(old, second=20.0, x=0.0)
    assert not drive.on(correction(31, 100.1))  # the last of the old session, solved after
    assert not drive.on(None)
    assert drive.on(correction(0, 20.1, session=2))
    # Time comes to where the old session was; it stays forgotten.
    fresh = Drive()
    assert fresh.on(old)
    fresh.on(old, second=99.0, x=0.0)
    assert not any(fresh.on(old) for _ in range(50))


def test_a_keyframe_that_overtook_its_odometry_does_not_lock_it_out():
    drive = Drive()
    assert drive.on(correction(30, 100.0))
    assert drive.on(correction(0, 20.1, session=2), second=20.0, x=0.0)


def test_another_frame_begins_anew_and_waits_for_its_own():
    drive, old = Drive(), correction(3, 100.0)
    assert drive.on(old)
    drive.frame = 'odom2'
    assert not drive.on(old)
    assert not drive.on(correction(4, 100.4))
    assert drive.on(correction(5, 100.5, odom_frame='/odom2'))
    drive.frame = 'odom'  # and back: what was known of it is from before
    assert not drive.on(old)
    assert not drive.on(correction(5, 100.5, odom_frame='odom2'))


def test_a_piece_that_nothing_ties_to_the_map_has_no_place_in_it():
    drive = Drive()
    assert not drive.on(correction(3, 100.0, is_tied=False))
    assert drive.on(correction(3, 100.0))


@given(twists, twists, twists, st.floats(0, 1))
def test_the_robot_moves_straight_to_where_it_belongs(T_now, T_goal, T_odom_body, share):
    before, goal = T_now @ T_odom_body, T_goal @ T_odom_body
    T_map_body = approach(T_now, T_goal, T_odom_body, share) @ T_odom_body
    expected = (1 - share) * before[:3, 3] + share * goal[:3, 3]
    np.testing.assert_allclose(T_map_body[:3, 3], expected, atol=1e-9)
    angle_deg = se3.rotation_angle_deg(se3.inverse(before) @ goal)
    turned_deg = se3.rotation_angle_deg(se3.inverse(before) @ T_map_body)
    assert turned_deg == pytest.approx(share * angle_deg, abs=1e-5)


@given(twists, twists, twists, st.lists(st.floats(0.001, 2.0), min_size=1, max_size=6))
def test_what_remains_shrinks_by_time_whatever_the_rate(T_start, T_goal, T_odom_body, steps_s):
    time_s = 0.7
    follower = Follower(time_s)
    follower.follow(0, T_odom_body, T_start)
    stamp_ns = 0
    for step_s in steps_s:
        stamp_ns += int(step_s * S)
        T = follower.follow(stamp_ns, T_odom_body, T_goal)
    share = 1 - np.exp(-stamp_ns / S / time_s)
    expected = approach(T_start, T_goal, T_odom_body, share)
    np.testing.assert_allclose(T, expected, atol=1e-6)


@given(twists, twists)
def test_it_neither_overshoots_nor_goes_back_and_arrives(T_start, T_goal):
    follower, remains = Follower(1.0), []
    for i in range(200):
        T = follower.follow(i * S // 10, np.eye(4), T_start if i == 0 else T_goal)
        remains.append(se3.translation_m(se3.inverse(T) @ T_goal))
    assert all(b <= a + 1e-12 for a, b in pairwise(remains))
    np.testing.assert_allclose(T, T_goal, atol=1e-6)


@given(twists, twists)
def test_at_once_is_at_once(T_start, T_goal):
    follower = Follower(None)
    np.testing.assert_array_equal(follower.follow(0, np.eye(4), T_start), T_start)
    np.testing.assert_array_equal(follower.follow(1, np.eye(4), T_goal), T_goal)


def test_a_forgotten_correction_is_not_departed_from():
    follower = Follower(5.0)
    T_goal = se3.make_pose(translation=(9.0, 0, 0))
    follower.follow(0, np.eye(4), np.eye(4))
    follower.forget()
    np.testing.assert_array_equal(follower.follow(1, np.eye(4), T_goal), T_goal)


def test_time_that_goes_back_moves_nothing():
    follower = Follower(1.0)
    follower.follow(5 * S, np.eye(4), np.eye(4))
    T = follower.follow(4 * S, np.eye(4), se3.make_pose(translation=(9.0, 0, 0)))
    np.testing.assert_allclose(T, np.eye(4), atol=1e-12)


def test_the_correction_maps_odometry_onto_the_map():
    T_map, T_odom = se3.expmap([0.1] * 6), se3.expmap([-0.3] * 6)
    made = correction(0, 1.0, T_map_camera=T_map, T_odom_camera=T_odom)
    np.testing.assert_allclose(made.T_map_odom @ T_odom, T_map, atol=1e-12)


def test_another_time_constant_goes_on_from_where_it_is():
    start, goal = np.eye(4), se3.make_pose(translation=(1.0, 0, 0))
    follower = Follower(1.0)
    follower.follow(0, np.eye(4), start)
    follower.follow(S, np.eye(4), goal)
    follower.set_time(0.1)
    T = follower.follow(S + S // 10, np.eye(4), goal)
    assert T[0, 3] == pytest.approx(1 - np.exp(-2.0))
    follower.set_time(None)
    np.testing.assert_array_equal(follower.follow(S + S // 5, np.eye(4), goal), goal)
