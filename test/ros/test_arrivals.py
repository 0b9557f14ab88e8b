"""Rates and ages of an input, and when it counts as silent."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from s3e_gnn_ros.ros.arrivals import Arrivals


def arrived(times_s):
    arrivals = Arrivals()
    for time_s in times_s:
        arrivals.note(float(time_s))
    return arrivals


def test_before_the_first_message_nothing_is_known():
    arrivals = Arrivals()
    assert arrivals.age_s(5.0) is None
    assert arrivals.rate_hz(5.0) == 0.0
    assert not arrivals.is_silent(1e6)


@pytest.mark.parametrize('rate_hz', [2.0, 30.0, 400.0])
def test_a_steady_stream_has_its_rate_and_age(rate_hz):
    times = np.arange(0.0, 20.0, 1 / rate_hz)
    arrivals = arrived(times)
    now_s = times[-1] + 0.1 / rate_hz
    assert arrivals.rate_hz(now_s) == pytest.approx(rate_hz, rel=0.06)
    assert arrivals.age_s(now_s) == pytest.approx(0.1 / rate_hz)
    assert arrivals.usual_gap_s() == pytest.approx(1 / rate_hz)


def test_the_rate_falls_as_silence_goes_on_and_forgets_after_the_window():
    arrivals = arrived(np.arange(0.0, 5.0, 0.1))
    assert arrivals.rate_hz(9.0) == pytest.approx(49 / 9.0)
    assert arrivals.rate_hz(100.0) == 0.0


@pytest.mark.parametrize(('gap_s', 'limit_s'), [(0.02, 1.0), (0.1, 1.0), (0.5, 2.5), (2.0, 10.0)])
def test_silence_is_judged_by_the_rate_before_it(gap_s, limit_s):
    times = gap_s * np.arange(20)
    arrivals = arrived(times)
    assert not arrivals.is_silent(times[-1] + 0.99 * limit_s)
    assert arrivals.is_silent(times[-1] + 1.01 * limit_s)


def test_a_single_hiccup_does_not_hide_a_later_silence():
    times = [*np.arange(0.0, 2.0, 0.1), *np.arange(7.0, 9.0, 0.1)]
    assert arrived(times).is_silent(10.5)


def test_what_came_a_few_times_has_no_rate_to_miss():
    assert not arrived([0.0, 0.01, 0.02, 0.03]).is_silent(1e6)


def test_memory_is_bounded_whatever_comes():
    arrivals = Arrivals()
    for number in range(1000):
        arrivals.note(number * 1e-3)
    size = sys.getsizeof(arrivals._times_s)
    for number in range(100_000):
        arrivals.note(1.0 + number * 1e-3)
    assert sys.getsizeof(arrivals._times_s) == size
