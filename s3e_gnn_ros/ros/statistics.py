"""Counters and run times of a node, for its GetStatistics service."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_WINDOW = 10000
"""Run times remembered per stage."""


@dataclass(frozen=True)
class StageTime:
    """Percentiles of one stage's run time [ms]."""

    name: str
    p50_ms: float
    p95_ms: float


class Statistics:
    """Counts events and remembers run times; callbacks and the worker may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counters: Counter[str] = Counter()
        self._stages: dict[str, deque[float]] = {}

    def count(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counters[name] += number

    def add_stages(self, stage_ms: Mapping[str, float]) -> None:
        """Remember one run time [ms] of each stage named."""
        with self._lock:
            for name, milliseconds in stage_ms.items():
                self._stages.setdefault(name, deque(maxlen=_WINDOW)).append(milliseconds)

    def counters(self) -> Counter[str]:
        """Return a copy of all counters."""
        with self._lock:
            return Counter(self._counters)

    def stages(self) -> list[StageTime]:
        """Return the percentiles of every stage, in the order they were first seen."""
        with self._lock:
            samples = {name: np.array(values) for name, values in self._stages.items()}
        return [
            StageTime(name, float(np.percentile(values, 50)), float(np.percentile(values, 95)))
            for name, values in samples.items()
        ]


def fill_statistics(response: Any, statistics: Statistics, depth: int, *, is_busy: bool) -> Any:
    """Fill a GetStatistics response.

    Args:
        response: of the service.
        statistics: of the node.
        depth: items waiting for its worker.
        is_busy: whether the worker is at work.
    """
    counters = statistics.counters()
    stages = statistics.stages()
    response.queue_depth = depth
    response.busy = is_busy
    response.counter_names = sorted(counters)
    response.counter_values = [counters[name] for name in response.counter_names]
    response.stage_names = [stage.name for stage in stages]
    response.stage_p50_ms = [stage.p50_ms for stage in stages]
    response.stage_p95_ms = [stage.p95_ms for stage in stages]
    return response
