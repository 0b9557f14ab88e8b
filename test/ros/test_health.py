"""How concerns are judged, in words and levels."""

from __future__ import annotations

from collections import Counter

import pytest

from s3e_gnn_ros.ros.arrivals import Arrivals
from s3e_gnn_ros.ros.health import (
    RECENT_S,
    Growth,
    Level,
    judge_drops,
    judge_input,
    judge_map,
    judge_tracking,
    judge_worker,
    report_loops,
    report_stages,
)
from s3e_gnn_ros.ros.statistics import StageTime


@pytest.fixture
def arrivals():
    """Return what came at 10 Hz, the last at 1.9 s."""
    arrivals = Arrivals()
    for number in range(20):
        arrivals.note(number / 10)
    return arrivals


def test_an_input_that_comes_is_well(arrivals):
    health = judge_input('image', '/eye', arrivals, 1.95, may_pause=False)
    assert (health.name, health.level) == ('input image', Level.OK)
    assert health.message == '9.7 Hz'
    assert health.values['topic'] == '/eye'
    assert health.values['age [s]'] == pytest.approx(0.05)


def test_an_input_that_went_silent_is_stale_unless_it_may_pause(arrivals):
    health = judge_input('image', '/eye', arrivals, 6.0, may_pause=False)
    assert health.level is Level.STALE
    assert health.message == 'silent for 4.1 s; before, messages came within 0.1 s'
    assert judge_input('image', '/eye', arrivals, 6.0, may_pause=True).level is Level.OK


@pytest.mark.parametrize(('may_pause', 'level'), [(True, Level.OK), (False, Level.ERROR)])
def test_an_input_that_never_came(may_pause, level):
    health = judge_input('depth', '/depth', None, 6.0, may_pause=may_pause)
    assert (health.level, health.message) == (level, 'nothing has come so far')


@pytest.mark.parametrize(('depth', 'level'), [(0, Level.OK), (50, Level.OK), (51, Level.WARN)])
def test_a_worker_that_falls_behind(depth, level):
    assert judge_worker(depth, 100, is_busy=True).level is level


def test_drops_are_told_by_reason_while_they_go_on():
    counters = Counter({'drops.invalid': 7, 'drops.queue_full': 2, 'frames': 50})
    going_on = judge_drops(counters, Counter({'drops.queue_full': 2, 'frames': 5}))
    assert going_on.level is Level.WARN
    assert going_on.message == 'within 10 s: 2 queue_full'
    assert going_on.values == {'invalid': 7, 'queue_full': 2}
    over = judge_drops(counters, Counter({'frames': 5}))
    assert (over.level, over.message) == (Level.OK, 'none within 10 s')
    assert over.values == going_on.values


def test_growth_looks_back_ten_calls():
    growth = Growth()
    assert not growth.note(Counter())
    for _ in range(RECENT_S):
        recent = growth.note(Counter(dropped=3))
        assert recent == {'dropped': 3}
    assert not growth.note(Counter(dropped=3))
    assert growth.note(Counter(dropped=1)) == {}  # counters began anew


def test_stages_name_the_slowest():
    health = report_stages([StageTime('retrieval', 1.0, 2.0), StageTime('features', 8.0, 9.5)])
    assert health.message == 'slowest is features: 9.5 ms at p95'
    assert health.values['retrieval p50 [ms]'] == 1.0
    assert report_stages([]).message == 'nothing has run so far'


def test_loops_say_why_there_are_none():
    health = report_loops(
        {'keyframes': 9, 'closures': 2, 'status.LOOP_DETECTED': 2, 'status.LOW_SCORES': 7}
    )
    assert health.message == '9 keyframes, 2 closures'
    assert health.values == {
        'keyframes': 9,
        'closures': 2,
        'sessions': 0,
        'rejected LOW_SCORES': 7,
    }


def test_lost_odometry_is_a_warning():
    counters = {'relocalisation.LOOP_DETECTED': 3}
    assert judge_tracking(counters, is_lost=None).message == 'no image has come so far'
    assert judge_tracking(counters, is_lost=False).level is Level.OK
    lost = judge_tracking(counters, is_lost=True)
    assert (lost.level, lost.values) == (Level.WARN, {'images LOOP_DETECTED': 3})


@pytest.mark.parametrize(
    ('counters', 'free_bytes', 'level', 'message'),
    [
        ({'map.stored': 5}, 10**12, Level.OK, '5 keyframes stored'),
        ({'map.stored': 5}, None, Level.OK, '5 keyframes stored'),
        ({'map.stored': 5}, 5 * 10**8, Level.WARN, 'the disk has 500 MB left'),
        (
            {'map.waiting': 4},
            10**12,
            Level.ERROR,
            'the disk takes nothing: 4 keyframes wait in memory',
        ),
    ],
)
def test_a_map_whose_disk_is_in_trouble(counters, free_bytes, level, message):
    health = judge_map(counters, '/maps/home.s3emap', free_bytes)
    assert (health.level, health.message) == (level, message)


def test_without_a_map_nothing_is_amiss():
    assert judge_map({}, '', None).message == 'no map is written'
