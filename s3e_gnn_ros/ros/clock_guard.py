"""Notices stamps that are out of order: one late or wrong message, or a clock that was set."""

from __future__ import annotations

from enum import Enum

MAX_JITTER_NS = 1_000_000_000
"""A stamp further back than this is a new start; a smaller step back is a late message."""
MAX_AHEAD_NS = 60_000_000_000
"""A stamp further ahead than this is a wrong one, until the next message says the same."""


class Verdict(Enum):
    """What to do with a message."""

    USE = 'in order'
    REPEATED = 'has the stamp of the one before'
    LATE = 'is older than the one before'
    SUSPECT = 'is far from the one before: the next one tells whether the stamp is wrong'
    DROP_OLD_SESSION = 'left over from before the new start'
    JUMPED_AHEAD = 'the clock was set forwards: use the suspect message, and this one'
    NEW_SESSION = 'time starts again: forget the past, then use the suspect message, and this one'


class ClockGuard:
    """Judges the stamps of several topics that share one clock.

    One message alone may have any stamp; a clock that was set is believed when two messages of a
    topic say so. When one topic jumps back, the others may still deliver messages from before the
    jump: these are refused until their own topic has jumped as well, or the new session has come
    as far.
    """

    def __init__(self) -> None:
        self._last_ns: dict[str, int] = {}
        self._suspect_ns: dict[str, int] = {}
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
        if last_ns is not None and not (
            last_ns - MAX_JITTER_NS <= stamp_ns <= last_ns + MAX_AHEAD_NS
        ):
            return self._judge_jump(topic, last_ns, stamp_ns)
        self._suspect_ns.pop(topic, None)
        if last_ns is not None and stamp_ns <= last_ns:
            return Verdict.REPEATED if stamp_ns == last_ns else Verdict.LATE
        self._last_ns[topic] = stamp_ns
        return Verdict.USE

    def _judge_jump(self, topic: str, last_ns: int, stamp_ns: int) -> Verdict:
        suspect_ns = self._suspect_ns.get(topic)
        if suspect_ns is None or not suspect_ns < stamp_ns <= suspect_ns + MAX_AHEAD_NS:
            self._suspect_ns[topic] = stamp_ns
            return Verdict.SUSPECT
        if stamp_ns > last_ns:
            del self._suspect_ns[topic]
            self._last_ns[topic] = stamp_ns
            return Verdict.JUMPED_AHEAD
        self._start_again(topic, stamp_ns)
        return Verdict.NEW_SESSION

    def _start_again(self, topic: str, stamp_ns: int) -> None:
        self._before_jump_ns = {
            other: last_ns
            for other, last_ns in self._last_ns.items()
            if other not in self._suspect_ns and last_ns > stamp_ns + MAX_JITTER_NS
        }
        self._last_ns = {**self._suspect_ns, topic: stamp_ns}
        self._suspect_ns = {}
