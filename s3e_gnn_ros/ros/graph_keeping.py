"""What the pose graph node is while it is configured: the graph, and what it gives out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nav_msgs.msg import Odometry, Path
from visualization_msgs.msg import MarkerArray

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.paths import map_directory
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.corrected_outputs import CorrectedOutputs
from s3e_gnn_ros.ros.deferred import call_in
from s3e_gnn_ros.ros.edits_file import EditsFile
from s3e_gnn_ros.ros.graph_health import judge_correction, report_graph
from s3e_gnn_ros.ros.graph_inputs import GraphInputs
from s3e_gnn_ros.ros.graph_messages import (
    GraphSnapshot,
    fill_pose_graph,
    keyframe_poses_message,
    marker_message,
    path_message,
)
from s3e_gnn_ros.ros.graph_worker import GraphWorker
from s3e_gnn_ros.ros.health import Health
from s3e_gnn_ros.ros.inputs import Watched
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.keyframe_inbox import KeyframeInbox
from s3e_gnn_ros.ros.managed_node import ManagedNode
from s3e_gnn_ros.ros.qos import latched_qos
from s3e_gnn_ros.ros.role import Role
from s3e_gnn_ros.ros.steady_timer import create_steady_timer
from s3e_gnn_ros.types import KeyframeKey

_PUBLISH_PERIOD_S = 0.5
_REST_TIMEOUT_S = 10.0
"""On deactivation: for what is queued, which goes on behind it if it takes longer."""


class GraphKeeping(Role):
    """Keyframes and loop closures in, corrected poses and the transform to odometry out.

    Callbacks hand keyframes and closures to a worker, and correct odometry on the spot.

    Args:
        node: owns topics, services and timers.
        config: of the node.
    """

    def __init__(self, node: ManagedNode, config: Config) -> None:
        self._node = node
        self._config = config
        self._statistics = node.statistics
        self._intake = Intake(node, node.statistics, lambda: None)
        self._inbox = KeyframeInbox()
        self._inputs: GraphInputs | None = None
        self._create_outputs()
        self._outputs = CorrectedOutputs(node, config)
        self._graph = GraphWorker(
            config.pose_graph,
            node.statistics,
            self._intake.drop,
            self._publish_graph,
            RemoteGraph if config.node.solver_process else PoseGraph,
            EditsFile(map_directory(config.map.directory)),
        )

    def _create_outputs(self) -> None:
        node, latched = self._node, latched_qos(1)
        self._path = node.create_publisher(Path, names.PATH, latched)
        self._markers = node.create_publisher(MarkerArray, names.MARKERS, latched)
        self._poses = node.create_publisher(msg.KeyframePoses, names.KEYFRAME_POSES, latched)
        node.create_service(srv.GetPoseGraph, names.GET_POSE_GRAPH, self._answer_pose_graph)
        node.deferred.create(
            srv.EditClosure,
            names.EDIT_CLOSURE,
            self._edit_closure,
            lambda: self._graph.worker,
            needs_active=True,
        )

    @property
    def depth(self) -> int:
        """Jobs that wait for the worker."""
        return self._graph.depth

    @property
    def is_busy(self) -> bool:
        """Whether anything given is not yet published, or keyframes before it are missing."""
        return self._graph.is_busy or self._inbox.missing() is not None

    @property
    def capacity(self) -> int:
        """Jobs that may wait for the worker."""
        return self._graph.worker.capacity

    @property
    def watched(self) -> dict[str, Watched]:
        """What is subscribed to of other systems."""
        return {} if self._inputs is None else self._inputs.inputs.watched

    def healths(self, counters: Mapping[str, int]) -> list[Health]:
        """Report the graph, and whether odometry is corrected."""
        return [
            report_graph(
                self._graph.snapshot, counters, self._statistics.last_run('optimisation')
            ),
            judge_correction(self._graph.correction, is_used=self._outputs.is_correcting),
        ]

    def activate(self) -> None:
        """Subscribe, and publish the graph as it is.

        Raises:
            ConfigError: see :func:`adapters.pose_input.subscribe_odometry`.
        """
        self._statistics.forget_arrivals()
        self._inputs = GraphInputs(
            self._node,
            self._config.node,
            self._intake,
            self._statistics,
            self._graph,
            self._inbox,
            self._take_odometry,
        )
        self._graph.renew()
        create_steady_timer(self._node, _PUBLISH_PERIOD_S, self._tick)

    def deactivate(self) -> None:
        """Let what is queued come into the graph: the inbox counts it as done."""
        if self._inputs is None:
            return
        self._inputs = None
        try:
            call_in(self._graph.worker, lambda: None, _REST_TIMEOUT_S)
        except InputError as err:
            self._node.get_logger().warning(f'deactivated all the same: {err}')

    def set_config(self, config: Config) -> None:
        """Correct odometry otherwise at once; the worker builds the graph anew if need be."""
        before, self._config = self._config, config
        self._outputs.set_config(config)
        if config.pose_graph != before.pose_graph:
            self._graph.set_config(config.pose_graph)

    def close(self) -> None:
        """End the worker."""
        self._graph.close()
        self._outputs.close()

    def _tick(self) -> None:
        self._graph.tick()
        self._outputs.refresh(self._graph.correction)

    def _take_odometry(self, message: Odometry) -> None:
        self._outputs.publish(message, self._graph.correction)

    def _answer_pose_graph(self, _request: Any, response: Any) -> Any:
        return fill_pose_graph(response, self._graph.snapshot, self._config.node.map_frame)

    # In the worker's thread.

    def _edit_closure(self, request: Any, response: Any) -> None:
        match = KeyframeKey(request.match_session, request.match_id)
        query = KeyframeKey(request.query_session, request.query_id)
        self._graph.edit(request.action, match, query)
        response.message = 'the next keyframe_poses have it'

    def _publish_graph(self, snapshot: GraphSnapshot) -> None:
        """Building these takes long on a large map."""
        map_frame = self._config.node.map_frame
        self._path.publish(path_message(snapshot, map_frame))
        self._poses.publish(keyframe_poses_message(snapshot, map_frame))
        self._markers.publish(marker_message(snapshot, map_frame))
