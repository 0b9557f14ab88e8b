"""When the messages of an input came, and whether it has fallen silent, by its own rate."""

from __future__ import annotations

from collections import deque

import numpy as np

_REMEMBERED = 200
_WINDOW_S = 10.0
_MIN_GAPS = 4
"""Fewer say nothing of a rate: a calibration may come once and never again."""
_MAX_GAPS = 5.0
_MIN_SILENCE_S = 1.0


class Arrivals:
    """Remembers the last arrivals by a steady clock; bounded, whatever the rate."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=_REMEMBERED)

    def note(self, now_s: float) -> None:
        """Remember that a message has come [s]."""
        self._times_s.append(now_s)

    def age_s(self, now_s: float) -> float | None:
        """Return the time since the last message [s]; None before the first."""
        return now_s - self._times_s[-1] if self._times_s else None

    def rate_hz(self, now_s: float) -> float:
        """Return the rate of the last ten seconds, or of fewer where more messages came [Hz]."""
        recent = [time_s for time_s in self._times_s if now_s - time_s <= _WINDOW_S]
        return (len(recent) - 1) / (now_s - recent[0]) if len(recent) > 1 else 0.0

    def usual_gap_s(self) -> float | None:
        """Return a long gap between messages as it is usual here [s]; None while that is open."""
        if len(self._times_s) <= _MIN_GAPS:
            return None
        return float(np.percentile(np.diff(np.array(self._times_s)), 90))

    def is_silent(self, now_s: float) -> bool:
        """Whether the last message is older than the rate before it suggests."""
        gap_s, age_s = self.usual_gap_s(), self.age_s(now_s)
        if gap_s is None or age_s is None:
            return False
        return age_s > max(_MIN_SILENCE_S, _MAX_GAPS * gap_s)
