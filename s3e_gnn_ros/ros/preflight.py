"""Whether everything a set-up needs comes: its subscriptions without its work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.ros.adapters import make_host
from s3e_gnn_ros.ros.adapters.pose_input import subscribe_odometry
from s3e_gnn_ros.ros.adapters.stamped_ring import SAME_STAMP_NS
from s3e_gnn_ros.ros.frame_joiner import Picture
from s3e_gnn_ros.ros.image_source import ImageSource
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.processes import plan_arguments
from s3e_gnn_ros.ros.setup_plan import Plan
from s3e_gnn_ros.ros.stamp_gaps import StampLog
from s3e_gnn_ros.ros.statistics import Statistics

_LEAST_S = 1.0
"""A rate takes a moment to show."""
_ENOUGH_FRAMES = 3
_EXACT = ('keyframe_pose', 'keyframe_points', 'sparse_depth')
_NEAR = ('odometry', 'pose')
_UNPLACED = (
    'where the camera sits in the body is unknown: set node.T_body_camera, or let the topic '
    "'extrinsic' or /tf say it"
)


@dataclass(frozen=True)
class InputReport:
    """One input.

    Attributes:
        name: our name of it.
        topic: where it was listened for.
        type_name: of its messages.
        num_received: messages.
        rate_hz: of the messages.
    """

    name: str
    topic: str
    type_name: str
    num_received: int
    rate_hz: float

    def line(self) -> str:
        """Return it for people."""
        if not self.num_received:
            return f'{self.name}: {self.topic} is silent, which it may be'
        return f'{self.name}: {self.topic}, {self.type_name}, {self.rate_hz:.1f} Hz'


@dataclass(frozen=True)
class Preflight:
    """What was found.

    Attributes:
        inputs: all of them.
        num_frames: images that have found depth, intrinsics and pose.
        problems: a sentence each; empty when all is well.
    """

    inputs: list[InputReport]
    num_frames: int
    problems: list[str]

    @property
    def lines(self) -> list[str]:
        """Return a line per input."""
        return [item.line() for item in self.inputs]

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            'inputs': [vars(item) for item in self.inputs],
            'num_frames': self.num_frames,
            'problems': self.problems,
        }


def check_inputs(plan: Plan, timeout_s: float) -> Preflight:
    """Listen to what the nodes of a plan would, until frames come together or time is up.

    Args:
        plan: what would be started.
        timeout_s: listen no longer than this [s].

    Raises:
        ConfigError: a parameter is wrong.
    """
    context = rclpy.Context()
    rclpy.init(args=plan_arguments(plan), context=context)
    try:
        node = Node('preflight', context=context)
        listener = _Listener(node, plan)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        listener.listen(executor, timeout_s)
        report = listener.report()
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)
    return report


class _ListeningIntake(Intake):
    """Remembers stamps, and what was dropped, instead of logging it."""

    def __init__(self, node: Node, statistics: Statistics) -> None:
        super().__init__(node, statistics, lambda: None)
        self.stamps = StampLog()
        self.sentences: dict[str, str] = {}
        self._counts = statistics
        self._heard_s: dict[str, tuple[float, float]] = {}

    def span_s(self, topic: str) -> float:
        """Return the time [s] between the first and the last message of an input."""
        first_s, last_s = self._heard_s.get(topic, (0.0, 0.0))
        return last_s - first_s

    def counted(self, topic: str, use: Callable[[Any], None]) -> Callable[[Any], None]:
        def note(message: Any) -> None:
            now_s = time.monotonic()
            self._heard_s[topic] = (self._heard_s.get(topic, (now_s, 0.0))[0], now_s)
            if hasattr(message, 'header'):
                self.stamps.add(topic, stamp_ns(message.header.stamp))
            use(message)

        return super().counted(topic, note)

    def drop(self, reason: str, sentence: str) -> None:
        self._counts.count(f'drops.{reason}')
        self.sentences[reason] = sentence


class _Listener:
    """The input side of the nodes."""

    def __init__(self, node: Node, plan: Plan) -> None:
        config = plan.config.node
        self._config = config
        self._statistics = Statistics()
        self._intake = _ListeningIntake(node, self._statistics)
        self._inputs = Inputs(
            node,
            self._intake,
            self._statistics,
            config.sync_queue_size,
            is_reliable=config.reliable_inputs,
        )
        self._num_pictures = 0
        self._num_frames = 0
        self._elapsed_s = 0.0
        self._host = make_host(node, config, self._inputs, self._collect)
        self._images = ImageSource(
            node,
            config,
            self._inputs,
            self._add_picture,
            self._collect,
            needs_camera_info=self._host.needs_camera_info,
        )
        is_heard = config.pose_type == 'tf' or not self._inputs.watched.keys().isdisjoint(_NEAR)
        if 'pose_graph' in plan.nodes and not is_heard:
            subscribe_odometry(node, config, self._inputs, lambda _message: None)

    def listen(self, executor: SingleThreadedExecutor, timeout_s: float) -> None:
        """Take messages until all is well or time is up."""
        start_s = time.monotonic()
        while self._elapsed_s < timeout_s:
            executor.spin_once(timeout_sec=0.1)
            self._elapsed_s = time.monotonic() - start_s
            if self._elapsed_s > min(_LEAST_S, timeout_s) and self._is_well():
                break

    def report(self) -> Preflight:
        """Say what was found."""
        inputs = [self._input(name) for name in self._inputs.watched]
        return Preflight(inputs, self._num_frames, self._problems())

    def _input(self, name: str) -> InputReport:
        watched = self._inputs.watched[name]
        received = self._statistics.counters()[f'received.{name}']
        span_s = self._intake.span_s(name)
        rate_hz = (received - 1) / span_s if span_s > 0 else 0.0
        return InputReport(name, watched.topic, watched.type_name, received, rate_hz)

    def _is_well(self) -> bool:
        return self._num_frames >= _ENOUGH_FRAMES and not self._inputs.explain_silent()

    def _problems(self) -> list[str]:
        silent = self._inputs.explain_silent()
        if silent:  # everything else may come of it
            return silent
        is_placed = self._host.T_body_camera is not None
        if self._num_pictures and self._images.camera is not None and not is_placed:
            return [_UNPLACED]
        often = self._statistics.counters()['received.image'] / 2
        told = [
            f'dropped ({reason}): {sentence}'
            for reason, sentence in self._intake.sentences.items()
            if not self._num_frames or self._statistics.counters()[f'drops.{reason}'] > often
        ]
        if self._num_frames:
            return told
        told += _stamp_problems(self._config, self._intake.stamps)
        return told or [f'no frame came together in {self._elapsed_s:.0f} s']

    def _add_picture(self, picture: Picture) -> None:
        self._num_pictures += 1
        self._host.add_picture(picture)
        self._collect()

    def _collect(self) -> None:
        """Count the frames that are complete; called back only while the executor spins."""
        self._num_frames += sum(1 for _ in self._host.ready(self._images.camera))


def _stamp_problems(config: NodeConfig, stamps: StampLog) -> list[str]:
    """Say which stamps are too far from those of the images."""
    slop_s, gap_s = config.sync_slop_s, config.max_odometry_gap_s
    # Of keyframes there are few: each needs an image, not each image one of them.
    exact = [(name, 'image', SAME_STAMP_NS * 1e-9, 'equal stamps are needed') for name in _EXACT]
    near = [('image', name, gap_s, f'node.max_odometry_gap_s is {gap_s}') for name in _NEAR]
    depth = ('image', 'depth', slop_s, f'node.sync_slop_s is {slop_s}')
    problems = []
    for topic, other, limit_s, rule in (depth, *exact, *near):
        found_s = stamps.gap_s(topic, other)
        if found_s is not None and found_s > limit_s:
            problems.append(
                f"the stamps of '{topic}' lie {found_s:.6f} s from the nearest of '{other}' "
                f'(median); {rule}'
            )
    return problems
