import itertools

import pytest

from s3e_gnn_ros.loop_closure import stopwatch
from s3e_gnn_ros.loop_closure.stopwatch import Stopwatch


@pytest.fixture
def watch(monkeypatch):
    """A watch whose clock advances by a second whenever it is read."""
    seconds = itertools.count()
    monkeypatch.setattr(stopwatch.time, 'perf_counter', lambda: float(next(seconds)))
    return Stopwatch()


def test_stages_add_up_in_the_order_they_were_entered(watch):
    for name in ('b', 'a', 'b'):
        with watch.stage(name):
            pass
    assert list(watch.stage_ms.items()) == [('b', 2000.0), ('a', 1000.0)]


def test_nested_stages_are_both_timed(watch):
    with watch.stage('outer'), watch.stage('inner'):
        pass
    assert watch.stage_ms == {'outer': 3000.0, 'inner': 1000.0}


def test_an_error_is_timed_and_passed_on(watch):
    with pytest.raises(ZeroDivisionError), watch.stage('a'):
        _ = 1 / 0
    assert watch.stage_ms == {'a': 1000.0}
