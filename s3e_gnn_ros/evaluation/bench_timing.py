"""Measured run times of one thing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Timing:
    """Run times of one row of the table.

    Attributes:
        name: of the row.
        samples_ms: (N,) with N at least 1.
    """

    name: str
    samples_ms: NDArray[np.float64]

    def as_dict(self, reference_ms: float | None) -> dict[str, Any]:
        """Summarise in plain values.

        Args:
            reference_ms: what ``ratio``, that of the median, relates to; None leaves it None.
        """
        p50 = float(np.median(self.samples_ms))
        return {
            'name': self.name,
            'count': len(self.samples_ms),
            'p50_ms': p50,
            'p95_ms': float(np.percentile(self.samples_ms, 95)),
            'max_ms': float(self.samples_ms.max()),
            'ratio': None if reference_ms is None else p50 / reference_ms,
        }


def measure(action: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1e3
