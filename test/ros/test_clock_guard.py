"""Time that runs backwards."""

from __future__ import annotations

from s3e_gnn_ros.ros.clock_guard import ClockGuard, Verdict

S = 1_000_000_000


def judge(guard, topic, *seconds):
    return [guard.judge(topic, int(second * S)) for second in seconds]


def test_order_repetition_and_small_steps_back():
    verdicts = judge(ClockGuard(), 'a', 10, 10.1, 10.1, 9.2, 10.2)
    late = Verdict.LATE
    assert verdicts == [Verdict.USE, Verdict.USE, late, late, Verdict.USE]


def test_a_jump_back_begins_a_session_once_for_all_topics():
    guard = ClockGuard()
    assert judge(guard, 'image', 10, 20) == [Verdict.USE] * 2
    assert judge(guard, 'odometry', 10, 20) == [Verdict.USE] * 2
    assert judge(guard, 'odometry', 10) == [Verdict.NEW_SESSION]
    # Still under way from before the jump.
    assert judge(guard, 'image', 20.1) == [Verdict.DROP_OLD_SESSION]
    assert judge(guard, 'image', 10, 10.1) == [Verdict.USE] * 2
    assert judge(guard, 'odometry', 10.1) == [Verdict.USE]


def test_a_topic_that_lags_far_behind_is_not_from_before_the_jump():
    guard = ClockGuard()
    judge(guard, 'slow', 5)
    judge(guard, 'fast', 20)
    assert judge(guard, 'fast', 10) == [Verdict.NEW_SESSION]
    assert judge(guard, 'slow', 10) == [Verdict.USE]


def test_a_single_wrong_stamp_does_not_silence_the_other_topics():
    guard = ClockGuard()
    judge(guard, 'image', 10, 20)
    judge(guard, 'odometry', 10, 20)
    assert judge(guard, 'image', 0) == [Verdict.NEW_SESSION]  # a driver forgot to stamp it
    assert judge(guard, 'odometry', 20.05) == [Verdict.DROP_OLD_SESSION]
    assert judge(guard, 'image', 20.1) == [Verdict.USE]
    assert judge(guard, 'odometry', 20.1, 20.2) == [Verdict.USE] * 2


def test_a_short_jump_does_not_silence_a_slower_topic():
    guard = ClockGuard()
    judge(guard, 'image', 10, 20)
    judge(guard, 'odometry', 10, 20)
    assert judge(guard, 'image', 18.97) == [Verdict.NEW_SESSION]
    assert judge(guard, 'odometry', 19.05) == [Verdict.DROP_OLD_SESSION]
    assert judge(guard, 'image', 19.1) == [Verdict.USE]
    assert judge(guard, 'odometry', 19.15) == [Verdict.USE]
