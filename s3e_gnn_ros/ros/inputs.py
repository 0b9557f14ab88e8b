"""Subscriptions to what other systems publish, and a word when nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos_overriding_options import QoSOverridingOptions

from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.player import full_type_name
from s3e_gnn_ros.ros.qos import count_lost, input_qos
from s3e_gnn_ros.ros.statistics import Statistics

_CHECK_PERIOD_S = 5.0


class Inputs:
    """Makes subscriptions that are judged, counted and watched.

    Reliability, history and depth of each can be overridden by ROS's ``qos_overrides`` parameters.

    Args:
        node: owns the subscriptions.
        intake: judges every message.
        statistics: counts what the middleware loses.
        depth: messages kept per subscription until the callback takes them.
        is_reliable: ask for reliable delivery; else what sensors offer.
    """

    def __init__(
        self, node: Node, intake: Intake, statistics: Statistics, depth: int, *, is_reliable: bool
    ) -> None:
        self.intake = intake
        self._node = node
        self._statistics = statistics
        self._depth = depth
        self._is_reliable = is_reliable
        self._watched: dict[str, tuple[str, str]] = {}
        self._timer = node.create_timer(_CHECK_PERIOD_S, self._report_silent)

    def subscribe(
        self,
        message_class: type[Any],
        topic: str,
        use: Callable[[Any], None],
        name: str | None = None,
        *,
        may_be_late: bool = False,
        is_timed: bool = True,
    ) -> None:
        """Subscribe.

        Args:
            message_class: type of the topic.
            topic: the input's own name, for counters and warnings.
            use: called with each message whose stamp is in order.
            name: where to subscribe, when that is not ``topic``.
            may_be_late: also use messages a little older than the one before.
            is_timed: the stamps follow the clock; a calibration may carry any stamp.
        """
        if is_timed:
            callback = self.intake.guarded(topic, use, may_be_late=may_be_late)
        else:
            callback = self.intake.counted(topic, use)
        subscription = self._node.create_subscription(
            message_class,
            name or topic,
            callback,
            input_qos(self._depth, is_reliable=self._is_reliable),
            event_callbacks=count_lost(self._statistics),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._watched[topic] = (subscription.topic_name, full_type_name(message_class))

    def has_publisher(self, topic: str) -> bool:
        """Whether anyone publishes an input."""
        return self._node.count_publishers(self._watched[topic][0]) > 0

    def _report_silent(self) -> None:
        received = self._statistics.counters()
        silent = {t: n for t, n in self._watched.items() if not received[f'received.{t}']}
        if not silent:
            self._timer.cancel()
            return
        offered = self._node.get_topic_names_and_types()
        for topic, (name, type_name) in silent.items():
            others = sorted(
                other for other, types in offered if type_name in types and other != name
            )
            others = [other for other in others if self._node.count_publishers(other)]
            where = (
                f'publishers of its type exist on {", ".join(others)}'
                if others
                else ('no topic of its type is published')
            )
            self._node.get_logger().warning(
                f"input '{topic}' ({name}) has received nothing so far; {where}"
            )
