"""Subscribes to /tf and /tf_static where tf2_msgs is installed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from s3e_gnn_ros.data.messages import pose_from_message, stamp_ns
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos
from s3e_gnn_ros.ros.transform_tree import TransformTree

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

_DEPTH = 1000
"""Small messages, and many of them: of every joint of a robot."""


class TfListener:
    """Keeps a tree of what TF says; without tf2_msgs, which every ROS install has, an empty one.

    Args:
        inputs: how to subscribe.
        max_gap_s: transforms further apart than this are not interpolated between [s].
        is_optional: nothing is amiss when no transform comes.
    """

    def __init__(self, inputs: Inputs, max_gap_s: float, *, is_optional: bool) -> None:
        self.tree = TransformTree(max_gap_s)
        self._intake = inputs.intake
        self._callbacks: list[Callable[[], None]] = []
        if TFMessage is None:
            return
        # A transform may carry any stamp: each frame has a clock of its own.
        inputs.subscribe(
            TFMessage,
            'tf',
            self._take,
            '/tf',
            is_timed=False,
            is_optional=is_optional,
            qos=reliable_qos(_DEPTH),
        )
        inputs.subscribe(
            TFMessage,
            'tf_static',
            self._take_static,
            '/tf_static',
            is_timed=False,
            is_optional=True,
            qos=latched_qos(_DEPTH),
        )

    @property
    def is_available(self) -> bool:
        """Whether TF can be heard at all."""
        return TFMessage is not None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after each transform that moves."""
        self._callbacks.append(callback)

    def _take(self, message: Any) -> None:
        for item in message.transforms:  # one that is broken must not take the others with it
            self._intake.attempt(partial(self._add, item))

    def _add(self, item: Any) -> None:
        T = pose_from_message(item.transform)
        self.tree.add(item.header.frame_id, item.child_frame_id, stamp_ns(item.header.stamp), T)
        for callback in self._callbacks:
            callback()

    def _take_static(self, message: Any) -> None:
        for item in message.transforms:
            self._intake.attempt(partial(self._add_static, item))

    def _add_static(self, item: Any) -> None:
        T = pose_from_message(item.transform)
        self.tree.add_fixed(item.header.frame_id, item.child_frame_id, T)
