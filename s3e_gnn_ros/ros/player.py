"""Publishes a rosbag2 on its topics: ``ros2 bag play`` where there is no rosbag2."""

from __future__ import annotations

import importlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from rosbags.interfaces import Connection
from rosgraph_msgs.msg import Clock

from s3e_gnn_ros.data.bag_file import open_bag
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.ros.conversions import stamp_from_ns
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos

_DEPTH = 200
_CLOCK_PERIOD_S = 0.02
_ACK_TIMEOUT_S = 5.0
_MATCH_S = 0.5
"""A subscriber that has been found may itself not yet have found the publisher."""


@dataclass(frozen=True)
class PlayOptions:
    """How to play.

    Attributes:
        rate: times real time.
        clock: also publish /clock.
        topics: only these; all when empty.
        wait_for_subscribers_s: wait up to this long until every topic has a subscriber [s].
        loop: start again at the end, until interrupted.
        start_offset_s: skip this much of the beginning [s].
        wait_for: topics whose subscribers are enough to wait for, of those the bag has; all of
            the bag's when it has none of them.
    """

    rate: float = 1.0
    clock: bool = True
    topics: tuple[str, ...] = ()
    wait_for_subscribers_s: float = 0.0
    loop: bool = False
    start_offset_s: float = 0.0
    wait_for: tuple[str, ...] = ()


@dataclass
class PlayReport:
    """What was played.

    Attributes:
        published: messages per topic.
        skipped: topics that could not be played, with the reason.
        without_subscriber: topics nobody listened to when the playing began.
        is_acknowledged: whether every reliable subscriber confirmed every message.
        duration_s: of the recording that was played [s].
    """

    published: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    without_subscriber: list[str] = field(default_factory=list)
    is_acknowledged: bool = True
    duration_s: float = 0.0


