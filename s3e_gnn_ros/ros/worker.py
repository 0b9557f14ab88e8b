"""A bounded queue with one thread behind it: what keeps callbacks from waiting."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar('T')


class Worker(Generic[T]):
    """Hands items to one thread, in order, and never makes the caller wait.

    A full queue drops its **oldest** item to admit the new one: for a robot the place where it is
    now matters more than one it has left. Every drop is counted and reported.

    Args:
        handle: called on the thread with each item.
        capacity: items that may wait.
        name: of the thread.
        on_drop: called on the caller's thread with each item that the full queue drops, or
            :meth:`close`.
        on_error: called on the worker's thread with what ``handle`` raised; the thread goes on.
        on_idle: called on the worker's thread when the queue has run empty.
    """

    def __init__(
        self,
        handle: Callable[[T], None],
        *,
        capacity: int,
        name: str,
        on_drop: Callable[[T], None] = lambda _item: None,
        on_error: Callable[[Exception], None] = lambda _error: None,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._handle = handle
        self._capacity = capacity
        self._on_drop = on_drop
        self._on_error = on_error
        self._on_idle = on_idle
        self._items: deque[T] = deque()
        self._condition = threading.Condition()
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def offer(self, item: T) -> None:
        """Queue an item; returns at once. Items offered after :meth:`close` are dropped."""
        dropped: list[T] = []
        with self._condition:
            if self._closed:
                dropped.append(item)
            else:
                if len(self._items) >= self._capacity:
                    dropped.append(self._items.popleft())
                self._items.append(item)
                self._condition.notify()
        for old in dropped:
            self._on_drop(old)

    @property
    def depth(self) -> int:
        """Items waiting."""
        with self._condition:
            return len(self._items)

    @property
    def capacity(self) -> int:
        """Items that may wait."""
        return self._capacity

    @property
    def is_busy(self) -> bool:
        """Whether an item is being handled at this moment."""
        with self._condition:
            return self._busy

    def close(self, timeout_s: float = 5.0) -> bool:
        """Drop what waits, let the current item finish and end the thread.

        Returns:
            Whether the thread ended within the time.
        """
        with self._condition:
            self._closed = True
            waiting = list(self._items)
            self._items.clear()
            self._condition.notify()
        for item in waiting:
            self._on_drop(item)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._items or self._closed)
                if self._closed:
                    return
                item = self._items.popleft()
                self._busy = True
            self._guarded(lambda item=item: self._handle(item))  # type: ignore[misc]
            if self.depth == 0:
                # Still busy: who waits for an idle worker waits for what on_idle does, too.
                self._guarded(self._on_idle)
            with self._condition:
                self._busy = False

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as err:
            self._on_error(err)
