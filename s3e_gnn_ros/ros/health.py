"""How a node is, concern by concern, in words; what /diagnostics is made of. No ROS."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from s3e_gnn_ros.ros.arrivals import Arrivals
from s3e_gnn_ros.ros.statistics import StageTime

RECENT_S = 10
"""Drops within so many seconds count as going on."""
_DROPS = 'drops.'
_STATUS = 'status.'
_CLOSED = 'LOOP_DETECTED'
_FULL_SHARE = 0.5
_MIN_FREE_BYTES = 1_000_000_000


class Level(IntEnum):
    """As in diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Health:
    """One concern.

    Attributes:
        name: of the concern.
        level: how bad it is.
        message: what is so, in words.
        values: figures by name.
    """

    name: str
    level: Level
    message: str
    values: Mapping[str, str | int | float]


class Growth:
    """Knows by how much counters have grown lately; call :meth:`note` once a second."""

    def __init__(self) -> None:
        self._before: deque[Counter[str]] = deque(maxlen=RECENT_S)

    def note(self, counters: Counter[str]) -> Counter[str]:
        """Return what has grown since the oldest of the last ten calls, and by how much."""
        oldest = self._before[0] if self._before else counters
        self._before.append(counters)
        return counters - oldest


def judge_input(
    name: str, topic: str, arrivals: Arrivals | None, now_s: float, *, may_pause: bool
) -> Health:
    """Judge an input by its age.

    Args:
        name: our name of it.
        topic: where it is listened for.
        arrivals: None when nothing has come.
        now_s: by the clock of the arrivals [s].
        may_pause: nothing is amiss when it falls silent, or never comes.
    """
    concern = f'input {name}'
    values: dict[str, str | float] = {'topic': topic}
    age_s = None if arrivals is None else arrivals.age_s(now_s)
    if arrivals is None or age_s is None:
        level = Level.OK if may_pause else Level.ERROR
        return Health(concern, level, 'nothing has come so far', values)
    rate_hz = arrivals.rate_hz(now_s)
    values |= {'rate [Hz]': rate_hz, 'age [s]': age_s}
    if not arrivals.is_silent(now_s):
        return Health(concern, Level.OK, f'{rate_hz:.1f} Hz', values)
    gap_s = arrivals.usual_gap_s()
    level = Level.OK if may_pause else Level.STALE
    message = f'silent for {age_s:.1f} s; before, messages came within {gap_s:.2g} s'
    return Health(concern, level, message, values)


def judge_worker(depth: int, capacity: int, *, is_busy: bool) -> Health:
    """Judge how much waits for the worker, and of how much that could."""
    is_behind = depth > _FULL_SHARE * capacity
    message = f'{depth} of {capacity} wait: the worker falls behind' if is_behind else 'keeps up'
    values: dict[str, str | int] = {'waiting': depth, 'room for': capacity}
    values['busy'] = str(is_busy).lower()
    return Health('worker', Level.WARN if is_behind else Level.OK, message, values)


def judge_drops(counters: Mapping[str, int], recent: Mapping[str, int]) -> Health:
    """Judge what has been dropped, by reason: in all, and lately."""
    lately = _with_prefix(recent, _DROPS)
    values = _with_prefix(counters, _DROPS)
    if not any(lately.values()):
        return Health('drops', Level.OK, f'none within {RECENT_S} s', values)
    reasons = ', '.join(f'{number} {reason}' for reason, number in lately.items())
    return Health('drops', Level.WARN, f'within {RECENT_S} s: {reasons}', values)


def report_stages(stages: Sequence[StageTime]) -> Health:
    """Report the run times of the last keyframes."""
    values: dict[str, float] = {}
    for stage in stages:
        values[f'{stage.name} p50 [ms]'] = stage.p50_ms
        values[f'{stage.name} p95 [ms]'] = stage.p95_ms
    slowest = max(stages, key=lambda stage: stage.p95_ms, default=None)
    message = 'nothing has run so far'
    if slowest is not None:
        message = f'slowest is {slowest.name}: {slowest.p95_ms:.1f} ms at p95'
    return Health('stages', Level.OK, message, values)


def report_loops(counters: Mapping[str, int]) -> Health:
    """Report keyframes, loops, and why queries found none."""
    rejected = _with_prefix(counters, _STATUS)
    rejected.pop(_CLOSED, None)
    values = {name: counters.get(name, 0) for name in ('keyframes', 'closures', 'sessions')}
    values |= {f'rejected {reason}': number for reason, number in rejected.items()}
    message = f'{values["keyframes"]} keyframes, {values["closures"]} closures'
    return Health('keyframes and loops', Level.OK, message, values)


def judge_tracking(counters: Mapping[str, int], *, is_lost: bool | None) -> Health:
    """Judge whether odometry is followed, or lost; None before the first image."""
    values = {f'images {k}': n for k, n in _with_prefix(counters, 'relocalisation.').items()}
    if is_lost:
        message = 'odometry is lost: images are relocalised in the map'
        return Health('tracking', Level.WARN, message, values)
    message = 'no image has come so far' if is_lost is None else 'odometry is followed'
    return Health('tracking', Level.OK, message, values)


def judge_map(counters: Mapping[str, int], path: str, free_bytes: int | None) -> Health:
    """Judge whether the map that is written takes what comes.

    Args:
        counters: of the node.
        path: of the map; empty: none is written.
        free_bytes: of its disk, when last written to.
    """
    waiting, lost = counters.get('map.waiting', 0), counters.get('drops.map_lost', 0)
    values: dict[str, str | int] = {'stored': counters.get('map.stored', 0), 'waiting': waiting}
    if not path:
        return Health('map', Level.OK, 'no map is written', {})
    values |= {'path': path, 'lost': lost}
    if free_bytes is not None:
        values['free [MB]'] = free_bytes // 1_000_000
    if waiting:
        message = f'the disk takes nothing: {waiting} keyframes wait in memory'
        return Health('map', Level.ERROR, message, values)
    if free_bytes is not None and free_bytes < _MIN_FREE_BYTES:
        message = f'the disk has {free_bytes // 1_000_000} MB left'
        return Health('map', Level.WARN, message, values)
    return Health('map', Level.OK, f'{values["stored"]} keyframes stored', values)


def _with_prefix(counters: Mapping[str, int], prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): number
        for name, number in sorted(counters.items())
        if name.startswith(prefix)
    }
