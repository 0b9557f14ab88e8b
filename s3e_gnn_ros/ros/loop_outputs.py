"""What the loop closure node gives out: keyframes, queries and closures, and what it removes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.history import History
from s3e_gnn_ros.ros.loop_messages import (
    closure_to_message,
    keyframe_summary,
    keyframe_to_message,
    query_to_message,
)
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopClosure, LoopQuery

_LATCHED_DEPTH = 1000


class LoopOutputs:
    """Publishes on the worker's thread, and remembers for who comes late.

    Args:
        node: owns the publishers.
        config: queues, and whether images go along.
        history: answers GetKeyFrames.
    """

    def __init__(self, node: Node, config: NodeConfig, history: History) -> None:
        self._config = config
        self._history = history
        self._clock = node.get_clock()
        self._keyframes = node.create_publisher(
            msg.KeyFrame, names.KEYFRAME, reliable_qos(config.queue_size)
        )
        # Closures and queries are small: who comes late still gets the last thousand.
        latched = latched_qos(_LATCHED_DEPTH)
        self._closures = node.create_publisher(msg.LoopClosure, names.CLOSURE, latched)
        self._queries = node.create_publisher(msg.LoopQuery, names.QUERY, latched)
        self._removed = node.create_publisher(msg.KeyframeIds, names.REMOVED, latched)
        self._base_map = node.create_publisher(
            msg.KeyframePoses, names.BASE_MAP, latched_qos(_LATCHED_DEPTH)
        )
        node.create_service(srv.GetKeyFrames, names.GET_KEYFRAMES, history.answer)

    def set_config(self, config: NodeConfig) -> None:
        """Put images into keyframes, or not, from the next one on."""
        self._config = config

    def publish(
        self,
        keyframe: Keyframe,
        query: LoopQuery,
        odom_frame: str,
        camera_frame: str,
        feature_ids: NDArray[np.int64] | None = None,
    ) -> None:
        """Give out a keyframe with what its query found.

        Args:
            keyframe: with features.
            query: of that keyframe.
            odom_frame: frame of its pose.
            camera_frame: its optical frame.
            feature_ids: (N,) the front end's track numbers, or None.
        """
        closures = [self._closure_message(closure, camera_frame) for closure in query.closures]
        self._history.add(keyframe_summary(keyframe, odom_frame, camera_frame), closures)
        self._keyframes.publish(
            keyframe_to_message(
                keyframe,
                odom_frame,
                camera_frame,
                with_images=self._config.publish_images,
                feature_ids=feature_ids,
            )
        )
        self._queries.publish(query_to_message(query, camera_frame))
        for closure in closures:
            self._closures.publish(closure)

    def replace_closure(self, closure: LoopClosure) -> None:
        """Give out a better measurement of a closure."""
        message = self._closure_message(closure, '')
        self._history.replace_closure(message)
        self._closures.publish(message)

    def remove(self, keys: Sequence[KeyframeKey]) -> None:
        """Forget keyframes and tell everybody that they are gone."""
        if not keys:
            return
        self._history.remove(keys)
        message = msg.KeyframeIds()
        message.header.stamp = self._clock.now().to_msg()
        message.sessions = [key.session for key in keys]
        message.keyframe_ids = [key.keyframe_id for key in keys]
        self._removed.publish(message)

    def load(
        self,
        keyframes: Sequence[msg.KeyFrame],
        closures: Sequence[msg.LoopClosure],
        fixed_poses: Sequence[tuple[KeyframeKey, Pose]] = (),
    ) -> None:
        """Give out a stored map.

        The back end asks for what it misses when it sees a gap; the last keyframe of each session
        shows it one.

        Args:
            keyframes: all of them, as summaries, in order of addition.
            closures: all of them.
            fixed_poses: T_map_camera (4, 4) of the keyframes that are to stay where they are.
        """
        if fixed_poses:
            self._publish_base_map(keyframes, fixed_poses)
        self._history.extend(keyframes, closures)
        for keyframe in {keyframe.session: keyframe for keyframe in keyframes}.values():
            self._keyframes.publish(keyframe)

    def _closure_message(self, closure: LoopClosure, camera_frame: str) -> msg.LoopClosure:
        match = KeyframeKey(closure.match_session, closure.match_id)
        return closure_to_message(closure, self._history.camera_frame(match, camera_frame))

    def _publish_base_map(
        self,
        keyframes: Sequence[msg.KeyFrame],
        fixed_poses: Sequence[tuple[KeyframeKey, Pose]],
    ) -> None:
        message = msg.KeyframePoses()
        message.header.frame_id = self._config.map_frame
        message.header.stamp = keyframes[-1].header.stamp
        message.sessions = [key.session for key, _ in fixed_poses]
        message.keyframe_ids = [key.keyframe_id for key, _ in fixed_poses]
        message.t_map_camera = [conv.pose_to_message(T) for _, T in fixed_poses]
        self._base_map.publish(message)
