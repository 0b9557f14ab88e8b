"""A ring finds what it holds by the stamp, a double's rounding forgiven, and never grows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.ros.adapters.stamped_ring import SAME_STAMP_NS, StampedRing


@given(st.lists(st.integers(0, 2**62), max_size=50), st.integers(1, 9))
def test_it_keeps_the_newest(stamps, capacity):
    ring = StampedRing(capacity)
    for stamp in stamps:
        ring.add(stamp, -stamp)
    kept = sorted(set(stamps))[-capacity:]
    assert len(ring) <= capacity
    assert ring.newest_ns == max(stamps, default=None)
    if sorted(stamps) == stamps:
        assert [ring.find(stamp) for stamp in kept] == [(stamp, -stamp) for stamp in kept]


@given(st.integers(0, 2**31 - 2), st.integers(0, 999_999_999))
def test_a_stamp_that_went_through_a_double_is_found(sec, nanosec):
    stamp_ns = sec * 1_000_000_000 + nanosec
    seconds = sec + nanosec * 1e-9
    given_back = int(seconds) * 1_000_000_000 + int((seconds - int(seconds)) * 1e9)
    ring = StampedRing(3)
    for shift_ns in (-5_000_000, 0, 5_000_000):  # a camera of 200 Hz
        ring.add(stamp_ns + shift_ns, shift_ns)
    assert ring.find(given_back) == (stamp_ns, 0)


def test_a_stamp_that_is_another_is_not_found():
    ring = StampedRing(3)
    assert ring.find(5) is None
    ring.add(10_000, 'a')
    assert ring.find(10_000 + SAME_STAMP_NS) == (10_000, 'a')
    assert ring.find(10_001 + SAME_STAMP_NS) is None


def test_what_is_past_is_forgotten():
    ring = StampedRing(9)
    for stamp in (10_000, 20_000, 20_500, 30_000):
        ring.add(stamp, stamp)
    ring.forget_until(20_000)
    assert len(ring) == 1
    assert ring.find(30_000) == (30_000, 30_000)
    ring.clear()
    assert len(ring) == 0
