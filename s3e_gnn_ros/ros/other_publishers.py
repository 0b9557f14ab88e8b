"""Notices when another node publishes map -> odom: two of them make every pose jump."""

from __future__ import annotations

from collections import deque
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.publisher import Publisher

from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.ros.qos import input_qos, latched_qos
from s3e_gnn_ros.ros.steady_timer import create_steady_timer

_CHECK_PERIOD_S = 3.0
_DEPTH = 100
_REMEMBERED = 2000
"""Transforms of our own, to know them again: more than are sent in one period."""


class OtherPublishers:
    """Looks who else publishes on our topic, and what.

    /tf is shared by many, and taking all of it would cost more than all else the node does. So it
    is heard for one period whenever a publisher has joined; /tf_static, which is hardly ever
    written to, all the time. A topic of our own belongs to nobody else.

    Args:
        node: owns subscriptions and timer.
        publisher: our own.
        map_frame: name of the map.
        tf_message_class: tf2_msgs/TFMessage; None where the topic is ours.
    """

    def __init__(
        self, node: Node, publisher: Publisher, map_frame: str, tf_message_class: Any
    ) -> None:
        self._node = node
        self._topic = publisher.topic_name
        self._map_frame = clean_frame(map_frame)
        self._tf_message_class = tf_message_class
        self._own: deque[tuple[object, ...]] = deque(maxlen=_REMEMBERED)
        self._odom_frame: str | None = None  # until the first transform of our own
        self._children: set[str] = set()  # what others hang on the map
        self._has_warned = False
        self._num_publishers = 1
        self._listening: Any | None = None
        self._static: Any | None = None
        if tf_message_class is not None:
            self._static = node.create_subscription(
                tf_message_class, '/tf_static', self._take, latched_qos(_DEPTH)
            )
        self._timer = create_steady_timer(node, _CHECK_PERIOD_S, self._check)

    def note_own(self, message: TransformStamped) -> None:
        """Remember a transform about to be published."""
        self._own.append(_content(message))
        odom_frame = clean_frame(message.child_frame_id)
        if odom_frame != self._odom_frame:
            self._odom_frame = odom_frame
            self._compare()

    def close(self) -> None:
        """End what listens for one period."""
        self._stop_listening()

    def _check(self) -> None:
        num_publishers = self._node.count_publishers(self._topic)
        has_joined, self._num_publishers = num_publishers > self._num_publishers, num_publishers
        self._stop_listening()
        if self._has_warned:
            self._timer.cancel()
        elif has_joined and self._tf_message_class is None:
            self._warn(f'another node publishes on {self._topic} as well')
        elif has_joined:
            self._listening = self._node.create_subscription(
                self._tf_message_class,
                self._topic,
                self._take,
                input_qos(_DEPTH, is_reliable=False),
            )

    def _take(self, message: Any) -> None:
        for transform in message.transforms:
            if (
                clean_frame(transform.header.frame_id) == self._map_frame
                and _content(transform) not in self._own
            ):
                self._children.add(clean_frame(transform.child_frame_id))
        self._compare()

    def _compare(self) -> None:
        if self._odom_frame in self._children:
            self._warn(f'another node publishes {self._map_frame} -> {self._odom_frame} as well')

    def _warn(self, sentence: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._node.get_logger().warning(
                f'{sentence}: only one may (REP 105); end it, or set node.publish_tf to false'
            )

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._node.destroy_subscription(self._listening)
            self._listening = None


def _content(transform: TransformStamped) -> tuple[object, ...]:
    stamp, t = transform.header.stamp, transform.transform.translation
    return stamp.sec, stamp.nanosec, t.x, t.y, t.z
