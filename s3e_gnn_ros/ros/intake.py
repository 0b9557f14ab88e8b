"""Where every message comes in: counted, its stamp judged, drops logged without a flood."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rclpy.node import Node

from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.ros.clock_guard import ClockGuard, Verdict
from s3e_gnn_ros.ros.statistics import Statistics

_WARN_PERIOD_S = 5.0
_REASONS = {
    Verdict.REPEATED: 'repeated',
    Verdict.LATE: 'time_backwards',
    Verdict.DROP_OLD_SESSION: 'old_session',
}


class Intake:
    """Counts what comes and what is dropped, and lets only usable messages pass.

    Args:
        node: logs the warnings.
        statistics: keeps ``received.<topic>``, ``drops.<reason>`` and ``remarks.<reason>``.
        on_new_session: called when time jumps back, before the message that showed it is used.
    """

    def __init__(
        self, node: Node, statistics: Statistics, on_new_session: Callable[[], None]
    ) -> None:
        self._logger = node.get_logger()
        self._context = node.context
        self._statistics = statistics
        self._on_new_session = on_new_session
        self._guard = ClockGuard()
        self._suspects: dict[str, Callable[[], None]] = {}  # by topic: use its suspect message
        self._warned_s: dict[str, float] = {}
        self._remarked: set[str] = set()

    def counted(self, topic: str, use: Callable[[Any], None]) -> Callable[[Any], None]:
        """Wrap a subscription's callback: what it raises becomes a counted drop."""

        def callback(message: Any) -> None:
            self._statistics.receive(topic)
            self.attempt(lambda: use(message))

        return callback

    def guarded(
        self, topic: str, use: Callable[[Any], None], *, may_be_late: bool = False
    ) -> Callable[[Any], None]:
        """Wrap a subscription's callback: it gets only messages whose stamp is in order.

        Args:
            topic: name of the input.
            use: the callback.
            may_be_late: pass on messages that are only a little out of order.
        """

        def judged(message: Any) -> None:
            stamp = stamp_ns(message.header.stamp)
            if stamp == 0:
                raise DropError('no_stamp', f'{topic} has stamp 0: its publisher does not set it')
            verdict = self._guard.judge(topic, stamp)
            if verdict is Verdict.SUSPECT:
                self._drop_suspect(topic)
                self._suspects[topic] = partial(self.attempt, partial(use, message))
                return
            self._settle(topic, stamp, verdict)
            reason = _REASONS.get(verdict)
            if reason is not None and not (may_be_late and verdict is Verdict.LATE):
                raise DropError(reason, f'{topic} at {stamp} ns: {verdict.value}')
            use(message)

        return self.counted(topic, judged)

    def _settle(self, topic: str, stamp: int, verdict: Verdict) -> None:
        """Use or drop what waited to be confirmed."""
        if verdict is Verdict.NEW_SESSION:
            self._logger.warning(
                f'time jumped back to {stamp} ns on {topic}: a new session begins'
            )
            self._on_new_session()
            while self._suspects:  # of the other topics as well
                self._suspects.pop(next(iter(self._suspects)))()
        elif verdict is Verdict.JUMPED_AHEAD:
            self._logger.warning(f'time jumped ahead to {stamp} ns on {topic}')
            self._statistics.count('time_jumps_ahead')
            self._suspects.pop(topic)()
        else:
            self._drop_suspect(topic)

    def _drop_suspect(self, topic: str) -> None:
        if self._suspects.pop(topic, None) is not None:
            self.drop(
                'wrong_stamp', f'a single message of {topic} had a stamp far from the others'
            )

    def attempt(self, use: Callable[[], None]) -> None:
        """Call ``use``; what it raises is counted and logged: no message may end the node."""
        try:
            use()
        except DropError as err:
            self.drop(err.reason, str(err))
        except InputError as err:
            self.drop('invalid', str(err))
        except Exception as err:
            self.drop('callback_error', f'{type(err).__name__} while taking a message: {err}')

    def remark(self, reason: str, sentence: str) -> None:
        """Count something odd that is used all the same; it is said once."""
        self._statistics.count(f'remarks.{reason}')
        if reason not in self._remarked:
            self._remarked.add(reason)
            self._logger.warning(sentence)

    def drop(self, reason: str, sentence: str) -> None:
        """Count a drop, and warn of it at most once in a while."""
        if not self._context.ok():
            return  # interrupted in the middle of something: nothing was lost that counts
        self._statistics.count(f'drops.{reason}')
        now_s = time.monotonic()
        if now_s - self._warned_s.get(reason, -_WARN_PERIOD_S) >= _WARN_PERIOD_S:
            self._warned_s[reason] = now_s
            self._logger.warning(f'dropped ({reason}): {sentence}')
