"""Quality of service of every topic.

A publisher whose offer does not match what a subscription asks for is told of, and what the
middleware loses is counted, through :func:`count_lost`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)

from s3e_gnn_ros.ros.statistics import Statistics

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble has it under its older name
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError


def input_qos(depth: int, *, is_reliable: bool) -> QoSProfile:
    """Ask sensors for what they offer: best effort matches every publisher."""
    reliability = (
        QoSReliabilityPolicy.RELIABLE if is_reliable else QoSReliabilityPolicy.BEST_EFFORT
    )
    return _profile(depth, reliability, QoSDurabilityPolicy.VOLATILE)


def reliable_qos(depth: int) -> QoSProfile:
    """Deliver every message to who listens now."""
    return _profile(depth, QoSReliabilityPolicy.RELIABLE, QoSDurabilityPolicy.VOLATILE)


def latched_qos(depth: int) -> QoSProfile:
    """Deliver every message, the last ``depth`` of them also to who comes later."""
    return _profile(depth, QoSReliabilityPolicy.RELIABLE, QoSDurabilityPolicy.TRANSIENT_LOCAL)


def count_lost(
    statistics: Statistics, on_mismatch: Callable[[], None] | None = None
) -> SubscriptionEventCallbacks:
    """Count messages the middleware lost before the subscription could take them.

    A middleware that cannot tell is used without the count.

    Args:
        statistics: counts.
        on_mismatch: called when a publisher is found that cannot serve the subscription; None:
            rclpy logs which policy is at fault, without the values.
    """

    def lost(event: Any) -> None:
        statistics.count('drops.lost_in_transport', event.total_count_change)

    incompatible = None if on_mismatch is None else lambda _event: on_mismatch()
    return _LostCallbacks(message_lost=lost, incompatible_qos=incompatible)


class _LostCallbacks(SubscriptionEventCallbacks):
    """Callbacks that a middleware without the event does not refuse."""

    def create_event_handlers(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Create the handlers the middleware supports, when a subscription is made."""
        try:
            return list(super().create_event_handlers(*args, **kwargs))
        except UnsupportedEventTypeError:
            self.message_lost = None
            return list(super().create_event_handlers(*args, **kwargs))


def _profile(
    depth: int, reliability: QoSReliabilityPolicy, durability: QoSDurabilityPolicy
) -> QoSProfile:
    return QoSProfile(
        history=QoSHistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=reliability,
        durability=durability,
    )
