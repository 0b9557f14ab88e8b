"""Stamps that are out of order, and clocks that are set."""

from __future__ import annotations

from s3e_gnn_ros.ros.clock_guard import ClockGuard, Verdict

S = 1_000_000_000
USE, SUSPECT, NEW = Verdict.USE, Verdict.SUSPECT, Verdict.NEW_SESSION


def judge(guard, topic, *seconds):
    return [guard.judge(topic, int(second * S)) for second in seconds]


def test_order_repetition_and_small_steps_back():
    verdicts = judge(ClockGuard(), 'a', 10, 10.1, 10.1, 9.2, 10.2)
    assert verdicts == [USE, USE, Verdict.REPEATED, Verdict.LATE, USE]


def test_a_jump_back_begins_a_session_once_for_all_topics():
    guard = ClockGuard()
    assert judge(guard, 'image', 10, 20) == [USE] * 2
    assert judge(guard, 'odometry', 10, 20) == [USE] * 2
    assert judge(guard, 'odometry', 10, 10.1) == [SUSPECT, NEW]
    # Still under way from before the jump.
    assert judge(guard, 'image', 20.1) == [Verdict.DROP_OLD_SESSION]
    assert judge(guard, 'image', 10, 10.1) == [USE] * 2
    assert judge(guard, 'odometry', 10.2) == [USE]


def test_topics_that_jump_back_at_once_begin_one_session():
    guard = ClockGuard()
    judge(guard, 'image', 20)
    judge(guard, 'odometry', 20)
    assert judge(guard, 'image', 10) == [SUSPECT]
    assert judge(guard, 'odometry', 10, 10.1) == [SUSPECT, NEW]
    assert judge(guard, 'image', 10.1, 10.2) == [USE] * 2


def test_a_topic_that_lags_far_behind_is_not_from_before_the_jump():
    guard = ClockGuard()
    judge(guard, 'slow', 5)
    judge(guard, 'fast', 20)
    assert judge(guard, 'fast', 10, 10.1) == [SUSPECT, NEW]
    assert judge(guard, 'slow', 10) == [USE]


def test_a_single_wrong_stamp_changes_nothing():
    guard = ClockGuard()
    judge(guard, 'a', 100)
    judge(guard, 'b', 100)
    assert judge(guard, 'a', 3, 100.1, 5000, 100.2) == [SUSPECT, USE, SUSPECT, USE]
    assert judge(guard, 'b', 100.1) == [USE]
    assert judge(guard, 'a', 7, 7, 7, 100.3) == [SUSPECT] * 3 + [USE]  # a stamp that stands still


def test_a_clock_that_is_set_forwards_is_believed_the_second_time():
    guard = ClockGuard()
    judge(guard, 'a', 10)
    assert judge(guard, 'a', 5000, 5000.1, 5000.2) == [SUSPECT, Verdict.JUMPED_AHEAD, USE]
    judge(guard, 'b', 10)
    assert judge(guard, 'b', 69) == [USE]  # a pause is no jump


def test_a_short_jump_does_not_silence_the_other_topics():
    guard = ClockGuard()
    judge(guard, 'a', 100)
    judge(guard, 'b', 100)
    assert judge(guard, 'a', 98, 98.1) == [SUSPECT, NEW]
    assert judge(guard, 'b', 100.1) == [Verdict.DROP_OLD_SESSION]
    assert judge(guard, 'a', 99, 100) == [USE] * 2
    assert judge(guard, 'b', 100.2) == [USE]
