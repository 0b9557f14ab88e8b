"""Where every message comes in: counted, its stamp judged, drops logged without a flood."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.ros.clock_guard import ClockGuard, Verdict
from s3e_gnn_ros.ros.statistics import Statistics

_WARN_PERIOD_S = 5.0


class Intake:
    """Counts what comes and what is dropped, and lets only usable messages pass.

    Args:
        node: logs the warnings.
        statistics: keeps ``received.<topic>`` and ``drops.<reason>``.
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
        self._warned_s: dict[str, float] = {}

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
            verdict = self._guard.judge(topic, stamp)
            if verdict is Verdict.LATE and not may_be_late:
                raise DropError('time_backwards', f'{topic} at {stamp} ns follows a newer one')
            if verdict is Verdict.DROP_OLD_SESSION:
                raise DropError('old_session', f'{topic} at {stamp} ns: {verdict.value}')
            if verdict is Verdict.NEW_SESSION:
                self._logger.warning(
                    f'time jumped back to {stamp} ns on {topic}: a new session begins'
                )
                self._on_new_session()
            use(message)

        return self.counted(topic, judged)

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

    def drop(self, reason: str, sentence: str) -> None:
        """Count a drop, and warn of it at most once in a while."""
        if not self._context.ok():
            return  # interrupted in the middle of something: nothing was lost that counts
        self._statistics.count(f'drops.{reason}')
        now_s = time.monotonic()
        if now_s - self._warned_s.get(reason, -_WARN_PERIOD_S) >= _WARN_PERIOD_S:
            self._warned_s[reason] = now_s
            self._logger.warning(f'dropped ({reason}): {sentence}')
