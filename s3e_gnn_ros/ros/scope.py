"""What a node has created for one of its lifecycle states, to be destroyed when it leaves that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher


class Scope:
    """Remembers publishers, subscriptions, services, clients and timers that are being created.

    Args:
        node: creates them.
        is_kept: says of an entity that it outlives the state.
    """

    def __init__(self, node: LifecycleNode, is_kept: Callable[[object], bool]) -> None:
        self._node = node
        self._is_kept = is_kept
        self._entities: list[Any] = []
        self.is_filling = False

    @contextmanager
    def filling(self) -> Iterator[None]:
        """Remember what is created within, also when that comes to an untimely end."""
        before = {id(entity) for entity in _entities(self._node)}
        self.is_filling = True
        try:
            yield
        finally:
            self.is_filling = False
            self._entities += [
                entity
                for entity in _entities(self._node)
                if id(entity) not in before and not self._is_kept(entity)
            ]

    def empty(self) -> None:
        """Destroy what is remembered."""
        entities, self._entities = self._entities, []
        node = self._node
        for entity in entities:
            if isinstance(entity, LifecyclePublisher):
                node.destroy_lifecycle_publisher(entity)
                continue
            # Each knows its own kind, and passes over what it does not.
            for destroy in (
                node.destroy_publisher,
                node.destroy_subscription,
                node.destroy_service,
                node.destroy_client,
                node.destroy_timer,
            ):
                destroy(entity)


def _entities(node: LifecycleNode) -> Iterator[Any]:
    yield from node.publishers
    yield from node.subscriptions
    yield from node.services
    yield from node.clients
    yield from node.timers
