"""Counters, run times and arrivals of a node, for GetStatistics and /diagnostics."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from s3e_gnn_ros.ros.arrivals import Arrivals

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
        self._arrivals: dict[str, Arrivals] = {}
        self._ran_s: dict[str, float] = {}

    def count(self, name: str, number: int = 1) -> None:
        """Add to a counter."""
        with self._lock:
            self._counters[name] += number

    def receive(self, topic: str) -> None:
        """Count a message, and note when it came."""
        with self._lock:
            self._counters[f'received.{topic}'] += 1
            self._arrivals.setdefault(topic, Arrivals()).note(time.monotonic())

    def arrivals(self) -> dict[str, Arrivals]:
        """Return when messages came, by topic; for the thread that takes them."""
        return dict(self._arrivals)

    def forget_arrivals(self) -> None:
        """Begin anew to judge what comes: for a while nobody listened."""
        self._arrivals.clear()

    def add_stages(self, stage_ms: Mapping[str, float]) -> None:
        """Remember one run time [ms] of each stage named."""
        with self._lock:
            for name, milliseconds in stage_ms.items():
                self._stages.setdefault(name, deque(maxlen=_WINDOW)).append(milliseconds)
                self._ran_s[name] = time.monotonic()

    def last_run(self, stage: str) -> tuple[float, float] | None:
        """Return how long ago a stage ended [s] and how long it took [ms]; None: never."""
        with self._lock:
            if stage not in self._stages:
                return None
            return time.monotonic() - self._ran_s[stage], self._stages[stage][-1]

    def counters(self) -> Counter[str]:
        """Return a copy of all counters."""
        with self._lock:
            return Counter(self._counters)

    def stages(self, newest: int = _WINDOW) -> list[StageTime]:
        """Return the percentiles of every stage, in the order they were first seen.

        Args:
            newest: run times of each to look at.
        """
        with self._lock:
            samples = {
                name: np.array(list(islice(reversed(values), newest)))
                for name, values in self._stages.items()
            }
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
