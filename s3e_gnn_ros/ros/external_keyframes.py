"""Keyframes that other robots have made, for one map of all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from rclpy.node import Node

from s3e_gnn_ros import msg
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.deferred import Job
from s3e_gnn_ros.ros.history import History
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.loop_messages import keyframe_from_message
from s3e_gnn_ros.ros.qos import reliable_qos
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopQuery

_DEPTH = 100


class ExternalKeyframes:
    """Takes keyframes of other robots as if they were our own.

    Robots that send each other all they publish send each other's keyframes back, too: what comes
    from a session of our own, or is known, or older than what is known of its session (it may have
    been removed), is ignored. So nothing goes round in circles.

    Args:
        node: owns the subscription.
        intake: counts what comes, and what is wrong with it.
        history: knows what has been here.
        pipeline: searched on the worker's thread.
        worker: returns the worker.
        publish: gives out a keyframe with its query, odometry frame and optical frame.
        own_sessions: what comes of these is our own.
    """

    def __init__(
        self,
        node: Node,
        intake: Intake,
        history: History,
        pipeline: LoopClosurePipeline,
        worker: Callable[[], Worker[Job]],
        publish: Callable[[Keyframe, LoopQuery, str, str], None],
        own_sessions: Iterable[int],
    ) -> None:
        self._intake = intake
        self._history = history
        self._pipeline = pipeline
        self._worker = worker
        self._publish = publish
        self._own_sessions = set(own_sessions)
        node.create_subscription(
            msg.KeyFrame,
            names.EXTERNAL_KEYFRAME,
            intake.counted('external_keyframe', self._take),
            reliable_qos(_DEPTH),
        )

    def add_own_session(self, session: int) -> None:
        """Ignore what comes back of a session of our own."""
        self._own_sessions.add(session)

    def _take(self, message: Any) -> None:
        """In the executor's thread."""
        key = KeyframeKey(message.session, message.keyframe_id)
        if not self._is_new(key):
            return
        self._worker().offer(
            Job(
                lambda: self._intake.attempt(partial(self._process, key, message)),
                lambda: self._intake.drop(
                    'queue_full',
                    f'keyframe {key.keyframe_id} of session {key.session} of another robot '
                    'waited too long',
                ),
            )
        )

    def _is_new(self, key: KeyframeKey) -> bool:
        return key.session not in self._own_sessions and not self._history.is_passed(key)

    def _process(self, key: KeyframeKey, message: Any) -> None:
        """In the worker's thread."""
        if not self._is_new(key):
            return  # it came twice, by different ways
        keyframe = self._pipeline.encoded(keyframe_from_message(message))
        query = self._pipeline.process_keyframe(keyframe)
        if query is not None:
            self._publish(keyframe, query, message.header.frame_id, message.camera_frame)
