"""Run time of named stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up the time spent in named stages.

    Attributes:
        stage_ms: milliseconds by stage, in the order the stages were first entered.
    """

    def __init__(self) -> None:
        self.stage_ms: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the body of a ``with`` statement."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent_ms = (time.perf_counter() - start) * 1e3
            self.stage_ms[name] = self.stage_ms.get(name, 0.0) + spent_ms
