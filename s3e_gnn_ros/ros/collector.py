"""Listens to the loop closure graph from outside and asks its nodes how far they are."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import rclpy
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.errors import S3EError
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.conversions import pose_from_message
from s3e_gnn_ros.ros.loop_messages import (
    closure_from_message,
    keyframe_from_message,
    query_from_message,
)
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopClosure, LoopQuery

_DEPTH = 1000
_CALL_TIMEOUT_S = 20.0
_ASK_AGAIN_S = 2.0
"""An answer is lost when the server has not found the asking client's reader yet."""


@dataclass(frozen=True)
class NodeStatus:
    """Answer of a GetStatistics service.

    Attributes:
        counters: by name.
        is_idle: nothing waits and the worker rests.
        stage_ms: 50th and 95th percentile of each stage [ms].
    """

    counters: Counter[str]
    is_idle: bool
    stage_ms: dict[str, tuple[float, float]]


class Collector:
    """A node of its own context that keeps every keyframe, query and closure; use it as a context.

    Everything runs in the caller's thread, within :meth:`spin` and the calls.

    Attributes:
        queries: by (session, id).
        closures: by (query, match).
        weights: of each closure in the pose graph by (query, match), 0 for one taken out.

    Args:
        on_keyframe: called with each keyframe, image and depth included, in order of arrival.
    """

    def __init__(self, on_keyframe: Any) -> None:
        self.queries: dict[KeyframeKey, LoopQuery] = {}
        self.closures: dict[tuple[KeyframeKey, KeyframeKey], LoopClosure] = {}
        self.weights: dict[tuple[KeyframeKey, KeyframeKey], float] = {}
        self._on_keyframe = on_keyframe
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node('s3e_gnn_collector', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        subscribe, latched = self._node.create_subscription, latched_qos(_DEPTH)
        subscribe(msg.KeyFrame, names.KEYFRAME, self._take_keyframe, reliable_qos(_DEPTH))
        subscribe(msg.LoopQuery, names.QUERY, self._take_query, latched)
        subscribe(msg.LoopClosure, names.CLOSURE, self._take_closure, latched)
        subscribe(msg.KeyframePoses, names.KEYFRAME_POSES, self._take_weights, latched_qos(1))
        self._clients = {
            name: self._node.create_client(service, name)
            for name, service in (
                (names.LOOP_STATISTICS, srv.GetStatistics),
                (names.POSE_GRAPH_STATISTICS, srv.GetStatistics),
                (names.GET_POSE_GRAPH, srv.GetPoseGraph),
                (names.GET_KEYFRAMES, srv.GetKeyFrames),
            )
        }

    def __enter__(self) -> Collector:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def spin(self, duration_s: float) -> None:
        """Take what arrives for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def is_ready(self) -> bool:
        """Whether both nodes answer and their publishers have been found."""
        return all(client.service_is_ready() for client in self._clients.values()) and all(
            self._node.count_publishers(topic)
            for topic in (names.KEYFRAME, names.QUERY, names.CLOSURE)
        )

    def is_answering(self, service: str) -> bool:
        """Whether a service has been found."""
        return bool(self._clients[service].service_is_ready())

    def loop_status(self) -> NodeStatus:
        """Ask the loop closure node."""
        return _status(self._call(names.LOOP_STATISTICS, srv.GetStatistics.Request()))

    def graph_status(self) -> NodeStatus:
        """Ask the pose graph node."""
        return _status(self._call(names.POSE_GRAPH_STATISTICS, srv.GetStatistics.Request()))

    def pose_graph(self) -> tuple[dict[KeyframeKey, NDArray[np.float64]], str]:
        """Return T_map_camera (4, 4) by key, and the g2o text."""
        response = self._call(names.GET_POSE_GRAPH, srv.GetPoseGraph.Request())
        keys = zip(response.sessions, response.keyframe_ids, strict=True)
        poses = [pose_from_message(pose) for pose in response.t_map_camera]
        return dict(zip((KeyframeKey(*key) for key in keys), poses, strict=True)), response.g2o

    def history(self) -> list[Keyframe]:
        """Return all keyframes so far, without images and features."""
        response = self._call(names.GET_KEYFRAMES, srv.GetKeyFrames.Request())
        return [keyframe_from_message(message) for message in response.keyframes]

    def is_taken_out(self, closure: LoopClosure) -> bool:
        """Whether the pose graph has taken a closure out, as far as it has said."""
        query = KeyframeKey(closure.query_session, closure.query_id)
        match = KeyframeKey(closure.match_session, closure.match_id)
        return self.weights.get((query, match), 1.0) == 0.0

    def _call(self, name: str, request: Any) -> Any:
        """Ask, several times if need be: every service asked here only reads."""
        client, futures = self._clients[name], []
        end_s, wait_s = time.monotonic() + _CALL_TIMEOUT_S, _ASK_AGAIN_S
        while time.monotonic() < end_s:
            futures.append(client.call_async(request))
            ask_again_s = min(end_s, time.monotonic() + wait_s)
            while (left_s := ask_again_s - time.monotonic()) > 0:
                self._executor.spin_once(timeout_sec=left_s)
                answered = next((future for future in futures if future.done()), None)
                if answered is not None:
                    for future in futures:
                        client.remove_pending_request(future)
                    return answered.result()
            wait_s *= 2  # it may be at work on a long answer
        raise S3EError(f'service {name} has not answered within {_CALL_TIMEOUT_S:.0f} s')

    def _take_keyframe(self, message: msg.KeyFrame) -> None:
        self._on_keyframe(keyframe_from_message(message))

    def _take_query(self, message: msg.LoopQuery) -> None:
        query = query_from_message(message)
        self.queries[KeyframeKey(query.session, query.query_id)] = query

    def _take_closure(self, message: msg.LoopClosure) -> None:
        closure = closure_from_message(message)
        query = KeyframeKey(closure.query_session, closure.query_id)
        match = KeyframeKey(closure.match_session, closure.match_id)
        self.closures[query, match] = closure

    def _take_weights(self, message: msg.KeyframePoses) -> None:
        queries = zip(message.closure_query_sessions, message.closure_query_ids, strict=True)
        matches = zip(message.closure_match_sessions, message.closure_match_ids, strict=True)
        self.weights = {
            (KeyframeKey(*query), KeyframeKey(*match)): weight
            for query, match, weight in zip(queries, matches, message.closure_weights, strict=True)
        }


def _status(response: Any) -> NodeStatus:
    percentiles = zip(response.stage_p50_ms, response.stage_p95_ms, strict=True)
    return NodeStatus(
        Counter(dict(zip(response.counter_names, response.counter_values, strict=True))),
        not response.busy and response.queue_depth == 0,
        dict(zip(response.stage_names, percentiles, strict=True)),
    )
