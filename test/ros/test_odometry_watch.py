"""Odometry that goes on, that jumps once, and that begins anew."""

from __future__ import annotations

import pytest

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.odometry_watch import OdometryWatch

S = 1_000_000_000


class Stream:
    """Odometry that moves along x, judged as it comes."""

    def __init__(self, max_speed_m_per_s=10.0):
        self.watch = OdometryWatch(max_speed_m_per_s)
        self.second = 100.0

    def say(self, *metres, frames=('odom', 'camera'), yaw_deg=0.0, period_s=0.05):
        """Return what is made of each: empty, 'restart', or the reason of a drop."""
        verdicts = []
        for x in metres:
            self.second += period_s
            T = se3.expmap([0.0, 0.0, yaw_deg / 57.29578, 0.0, 0.0, 0.0])
            T[0, 3] = x
            try:
                sentence = self.watch.judge(round(self.second * S), T, *frames)
                verdicts.append('restart' if sentence else '')
            except DropError as err:
                verdicts.append(err.reason)
        return verdicts


def test_driving_and_standing_go_on():
    stream = Stream()
    assert stream.say(*(0.1 * i for i in range(50))) == [''] * 50
    assert stream.say(4.9, period_s=3600.0) == ['']
    assert stream.say(5.5, 6.0) == ['', '']


def test_a_single_wrong_pose_is_left_out():
    stream = Stream()
    assert stream.say(0.0, 0.1, 40.0, 0.2, 0.3) == ['', '', 'odometry_jump', '', '']


def test_a_jump_that_lasts_is_a_restart():
    stream = Stream()
    stream.say(30.0, 30.1)
    verdicts = stream.say(*(0.01 * i for i in range(13)))
    assert verdicts == ['odometry_jump'] * 10 + ['restart', '', '']


def test_two_publishers_on_one_topic_do_not_begin_anew_for_ever():
    stream = Stream()
    verdicts = [stream.say(x)[0] for i in range(60) for x in (0.1 * i, 50.0)]
    assert verdicts == ['', 'odometry_jump'] * 60
    other = [
        stream.say(6.0, frames=f)[0] for _ in range(30) for f in (('a', ''), ('odom', 'camera'))
    ]
    assert other == ['odometry_frame', ''] * 30


def test_another_frame_that_lasts_is_a_restart():
    stream = Stream()
    stream.say(1.0)
    verdicts = stream.say(*[1.0] * 12, frames=('odom_2', 'camera'))
    assert verdicts == ['odometry_frame'] * 10 + ['restart', '']
    assert stream.say(1.0, frames=('/odom_2', 'camera')) == ['']  # the same, by an old habit


def test_a_turn_at_the_spot_that_nothing_can_make_is_a_restart():
    stream = Stream()
    stream.say(0.0)
    assert stream.say(0.0, yaw_deg=30.0) == ['']
    assert stream.say(*[0.0] * 11, yaw_deg=150.0)[-1] == 'restart'


def test_what_comes_back_elsewhere_after_a_silence_is_a_restart():
    stream = Stream()
    stream.say(*(0.1 * i for i in range(80)))
    assert stream.say(0.0, period_s=30.0) == ['odometry_jump']
    assert stream.say(*[0.0] * 10)[-1] == 'restart'


def test_a_slow_stream_is_no_silence():
    stream = Stream()
    assert stream.say(*(3.0 * i for i in range(10)), period_s=5.0)[2:] == [''] * 8


@pytest.mark.parametrize(('speed', 'expected'), [(10.0, 'odometry_jump'), (60.0, '')])
def test_a_car_is_faster(speed, expected):
    stream = Stream(speed)
    assert stream.say(0.0, 4.0, period_s=0.1)[1] == expected
