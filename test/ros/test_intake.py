"""A message may be dropped for any reason; none ends the node."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.statistics import Statistics


@pytest.fixture
def log():
    return []


@pytest.fixture
def statistics():
    return Statistics()


@pytest.fixture
def intake(log, statistics):
    node = SimpleNamespace(
        get_logger=lambda: SimpleNamespace(warning=log.append),
        context=SimpleNamespace(ok=lambda: True),
    )
    return Intake(node, statistics, lambda: log.append('begin'))


@pytest.mark.parametrize(
    ('error', 'reason', 'words'),
    [
        (DropError('image_size', 'too small'), 'image_size', 'too small'),
        (InputError('NaN'), 'invalid', 'NaN'),
        (ZeroDivisionError('by zero'), 'callback_error', 'ZeroDivisionError'),
        (KeyError('camera'), 'callback_error', 'KeyError'),
    ],
)
def test_whatever_a_callback_raises_is_counted(intake, statistics, log, error, reason, words):
    def use(message):
        raise error

    callback = intake.counted('image', use)
    for _ in range(3):
        callback(object())
    assert statistics.counters() == {'received.image': 3, f'drops.{reason}': 3}
    (sentence,) = log  # not one per message
    assert words in sentence


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_an_interrupt_goes_through(intake, error):
    def use():
        raise error

    with pytest.raises(error):
        intake.attempt(use)


def message(second):
    stamp = SimpleNamespace(sec=int(second), nanosec=round(second % 1 * 1e9))
    return SimpleNamespace(header=SimpleNamespace(stamp=stamp), second=second)


@pytest.fixture
def used(intake):
    """Return a function that lets stamps come on topics, and what came through."""
    through = []
    topics = {
        topic: intake.guarded(topic, partial(lambda t, m: through.append((t, m.second)), topic))
        for topic in 'ab'
    }

    def come(topic, *seconds):
        for second in seconds:
            topics[topic](message(second))
        return through

    return come


def test_messages_that_show_a_new_start_are_used_after_it(used, log, statistics):
    used('a', 100.0)
    used('b', 100.0)
    used('a', 5.0)
    through = used('b', 5.0)
    assert through == [('a', 100.0), ('b', 100.0)]
    used('b', 5.1)
    assert [line for line in log if line == 'begin'] == ['begin']
    assert through[2:] == [('a', 5.0), ('b', 5.0), ('b', 5.1)]
    used('a', 5.1)
    assert through[-1] == ('a', 5.1)
    assert not any(name.startswith('drops.') for name in statistics.counters())


def test_one_wrong_stamp_costs_its_message_only(used, log, statistics):
    through = used('a', 100.0, 3.0, 100.1, 9000.0, 100.2)
    assert through == [('a', 100.0), ('a', 100.1), ('a', 100.2)]
    assert statistics.counters()['drops.wrong_stamp'] == 2
    assert 'begin' not in log


def test_a_clock_set_forwards_loses_nothing(used, statistics):
    assert used('a', 100.0, 5000.0, 5000.1) == [('a', 100.0), ('a', 5000.0), ('a', 5000.1)]
    assert statistics.counters() == {'received.a': 3, 'time_jumps_ahead': 1}


def test_repeated_late_and_unstamped_messages_are_counted(used, statistics):
    assert len(used('a', 0.0, 100.0, 100.0, 99.5, 100.1)) == 2
    assert statistics.counters() == {
        'received.a': 5,
        'drops.no_stamp': 1,
        'drops.repeated': 1,
        'drops.time_backwards': 1,
    }
