"""How far apart the stamps of two topics are: those of one instant should be nearly equal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

_REMEMBERED = 300
_FEWEST = 3


class StampLog:
    """Remembers the newest stamps of several topics."""

    def __init__(self) -> None:
        self._stamps_ns: dict[str, deque[int]] = {}

    def add(self, topic: str, stamp_ns: int) -> None:
        """Remember a stamp."""
        self._stamps_ns.setdefault(topic, deque(maxlen=_REMEMBERED)).append(stamp_ns)

    def gap_s(self, topic: str, other: str) -> float | None:
        """Return the median distance [s] from a stamp of one topic to the nearest of another.

        None while either has fewer than three.
        """
        mine, theirs = self._stamps_ns.get(topic, ()), self._stamps_ns.get(other, ())
        if min(len(mine), len(theirs)) < _FEWEST:
            return None
        return nearest_gap_s(mine, theirs)


def nearest_gap_s(stamps_ns: Iterable[int], others_ns: Iterable[int]) -> float:
    """Return the median distance [s] of stamps to the nearest among others; both not empty."""
    others = np.sort(np.array(list(others_ns), dtype=np.int64))
    stamps = np.array(list(stamps_ns), dtype=np.int64)
    right = np.searchsorted(others, stamps).clip(1, max(len(others) - 1, 1))
    above = np.abs(others[np.minimum(right, len(others) - 1)] - stamps)
    below = np.abs(others[right - 1] - stamps)
    return float(np.median(np.minimum(above, below))) * 1e-9
