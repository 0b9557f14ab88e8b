"""ROS node: keyframes and loop closures in, corrected poses and the transform to odometry out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from nav_msgs.msg import Odometry, Path
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.adapters.pose_input import subscribe_odometry
from s3e_gnn_ros.ros.conversions import pose_from_message, stamp_to_ns
from s3e_gnn_ros.ros.corrected_outputs import CorrectedOutputs
from s3e_gnn_ros.ros.deferred import DeferredServices
from s3e_gnn_ros.ros.graph_messages import (
    GraphSnapshot,
    fill_pose_graph,
    keyframe_poses_message,
    marker_message,
    path_message,
)
from s3e_gnn_ros.ros.graph_worker import GraphWorker
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.keyframe_inbox import KeyframeInbox, KeyframePose
from s3e_gnn_ros.ros.loop_messages import closure_from_message, query_from_message
from s3e_gnn_ros.ros.node_main import run_node
from s3e_gnn_ros.ros.parameters import load_parameters
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos
from s3e_gnn_ros.ros.recovery import Recovery
from s3e_gnn_ros.ros.statistics import Statistics, fill_statistics
from s3e_gnn_ros.types import KeyframeKey, LoopClosure, Status

_LATCHED_DEPTH = 1000
_PUBLISH_PERIOD_S = 0.5
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


class PoseGraphNode(Node):
    """Callbacks hand keyframes and closures to a worker, and correct odometry on the spot.

    Raises:
        ConfigError: a parameter is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            names.POSE_GRAPH_NODE, automatically_declare_parameters_from_overrides=True, **options
        )
        config = load_parameters(self)
        self._config = config.node
        self._statistics = Statistics()
        self._intake = Intake(self, self._statistics, lambda: None)
        self._inbox = KeyframeInbox()
        self._create_outputs()
        self._outputs = CorrectedOutputs(self, config)
        self._graph = GraphWorker(
            config.pose_graph, self._statistics, self._intake.drop, self._publish_graph
        )
        self._create_inputs()
        self._recovery = Recovery(self, self._inbox.missing, self._take_recovered, self._give_up)
        self._timer = self.create_timer(_PUBLISH_PERIOD_S, self._tick)

    def close(self) -> None:
        """End the worker."""
        self._graph.close()

    def _tick(self) -> None:
        self._graph.tick()
        self._outputs.refresh(self._graph.correction)

    def _create_outputs(self) -> None:
        latched = latched_qos(1)
        self._path = self.create_publisher(Path, names.PATH, latched)
        self._markers = self.create_publisher(MarkerArray, names.MARKERS, latched)
        self._poses = self.create_publisher(msg.KeyframePoses, names.KEYFRAME_POSES, latched)
        self.create_service(srv.GetPoseGraph, names.GET_POSE_GRAPH, self._answer_pose_graph)
        self.create_service(
            srv.GetStatistics, names.POSE_GRAPH_STATISTICS, self._answer_statistics
        )
        self._deferred = DeferredServices(self)
        self._deferred.create(
            srv.EditClosure, names.EDIT_CLOSURE, self._edit_closure, lambda: self._graph.worker
        )

    def _create_inputs(self) -> None:
        config = self._config
        inputs = Inputs(
            self,
            self._intake,
            self._statistics,
            config.sync_queue_size,
            is_reliable=config.reliable_inputs,
        )
        subscribe_odometry(self, config, inputs, self._take_odometry)
        keyframe_qos, latched = reliable_qos(config.queue_size), latched_qos(_LATCHED_DEPTH)
        for message_class, name, take, qos in (
            (msg.KeyFrame, names.KEYFRAME, self._take_keyframe, keyframe_qos),
            (msg.LoopClosure, names.CLOSURE, self._take_closure, latched),
            (msg.LoopQuery, names.QUERY, self._take_query, latched),
            (msg.KeyframeIds, names.REMOVED, self._take_removed, latched),
            (msg.KeyframePoses, names.BASE_MAP, self._take_base_map, latched),
        ):
            self.create_subscription(message_class, name, self._intake.counted(name, take), qos)

    def _take_keyframe(self, message: msg.KeyFrame) -> None:
        self._inbox.push(self._keyframe_pose(message))
        self._drain()

    def _keyframe_pose(self, message: msg.KeyFrame) -> KeyframePose:
        return KeyframePose(
            KeyframeKey(message.session, message.keyframe_id),
            stamp_to_ns(message.header.stamp),
            pose_from_message(message.t_odom_camera),
            self._config.odom_frame or message.header.frame_id,
            message.robot_id,
        )

    def _take_removed(self, message: msg.KeyframeIds) -> None:
        keys = _keys(message)
        self._inbox.remove(keys)
        self._graph.remove_keyframes(keys)
        self._drain()  # what waited for them waits no longer

    def _take_base_map(self, message: msg.KeyframePoses) -> None:
        keys = _keys(message)
        if len(message.t_map_camera) != len(keys):
            raise InputError(f'{len(keys)} keyframes come with {len(message.t_map_camera)} poses')
        poses = [pose_from_message(pose) for pose in message.t_map_camera]
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

    def _take_odometry(self, message: Odometry) -> None:
        self._outputs.publish(message, self._graph.correction)

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

    def _answer_pose_graph(self, _request: Any, response: Any) -> Any:
        return fill_pose_graph(response, self._graph.snapshot, self._config.map_frame)

    def _answer_statistics(self, _request: Any, response: Any) -> Any:
        is_busy = self._graph.is_busy or self._inbox.missing() is not None
        return fill_statistics(response, self._statistics, self._graph.depth, is_busy=is_busy)

    # In the worker's thread.

    def _edit_closure(self, request: Any, response: Any) -> None:
        match = KeyframeKey(request.match_session, request.match_id)
        query = KeyframeKey(request.query_session, request.query_id)
        self._graph.edit(request.action, match, query)
        response.message = 'the next keyframe_poses have it'

    def _publish_graph(self, snapshot: GraphSnapshot) -> None:
        """Building these takes long on a large map."""
        self._path.publish(path_message(snapshot, self._config.map_frame))
        self._poses.publish(keyframe_poses_message(snapshot, self._config.map_frame))
        self._markers.publish(marker_message(snapshot, self._config.map_frame))


def _keys(message: msg.KeyframeIds | msg.KeyframePoses) -> list[KeyframeKey]:
    """Return the keyframes a message speaks of.

    Raises:
        InputError: more sessions than ids, or the other way round.
    """
    if len(message.sessions) != len(message.keyframe_ids):
        raise InputError(
            f'{len(message.sessions)} sessions come with {len(message.keyframe_ids)} ids'
        )
    pairs = zip(message.sessions, message.keyframe_ids, strict=True)
    return [KeyframeKey(int(session), int(number)) for session, number in pairs]


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop; returns the exit status."""
    return run_node(PoseGraphNode, args)


if __name__ == '__main__':
    sys.exit(main())
