"""Notices time running backwards: one late message, or a recording that starts again."""

from __future__ import annotations

from enum import Enum

MAX_JITTER_NS = 1_000_000_000
"""A stamp further back than this is a new start; a smaller step back is a late message."""


class Verdict(Enum):
    """What to do with a message."""

    USE = 'in order'
    LATE = 'not newer than the one before'
    DROP_OLD_SESSION = 'left over from before the new start'
    NEW_SESSION = 'the recording starts again: forget the past, then use it'


class ClockGuard:
    """Judges the stamps of several topics that share one clock.

    When one topic jumps back, the others may still deliver messages from before the jump: these
    are refused until their own topic has jumped as well, or the new session has come as far.
    """

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}
        self._before_jump_ns: dict[str, int] = {}

    def judge(self, topic: str, stamp_ns: int) -> Verdict:
        """Judge one message; call it once per message, in order of arrival."""
        if topic in self._before_jump_ns:
            old_ns = self._before_jump_ns[topic] - MAX_JITTER_NS
            # A short jump, or a single wrong stamp: the session soon reaches the old stamps.
            if stamp_ns >= old_ns and max(self._last_ns.values()) < old_ns:
                return Verdict.DROP_OLD_SESSION
            del self._before_jump_ns[topic]
        last_ns = self._last_ns.get(topic)
        if last_ns is not None and stamp_ns < last_ns - MAX_JITTER_NS:
            self._start_again(topic, stamp_ns)
            return Verdict.NEW_SESSION
        if last_ns is not None and stamp_ns <= last_ns:
            return Verdict.LATE
        self._last_ns[topic] = stamp_ns
        return Verdict.USE

    def _start_again(self, topic: str, stamp_ns: int) -> None:
        self._before_jump_ns = {
            other: last_ns
            for other, last_ns in self._last_ns.items()
            if other != topic and last_ns > stamp_ns + MAX_JITTER_NS
        }
        self._last_ns = {topic: stamp_ns}
