"""Image and depth of one instant: message_filters where it is installed, our own elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.data.synchroniser import ApproximateSynchroniser

try:
    import message_filters
except ImportError:
    message_filters = None

_LEAST_SLOP_S = 1e-9


class PartnerWatch:
    """Knows which images still wait for their depth, and reports those that get none.

    It keeps the books beside the synchroniser, whichever that is.

    Args:
        capacity: images that may wait, as many as the synchroniser keeps.
        on_alone: called with the stamp [ns] of each image that is given up: it fell out of the
            full queue, or a newer one found its partner.
    """

    def __init__(self, capacity: int, on_alone: Callable[[int], None]) -> None:
        self._capacity = capacity
        self._on_alone = on_alone
        self._waiting: set[int] = set()

    def clear(self) -> None:
        """Forget every waiting image."""
        self._waiting.clear()

    def waits(self, stamp_ns: int) -> None:
        """Note that an image has come; before the synchroniser gets it."""
        self._waiting.add(stamp_ns)
        while len(self._waiting) > self._capacity:
            self._give_up(min(self._waiting))

    def has_partner(self, stamp_ns: int) -> bool:
        """Note that an image was joined; returns whether it had not been given up before."""
        is_waiting = stamp_ns in self._waiting
        self._waiting.discard(stamp_ns)
        for overtaken_ns in sorted(ns for ns in self._waiting if ns < stamp_ns):
            self._give_up(overtaken_ns)
        return is_waiting

    def _give_up(self, stamp_ns: int) -> None:
        self._waiting.discard(stamp_ns)
        self._on_alone(stamp_ns)


class Synchroniser(Protocol):
    """Takes the messages of several topics and hands on sets of nearly equal stamps."""

    def add(self, topic: str, message: Any) -> None:
        """Take a message of a topic."""
        ...


def make_synchroniser(
    topics: Sequence[str], queue_size: int, slop_s: float, callback: Callable[..., None]
) -> Synchroniser:
    """Build the one that is available; both give the same sets.

    Args:
        topics: names, in the order of the callback's arguments.
        queue_size: messages kept per topic.
        slop_s: stamps of one set span less than this [s].
        callback: called with one message per topic.
    """
    kind = _OwnSynchroniser if message_filters is None else _MessageFilters
    return kind(topics, queue_size, max(slop_s, _LEAST_SLOP_S), callback)


class _OwnSynchroniser:
    def __init__(
        self, topics: Sequence[str], queue_size: int, slop_s: float, callback: Callable[..., None]
    ) -> None:
        self._synchroniser = ApproximateSynchroniser(topics, queue_size, slop_s, callback)

    def add(self, topic: str, message: Any) -> None:
        self._synchroniser.add(topic, stamp_ns(message.header.stamp), message)


class _MessageFilters:
    def __init__(
        self, topics: Sequence[str], queue_size: int, slop_s: float, callback: Callable[..., None]
    ) -> None:
        # Not message_filters.Subscriber: a message is checked before it may wait for a partner.
        self._filters = {topic: message_filters.SimpleFilter() for topic in topics}
        self._synchroniser = message_filters.ApproximateTimeSynchronizer(
            list(self._filters.values()), queue_size, slop_s
        )
        self._synchroniser.registerCallback(callback)

    def add(self, topic: str, message: Any) -> None:
        self._filters[topic].signalMessage(message)
