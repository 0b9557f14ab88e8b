"""The last few things of a stream, found again by their stamps."""

from __future__ import annotations

from typing import Generic, TypeVar

Item = TypeVar('Item')

SAME_STAMP_NS = 1_000
"""Stamps this close are one and the same.

Hosts join by exactly equal stamps, and so do we; but VINS-Fusion, its ports and OpenVINS keep a
stamp as seconds in a double, and give it back up to a quarter of a microsecond off.
"""


class StampedRing(Generic[Item]):
    """Keeps the newest items of a stream.

    Args:
        capacity: items kept; the oldest is forgotten for a new one.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._items: dict[int, Item] = {}

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._items)

    @property
    def newest_ns(self) -> int | None:
        """The newest stamp, or None."""
        return max(self._items, default=None)

    def add(self, stamp_ns: int, item: Item) -> None:
        """Keep an item; one of the very same stamp is replaced."""
        self._items[stamp_ns] = item
        while len(self._items) > self._capacity:
            del self._items[min(self._items)]

    def find(self, stamp_ns: int) -> tuple[int, Item] | None:
        """Return the item of a stamp with its own, or None."""
        if stamp_ns in self._items:
            return stamp_ns, self._items[stamp_ns]
        nearest = min(self._items, key=lambda ns: abs(ns - stamp_ns), default=None)
        if nearest is None or abs(nearest - stamp_ns) > SAME_STAMP_NS:
            return None
        return nearest, self._items[nearest]

    def is_past(self, stamp_ns: int) -> bool:
        """Whether the item of a stamp can no longer come: a topic keeps its order."""
        newest_ns = self.newest_ns
        return newest_ns is not None and newest_ns > stamp_ns + SAME_STAMP_NS

    def forget_until(self, stamp_ns: int) -> None:
        """Forget everything up to a stamp, and what is of that stamp."""
        last_ns = stamp_ns + SAME_STAMP_NS
        self._items = {ns: item for ns, item in self._items.items() if ns > last_ns}

    def clear(self) -> None:
        """Forget everything."""
        self._items.clear()
