"""Joins messages of several topics by nearly equal stamps."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from s3e_gnn_ros.errors import ConfigError


class ApproximateSynchroniser:
    """Gives the same sets of messages as ROS 2's ``ApproximateTimeSynchronizer`` in Python.

    Each topic has a queue of messages by stamp, from which the oldest fall out when it is full.
    A new message is tried with every combination of messages of the other topics that lie
    within the slop of it, nearest first; the first combination whose stamps span less than the
    slop is handed on and leaves the queues. A set whose stamps differ by the slop itself is not
    handed on.

    Differs from ``ApproximateTimeSynchronizer``: on ``max_jump_back_s``.

    Args:
        topics: names, in the order of the callback's arguments.
        queue_size: messages kept per topic.
        slop_s: stamps of one set span less than this [s].
        callback: called with one message per topic, from within :meth:`add`.
        max_jump_back_s: when a stamp lies further than this before the newest of its topic [s],
            time was reset (a bag started again), and all queues are emptied first. None: never.

    Raises:
        ConfigError: no topic, an empty queue, or a slop that no set could meet.
    """

    def __init__(
        self,
        topics: Sequence[str],
        queue_size: int,
        slop_s: float,
        callback: Callable[..., None],
        max_jump_back_s: float | None = None,
    ) -> None:
        """Check the options and start with empty queues."""
        if not topics or queue_size < 1 or not slop_s > 0:
            raise ConfigError(
                f'cannot synchronise {len(topics)} topics with a queue of {queue_size} and a '
                f'slop of {slop_s} s: each must be more than 0'
            )
        self._topics = tuple(topics)
        self._queue_size = queue_size
        self._slop_ns = int(slop_s * 1e9)
        self._callback = callback
        self._max_jump_back_ns = None if max_jump_back_s is None else int(max_jump_back_s * 1e9)
        self._queues: dict[str, dict[int, Any]] = {topic: {} for topic in topics}
        self._newest_ns: dict[str, int] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget every waiting message."""
        with self._lock:
            self._clear()

    def add(self, topic: str, stamp_ns: int, message: object) -> bool:
        """Take a message, and call the callback if it completes a set.

        Args:
            topic: one of the topics.
            stamp_ns: its header's stamp.
            message: anything; handed to the callback as it is.

        Returns:
            Whether the message completed a set.
        """
        with self._lock:
            if self._is_jump_back(topic, stamp_ns):
                self._clear()
            self._newest_ns[topic] = max(stamp_ns, self._newest_ns.get(topic, stamp_ns))
            queue = self._queues[topic]
            queue[stamp_ns] = message
            while len(queue) > self._queue_size:
                del queue[min(queue)]
            found = self._find_set(topic, stamp_ns)
            if found is None:
                return False
            messages = [
                self._queues[name].pop(ns) for name, ns in zip(self._topics, found, strict=True)
            ]
            self._callback(*messages)
            return True

    def _find_set(self, topic: str, stamp_ns: int) -> tuple[int, ...] | None:
        """Return one stamp per topic, or None."""
        if stamp_ns not in self._queues[topic]:
            return None  # older than a full queue: it fell out at once
        choices = [
            [stamp_ns] if name == topic else self._near(name, stamp_ns) for name in self._topics
        ]
        for stamps in itertools.product(*choices):
            if max(stamps) - min(stamps) < self._slop_ns:
                return stamps
        return None

    def _near(self, topic: str, stamp_ns: int) -> list[int]:
        """Return the waiting stamps within the slop, nearest first, then longest in the queue."""
        near = [ns for ns in self._queues[topic] if abs(ns - stamp_ns) <= self._slop_ns]
        return sorted(near, key=lambda ns: abs(ns - stamp_ns))

    def _is_jump_back(self, topic: str, stamp_ns: int) -> bool:
        if self._max_jump_back_ns is None or topic not in self._newest_ns:
            return False
        return stamp_ns < self._newest_ns[topic] - self._max_jump_back_ns

    def _clear(self) -> None:
        self._newest_ns.clear()
        for queue in self._queues.values():
            queue.clear()