class Player:
    """Plays one bag on a node's publishers; messages go out as the bytes that are in the bag.

    Args:
        node: owns the publishers.
        path: folder of the bag, or its .mcap or .db3 file.
        options: how to play.

    Raises:
        RecordingError: the bag cannot be read, or holds nothing that could be played.
    """

    def __init__(self, node: Node, path: Path, options: PlayOptions) -> None:
        self.report = PlayReport()
        self._node = node
        self._path = path
        self._options = options
        self._stop = threading.Event()
        self._clock = node.create_publisher(Clock, '/clock', 10) if options.clock else None
        self._publishers: dict[str, Publisher] = {}
        with open_bag(path) as bag:
            self._start_ns = bag.start_ns + int(options.start_offset_s * 1e9)
            self._end_ns = bag.end_ns
            if self._start_ns >= self._end_ns and options.start_offset_s > 0:
                length_s = (bag.end_ns - bag.start_ns) / 1e9
                raise RecordingError(
                    f'start offset {options.start_offset_s} s lies beyond the {length_s:.1f} s '
                    f"of '{path}'"
                )
            self._create_publishers(bag.connections)

    @property
    def duration_s(self) -> float:
        """Length of what is played once, in the recording's time [s]."""
        return max(0, self._end_ns - self._start_ns) / 1e9

    @property
    def topics(self) -> list[str]:
        """What is published, /clock aside."""
        return sorted(self._publishers)

    def stop(self) -> None:
        """End :meth:`play` soon; may be called from another thread or a signal handler."""
        self._stop.set()

    def play(self, progress: Callable[[float], None] = lambda _seconds: None) -> PlayReport:
        """Publish everything once, or for ever with ``loop``.

        Args:
            progress: called with the recording's seconds played so far.

        Raises:
            RecordingError: the bag breaks off; what came before has been published.
        """
        self._await_subscribers()
        try:
            while True:
                self._play_once(progress)
                if not self._options.loop or self._stop.is_set():
                    break
        finally:
            self._flush()
        return self.report

    def _play_once(self, progress: Callable[[float], None]) -> None:
        began_s = time.monotonic()
        with open_bag(self._path) as bag:
            for message in bag.messages(self.topics):
                if message.log_ns < self._start_ns:
                    continue
                elapsed_s = (message.log_ns - self._start_ns) / 1e9
                self._sleep_until(began_s, elapsed_s)
                if self._stop.is_set():
                    return
                self._publish(message.topic, message.data)
                self.report.duration_s = max(self.report.duration_s, elapsed_s)
                progress(elapsed_s)

    def _publish(self, topic: str, data: bytes) -> None:
        publisher = self._publishers[topic]
        publisher.publish(bytes(data))
        self.report.published[topic] += 1
        if self.report.published[topic] % (_DEPTH // 2) == 0:
            # A reliable subscriber that is behind must not find the history overwritten.
            publisher.wait_for_all_acked(Duration(seconds=_ACK_TIMEOUT_S))

    def _sleep_until(self, began_s: float, elapsed_s: float) -> None:
        """Wait for a moment of the recording, with /clock running on."""
        due_s = began_s + elapsed_s / self._options.rate
        while not self._stop.is_set():
            wait_s = due_s - time.monotonic()
            self._publish_clock(elapsed_s - max(0.0, wait_s) * self._options.rate)
            if wait_s <= 0:
                return
            self._stop.wait(min(wait_s, _CLOCK_PERIOD_S))

    def _publish_clock(self, elapsed_s: float) -> None:
        if self._clock is not None:
            now_ns = self._start_ns + int(elapsed_s * 1e9)
            self._clock.publish(Clock(clock=stamp_from_ns(max(0, now_ns))))

    def _create_publishers(self, connections: Sequence[Connection]) -> None:
        known = {connection.topic for connection in connections}
        missing = sorted(set(self._options.topics) - known)
        if missing:
            raise RecordingError(
                f"'{self._path}' has no topic {missing[0]}; it has {', '.join(sorted(known))}"
            )
        for connection in connections:
            topic = connection.topic
            if (self._options.topics and topic not in self._options.topics) or (
                topic in self._publishers or topic == '/clock'
            ):
                continue
            try:
                message_class = find_message_class(connection.msgtype)
            except ImportError as err:
                self.report.skipped[topic] = str(err)
                continue
            # tf2's listeners refuse a /tf_static that is not latched.
            is_static = topic.rpartition('/')[2] == 'tf_static'
            qos = latched_qos(_DEPTH) if is_static else reliable_qos(_DEPTH)
            self._publishers[topic] = self._node.create_publisher(message_class, topic, qos)
        if not self._publishers:
            reasons = '; '.join(self.report.skipped.values()) or 'it has no messages'
            raise RecordingError(f"nothing in '{self._path}' can be played: {reasons}")

    def _await_subscribers(self) -> None:
        give_up_s = time.monotonic() + self._options.wait_for_subscribers_s
        awaited = set(self._options.wait_for) & set(self._publishers) or set(self._publishers)
        while not self._stop.is_set():
            lonely = [
                topic
                for topic, publisher in self._publishers.items()
                if publisher.get_subscription_count() == 0
            ]
            if awaited.isdisjoint(lonely) or time.monotonic() >= give_up_s:
                self.report.without_subscriber = sorted(lonely)
                if self._options.wait_for_subscribers_s > 0:
                    self._stop.wait(_MATCH_S)
                return
            self._stop.wait(0.05)

    def _flush(self) -> None:
        """Leave only when every reliable subscriber has what was sent."""
        for publisher in self._publishers.values():
            timeout = Duration(seconds=_ACK_TIMEOUT_S)
            if not publisher.wait_for_all_acked(timeout):
                self.report.is_acknowledged = False


@contextmanager
def running_player(path: Path, options: PlayOptions) -> Iterator[Player]:
    """Make a player on a node of its own, and end both.

    ROS installs no signal handlers: Ctrl-C must end the playing, not the context, for what was
    sent must still arrive.

    Raises:
        RecordingError: as :class:`Player`.
    """
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('s3e_gnn_player')
    try:
        yield Player(node, path, options)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def find_message_class(name: str) -> type[Any]:
    """Import a message class by its full type name.

    Args:
        name: such as ``sensor_msgs/msg/Image``.

    Raises:
        ImportError: the package or the message is not installed.
    """
    package, _, message = name.partition('/msg/')
    try:
        return getattr(importlib.import_module(f'{package}.msg'), message)  # type: ignore[no-any-return]
    except (ImportError, AttributeError) as err:
        raise ImportError(f'type {name} is not installed') from err


def full_type_name(message_class: type[Any]) -> str:
    """Return the name :func:`find_message_class` finds a class by."""
    return f'{message_class.__module__.split(".")[0]}/msg/{message_class.__name__}'
