"""What the pose graph node hears while it is active, and hands to its worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node

from s3e_gnn_ros import msg
from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.adapters.pose_input import subscribe_odometry
from s3e_gnn_ros.ros.conversions import pose_from_message, stamp_to_ns
from s3e_gnn_ros.ros.graph_worker import GraphWorker
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.keyframe_inbox import KeyframeInbox, KeyframePose
from s3e_gnn_ros.ros.keyframe_poses import keys_from_message, poses_from_message
from s3e_gnn_ros.ros.loop_messages import closure_from_message, query_from_message
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos
from s3e_gnn_ros.ros.recovery import Recovery
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.types import MAX_SESSION, KeyframeKey, LoopClosure, Status

_LATCHED_DEPTH = 1000
_NEVER_VERIFIED = frozenset(
    {
        Status.LOOP_DETECTED,
        Status.CLOSE_MATCHES_ONLY,
        Status.NO_DB_RESULTS,
        Status.LOW_NSS_FACTOR,
        Status.LOW_SCORES,
        Status.NO_GROUPS,
        Status.NO_TEMPORAL_CONSISTENCY,
        Status.TOO_FEW_FEATURES,
    }
)


class GraphInputs:
    """Subscribes; what was missed before is asked for (:class:`Recovery`), or latched.

    Args:
        node: owns subscriptions, client and timers.
        config: of the node.
        intake: counts every message, and what is wrong with it.
        statistics: counts queries by their status.
        graph: takes keyframes and closures.
        inbox: brings keyframes into order.
        on_odometry: called with each odometry message.

    Raises:
        ConfigError: see :func:`adapters.pose_input.subscribe_odometry`.
    """

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        intake: Intake,
        statistics: Statistics,
        graph: GraphWorker,
        inbox: KeyframeInbox,
        on_odometry: Callable[[Odometry], None],
    ) -> None:
        self._config = config
        self._intake = intake
        self._statistics = statistics
        self._graph = graph
        self._inbox = inbox
        self.inputs = Inputs(
            node,
            intake,
            statistics,
            config.sync_queue_size,
            is_reliable=config.reliable_inputs,
        )
        subscribe_odometry(node, config, self.inputs, on_odometry)
        keyframe_qos, latched = reliable_qos(config.queue_size), latched_qos(_LATCHED_DEPTH)
        for message_class, name, take, qos in (
            (msg.KeyFrame, names.KEYFRAME, self._take_keyframe, keyframe_qos),
            (msg.LoopClosure, names.CLOSURE, self._take_closure, latched),
            (msg.LoopQuery, names.QUERY, self._take_query, latched),
            (msg.KeyframeIds, names.REMOVED, self._take_removed, latched),
            (msg.KeyframePoses, names.BASE_MAP, self._take_base_map, latched),
        ):
            node.create_subscription(message_class, name, intake.counted(name, take), qos)
        self._recovery = Recovery(node, inbox.missing, self._take_recovered, self._give_up)

    def _take_keyframe(self, message: msg.KeyFrame) -> None:
        self._inbox.push(self._keyframe_pose(message))
        self._drain()

    def _keyframe_pose(self, message: msg.KeyFrame) -> KeyframePose:
        if message.session > MAX_SESSION:
            raise InputError(f'session {message.session} is not between 0 and {MAX_SESSION}')
        return KeyframePose(
            KeyframeKey(message.session, message.keyframe_id),
            stamp_to_ns(message.header.stamp),
            pose_from_message(message.t_odom_camera),
            self._config.odom_frame or message.header.frame_id,
            message.robot_id,
        )

    def _take_removed(self, message: msg.KeyframeIds) -> None:
        keys = keys_from_message(message)
        self._inbox.remove(keys)
        self._graph.remove_keyframes(keys)
        self._drain()  # what waited for them waits no longer

    def _take_base_map(self, message: msg.KeyframePoses) -> None:
        keys, poses = poses_from_message(message)
        self._graph.fix(dict(zip(keys, poses, strict=True)))

    def _take_closure(self, message: msg.LoopClosure) -> None:
        self._graph.add_closure(closure_from_message(message))

    def _take_query(self, message: msg.LoopQuery) -> None:
        query = query_from_message(message)
        self._statistics.count(f'status.{query.status.name}')
        if query.robot_id == self._config.robot_id:
            self._graph.set_live(query.session)
        if query.candidates and query.status not in _NEVER_VERIFIED:
            best = query.candidates[0]
            self._graph.add_rejected(
                KeyframeKey(query.session, query.query_id),
                KeyframeKey(best.session, best.keyframe_id),
            )

    def _take_recovered(self, response: Any) -> None:
        keyframes: list[KeyframePose] = []
        closures: list[LoopClosure] = []
        for keyframe in response.keyframes:
            self._intake.attempt(
                lambda message=keyframe: keyframes.append(self._keyframe_pose(message))  # type: ignore[misc]
            )
        for closure in response.closures:
            self._intake.attempt(
                lambda message=closure: closures.append(closure_from_message(message))  # type: ignore[misc]
            )
        self._inbox.push_history(keyframes)
        self._graph.add_batch(list(self._inbox.pop_ready()), closures)

    def _give_up(self, session: int) -> None:
        self._statistics.count('drops.keyframe_lost')
        self._inbox.give_up(session)
        self._drain()

    def _drain(self) -> None:
        for keyframe in self._inbox.pop_ready():
            self._graph.add_keyframe(keyframe)
