"""Subscriptions to what other systems publish, and a word when nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions

from s3e_gnn_ros.ros.diagnosis import explain_silence, list_refused
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.player import full_type_name
from s3e_gnn_ros.ros.qos import count_lost, input_qos
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.steady_timer import create_steady_timer

_CHECK_PERIOD_S = 5.0
_REPEAT_CHECKS = 12
"""What is still so is said again after as many checks."""


@dataclass(frozen=True, eq=False)
class Watched:
    """A subscription that should receive something.

    Attributes:
        topic: full name.
        type_name: of its messages.
        qos: what it asks for, overrides included.
        is_optional: nothing is amiss when it stays silent.
        is_sparse: nor when it pauses: it comes when the robot moves.
    """

    topic: str
    type_name: str
    qos: QoSProfile
    is_optional: bool
    is_sparse: bool


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
        self._watched: dict[str, Watched] = {}
        self._told: set[str] = set()
        self._num_checks = 0
        self._timer = create_steady_timer(node, _CHECK_PERIOD_S, self._report_silent)

    def subscribe(
        self,
        message_class: type[Any],
        topic: str,
        use: Callable[[Any], None],
        name: str | None = None,
        *,
        may_be_late: bool = False,
        is_timed: bool = True,
        is_optional: bool = False,
        is_sparse: bool = False,
        qos: QoSProfile | None = None,
    ) -> None:
        """Subscribe.

        Args:
            message_class: type of the topic.
            topic: the input's own name, for counters and warnings.
            use: called with each message whose stamp is in order.
            name: where to subscribe, when that is not ``topic``.
            may_be_late: also use messages a little older than the one before.
            is_timed: the stamps follow the clock; a calibration may carry any stamp.
            is_optional: nothing is amiss when it never comes.
            is_sparse: nor when it pauses: it comes when the robot moves.
            qos: instead of that of all inputs.
        """
        if is_timed:
            callback = self.intake.guarded(topic, use, may_be_late=may_be_late)
        else:
            callback = self.intake.counted(topic, use)
        subscription = self._node.create_subscription(
            message_class,
            name or topic,
            callback,
            qos or input_qos(self._depth, is_reliable=self._is_reliable),
            event_callbacks=count_lost(self._statistics, lambda: self._tell_mismatch(topic)),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._watched[topic] = Watched(
            subscription.topic_name,
            full_type_name(message_class),
            subscription.qos_profile,
            is_optional,
            is_sparse,
        )

    @property
    def watched(self) -> dict[str, Watched]:
        """Return a copy of what is subscribed to, by the input's own name."""
        return dict(self._watched)

    def has_publisher(self, topic: str) -> bool:
        """Whether anyone publishes an input."""
        return self._node.count_publishers(self._watched[topic].topic) > 0

    def explain_silent(self) -> list[str]:
        """Return a sentence for each input that should have received something, and has not."""
        received = self._statistics.counters()
        sentences = []
        if self._node.get_parameter('use_sim_time').value and not self._has_clock():
            sentences.append('use_sim_time is true, and nobody publishes /clock')
        for name, watched in self._watched.items():
            if not watched.is_optional and not received[f'received.{name}']:
                why = explain_silence(self._node, watched.topic, watched.type_name, watched.qos)
                sentences.append(f"input '{name}' ({watched.topic}) has received nothing: {why}")
        return sentences

    def _tell_mismatch(self, name: str) -> None:
        watched = self._watched[name]
        refused = list_refused(self._node, watched.topic, watched.type_name, watched.qos)
        self._node.get_logger().warning(
            f"input '{name}' ({watched.topic}) cannot take what is published with another quality "
            f'of service: {"; ".join(refused) or "by somebody who is not known yet"}'
        )

    def _has_clock(self) -> bool:
        return self._node.count_publishers('/clock') > 0

    def _report_silent(self) -> None:
        sentences = self.explain_silent()
        if not sentences:
            self._timer.cancel()
        if self._num_checks % _REPEAT_CHECKS == 0:
            self._told.clear()
        self._num_checks += 1
        for sentence in sentences:
            if sentence not in self._told:
                self._node.get_logger().warning(sentence)
        self._told.update(sentences)
