"""Tells /diagnostics once a second how a node is, in the ways of diagnostic_updater."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.health import Health
from s3e_gnn_ros.ros.qos import reliable_qos
from s3e_gnn_ros.ros.steady_timer import create_steady_timer

_PERIOD_S = 1.0
_DEPTH = 10


class Diagnostics:
    """Publishes what is found about a node; while nobody listens, nothing.

    Args:
        node: owns publisher and timer.
        hardware_id: returns what the node runs on: the name of the robot.
        examine: called once a second, in the executor's thread.
    """

    def __init__(
        self, node: Node, hardware_id: Callable[[], str], examine: Callable[[], Iterable[Health]]
    ) -> None:
        self._name = node.get_name()
        self._clock = node.get_clock()
        self._hardware_id = hardware_id
        self._examine = examine
        self._publisher = node.create_publisher(
            DiagnosticArray, names.DIAGNOSTICS, reliable_qos(_DEPTH)
        )
        self._timer = create_steady_timer(node, _PERIOD_S, self._publish)

    def _publish(self) -> None:
        found = self._examine()
        if self._publisher.get_subscription_count() == 0:
            return
        message = DiagnosticArray()
        message.header.stamp = self._clock.now().to_msg()
        message.status = [self._status(health) for health in found]
        self._publisher.publish(message)

    def _status(self, health: Health) -> DiagnosticStatus:
        return DiagnosticStatus(
            level=bytes([health.level]),
            name=f'{self._name}: {health.name}',
            message=health.message,
            hardware_id=self._hardware_id(),
            values=[KeyValue(key=key, value=_text(v)) for key, v in health.values.items()],
        )


def _text(value: str | float) -> str:
    return f'{value:.3g}' if isinstance(value, float) else str(value)
