"""When tracking counts as lost: silence, jumps, and what ends them."""

from __future__ import annotations

import numpy as np
import pytest

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.tracking_watch import TrackingWatch

S = 1_000_000_000


def at(x_m):
    return se3.make_pose(None, (x_m, 0.0, 0.0))


def test_silence_and_its_end():
    watch = TrackingWatch(1.0)
    watch.take_pose(10 * S, at(0.0), 'odom')
    assert not watch.is_lost(11 * S)
    assert watch.is_lost(11 * S + 1)
    watch.take_pose(12 * S, at(0.5), 'odom')
    assert not watch.is_lost(12 * S + 1)


def test_odometry_that_never_comes_is_silence_too():
    watch = TrackingWatch(1.0)
    assert not watch.is_lost(10 * S)
    assert not watch.is_lost(11 * S)
    assert watch.is_lost(12 * S)


def test_a_jump_lasts_until_a_later_image_is_located():
    watch = TrackingWatch(1.0)
    watch.take_pose(10 * S, at(0.0), 'odom')
    watch.take_pose(10 * S + S // 10, at(5.0), 'odom')
    watch.take_pose(11 * S, at(5.1), 'odom')
    assert watch.is_lost(11 * S)
    watch.located(10 * S)  # an image from before the jump says nothing of what follows
    assert watch.is_lost(11 * S)
    watch.located(11 * S)
    assert not watch.is_lost(11 * S)


def test_another_odometry_frame_is_a_jump():
    watch = TrackingWatch(1.0)
    watch.take_pose(10 * S, at(0.0), 'odom')
    watch.take_pose(10 * S + 1, at(0.0), 'odom_2')
    assert watch.is_lost(10 * S + 2)


def test_walking_is_no_jump():
    watch = TrackingWatch(1.0)
    for i in range(100):
        watch.take_pose(
            10 * S + i * S // 30, at(i * 0.05) @ se3.expmap([0, 0.1, 0, 0, 0, 0]), 'odom'
        )
        assert not watch.is_lost(10 * S + i * S // 30)


@pytest.mark.parametrize('timeout_s', [0.0])
def test_it_can_be_switched_off(timeout_s):
    watch = TrackingWatch(timeout_s)
    watch.take_pose(10 * S, np.eye(4), 'odom')
    watch.take_pose(11 * S, at(50.0), 'odom')
    assert not watch.is_lost(100 * S)


def test_keyframes_alone_are_not_missed_while_standing_still():
    watch = TrackingWatch(1.0, is_sparse=True)
    watch.take_pose(10 * S, at(0.0), 'world')
    assert not watch.is_lost(60 * S)
    watch.hear(60 * S)  # odometry beside them speaks
    assert not watch.is_lost(61 * S)
    assert watch.is_lost(62 * S)


def test_begins_again_after_time_has_jumped_back():
    watch = TrackingWatch(1.0)
    watch.take_pose(100 * S, at(0.0), 'odom')
    watch.take_pose(101 * S, at(90.0), 'odom')
    watch.clear()
    assert not watch.is_lost(5 * S)
    watch.take_pose(5 * S, at(90.0), 'odom')
    assert not watch.is_lost(6 * S)


def test_another_timeout_holds_at_once():
    watch = TrackingWatch(1.0)
    watch.take_pose(10 * S, at(0.0), 'odom')
    watch.set_timeout(3.0)
    assert not watch.is_lost(12 * S)
    watch.set_timeout(0.5)
    assert watch.is_lost(11 * S)
    watch.set_timeout(0.0)
    assert not watch.is_lost(100 * S)
