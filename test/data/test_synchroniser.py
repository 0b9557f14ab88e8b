from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3e_gnn_ros.data.synchroniser import ApproximateSynchroniser
from s3e_gnn_ros.errors import ConfigError

MS = 1_000_000


def run(events, topics=2, queue_size=10, slop_s=0.02, max_jump_back_s=None):
    """Feed (topic index, stamp) events; returns the sets of event numbers in their order."""
    names = [str(index) for index in range(topics)]
    sets = []
    synchroniser = ApproximateSynchroniser(
        names, queue_size, slop_s, lambda *parts: sets.append(parts), max_jump_back_s
    )
    for number, (topic, stamp_ns) in enumerate(events):
        before = len(sets)
        assert synchroniser.add(names[topic], stamp_ns, number) == (len(sets) > before)
    return sets


def test_pairs_in_the_order_of_the_topics():
    assert run([(1, 0), (0, 5 * MS), (0, 100 * MS), (1, 95 * MS)]) == [(1, 0), (2, 3)]


def test_nearest_partner_wins():
    assert run([(0, 0), (0, 12 * MS), (1, 10 * MS)]) == [(1, 2)]


def test_message_is_used_once():
    assert run([(0, 0), (1, 1 * MS), (1, 2 * MS)]) == [(0, 1)]


@pytest.mark.parametrize(('difference_ns', 'expected'), [(20 * MS - 1, 1), (20 * MS, 0)])
def test_slop_itself_is_too_far(difference_ns, expected):
    assert len(run([(0, 0), (1, difference_ns)])) == expected


def test_oldest_falls_out_of_a_full_queue():
    events = [(0, 0), (0, 100 * MS), (0, 200 * MS), (1, 0), (1, 100 * MS)]
    assert run(events, queue_size=2) == [(1, 4)]


def test_late_message_for_a_full_queue_is_not_used():
    assert run([(1, 0), (0, 100 * MS), (0, 200 * MS), (0, 1)], queue_size=2) == []


def test_three_topics_span_less_than_the_slop():
    assert run([(0, 0), (1, 15 * MS), (2, 25 * MS)], topics=3) == []
    assert run([(0, 0), (1, 15 * MS), (2, 18 * MS)], topics=3) == [(0, 1, 2)]


def test_one_topic_passes_through():
    assert run([(0, 0), (0, 5)], topics=1) == [(0,), (1,)]


def test_jump_back_empties_the_queues():
    events = [(0, 1000 * MS), (0, 2000 * MS), (0, 3000 * MS), (0, 0), (1, 0), (1, 3000 * MS)]
    assert run(events, queue_size=3) == [(2, 5)]  # the new start finds no room
    assert run(events, queue_size=3, max_jump_back_s=1.0) == [(3, 4)]


def test_small_jump_back_keeps_the_queues():
    events = [(0, 1000 * MS), (0, 900 * MS), (1, 1000 * MS)]
    assert run(events, max_jump_back_s=0.5) == [(0, 2)]


def test_clear():
    sets = []
    synchroniser = ApproximateSynchroniser('ab', 5, 0.02, lambda *parts: sets.append(parts))
    synchroniser.add('a', 0, 'old')
    synchroniser.clear()
    synchroniser.add('b', 0, 'new')
    assert sets == []


@pytest.mark.parametrize('wrong', [{'queue_size': 0}, {'slop_s': 0.0}, {'topics': 0}])
def test_useless_options(wrong):
    with pytest.raises(ConfigError, match='must be more than 0'):
        run([], **wrong)


def run_real(events, topics, queue_size, slop_s):
    message_filters = pytest.importorskip('message_filters')
    time = pytest.importorskip('rclpy.time')
    inputs = [message_filters.SimpleFilter() for _ in range(topics)]
    sets = []
    real = message_filters.ApproximateTimeSynchronizer(inputs, queue_size, slop_s)
    real.registerCallback(lambda *parts: sets.append(tuple(part.number for part in parts)))
    for number, (topic, stamp_ns) in enumerate(events):
        header = SimpleNamespace(stamp=time.Time(nanoseconds=stamp_ns))
        inputs[topic].signalMessage(SimpleNamespace(header=header, number=number))
    return sets


@settings(max_examples=300, deadline=None)
@given(
    topics=st.integers(1, 3),
    queue_size=st.integers(1, 6),
    slop_ms=st.sampled_from([1, 5, 20, 33.3]),
    data=st.data(),
)
def test_same_as_message_filters(topics, queue_size, slop_ms, data):
    event = st.tuples(st.integers(0, topics - 1), st.integers(0, 300).map(lambda ms: ms * MS // 2))
    events = data.draw(st.lists(event, max_size=40))
    ours = run(events, topics, queue_size, slop_ms / 1000)
    assert ours == run_real(events, topics, queue_size, slop_ms / 1000)
