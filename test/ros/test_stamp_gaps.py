"""Distances between the stamps of two topics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.ros.stamp_gaps import StampLog, nearest_gap_s

STAMPS = st.lists(st.integers(0, 10**18), min_size=1, max_size=20)


@given(STAMPS, STAMPS)
def test_it_is_the_median_of_the_nearest(stamps, others):
    nearest = sorted(min(abs(other - stamp) for other in others) for stamp in stamps)
    middle = len(nearest) // 2
    median = nearest[middle] if len(nearest) % 2 else (nearest[middle - 1] + nearest[middle]) / 2
    assert nearest_gap_s(stamps, others) == pytest.approx(median * 1e-9, rel=1e-12)


def test_few_stamps_say_nothing_and_old_ones_are_forgotten():
    log = StampLog()
    for i in range(3):
        assert log.gap_s('image', 'depth') is None
        log.add('image', 100 * i)
        log.add('depth', 100 * i + 7)
    assert log.gap_s('image', 'depth') == pytest.approx(7e-9)
    assert log.gap_s('image', 'nothing') is None
    for i in range(1000):
        log.add('image', 10**9 + 100 * i)
        log.add('depth', 10**9 + 100 * i + 40)
    assert log.gap_s('image', 'depth') == pytest.approx(40e-9)
