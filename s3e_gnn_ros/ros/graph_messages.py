"""The pose graph as ROS messages: path, markers, service response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from geometry_msgs.msg import Point, PoseStamped
from geometry_msgs.msg import Pose as PoseMessage
from nav_msgs.msg import Path
from numpy.typing import NDArray
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker, MarkerArray

from s3e_gnn_ros import msg
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.g2o import G2oGraph, g2o_text
from s3e_gnn_ros.pose_graph.graph_columns import GraphColumns
from s3e_gnn_ros.ros.conversions import make_header, stamp_from_ns
from s3e_gnn_ros.types import KeyframeKey

_LINE_WIDTH_M = 0.02


@dataclass(frozen=True, eq=False)
class GraphSnapshot:
    """The pose graph at one moment; N keyframes.

    Attributes:
        keys: session and id of each, in the order they came.
        stamps_ns: (N,) int64.
        T_map_camera: (N, 4, 4) optical frames in the map.
        odometry: pairs of rows tied by odometry.
        closures: (M, 2) pairs of rows tied by a loop closure, from match to query.
        weights: (M,) float32, how far each closure is believed: 1 as measured, 0 taken out.
        rejected: pairs of rows whose verification failed.
        is_tied: (N,) which hang together with the map; None: all do.
        columns: all of the graph, for those who want it as g2o; None: nobody does.
    """

    keys: list[KeyframeKey]
    stamps_ns: NDArray[np.int64]
    T_map_camera: NDArray[np.float64]
    odometry: NDArray[np.intp]
    closures: NDArray[np.intp]
    weights: NDArray[np.float32]
    rejected: NDArray[np.intp]
    is_tied: NDArray[np.bool_] | None = None
    columns: GraphColumns | None = None

    @cached_property
    def g2o(self) -> G2oGraph | None:
        """The whole graph, or None when it is empty; built when it is first asked for."""
        return None if self.columns is None else self.columns.g2o()


EMPTY = GraphSnapshot(
    [],
    np.zeros(0, np.int64),
    np.zeros((0, 4, 4)),
    np.zeros((0, 2), np.intp),
    np.zeros((0, 2), np.intp),
    np.zeros(0, np.float32),
    np.zeros((0, 2), np.intp),
)


def take_snapshot(
    graph: GraphColumns, rejected: Sequence[tuple[KeyframeKey, KeyframeKey]]
) -> GraphSnapshot:
    """Return what a graph, of at least one keyframe, is at this moment.

    Args:
        graph: solved.
        rejected: pairs whose verification failed.
    """
    keys = [KeyframeKey(session, number) for session, number in graph.keys.tolist()]
    return GraphSnapshot(
        keys,
        graph.stamps_ns,
        graph.T_map_camera,
        graph.edges[: graph.num_odometry].astype(np.intp),
        graph.closures.astype(np.intp),
        graph.weights,
        row_pairs(keys, rejected),
        graph.is_tied,
        graph,
    )


def row_pairs(
    keys: Sequence[KeyframeKey], pairs: Sequence[tuple[KeyframeKey, KeyframeKey]]
) -> NDArray[np.intp]:
    """Return (M, 2) rows of pairs of keyframes; pairs with an unknown keyframe are left out."""
    row = {key: i for i, key in enumerate(keys)}
    known = [(row[i], row[j]) for i, j in pairs if i in row and j in row]
    return np.array(known, dtype=np.intp).reshape(-1, 2)


def path_message(snapshot: GraphSnapshot, map_frame: str) -> Path:
    """Build the corrected path of the optical frame, by time of the keyframes."""
    path = Path(header=make_header(_newest_ns(snapshot), map_frame))
    poses = pose_messages(snapshot.T_map_camera)
    path.poses = [
        PoseStamped(header=make_header(int(snapshot.stamps_ns[i]), map_frame), pose=poses[i])
        for i in np.argsort(snapshot.stamps_ns, kind='stable')
    ]
    return path


def marker_message(snapshot: GraphSnapshot, map_frame: str) -> MarkerArray:
    """Build four line lists: odometry, loops in and taken out of the graph, and rejected ones."""
    is_in = snapshot.weights > 0
    points = [Point(x=x, y=y, z=z) for x, y, z in snapshot.T_map_camera[:, :3, 3].tolist()]
    kinds = (
        ('odometry', snapshot.odometry, ColorRGBA(r=0.6, g=0.6, b=0.65, a=1.0)),
        ('closures', snapshot.closures[is_in], ColorRGBA(r=0.1, g=0.75, b=0.25, a=1.0)),
        ('rejected', snapshot.rejected, ColorRGBA(r=0.9, g=0.2, b=0.15, a=0.35)),
        ('taken_out', snapshot.closures[~is_in], ColorRGBA(r=0.95, g=0.6, b=0.05, a=0.8)),
    )
    array = MarkerArray()
    for number, (name, pairs, colour) in enumerate(kinds):
        marker = Marker(header=make_header(_newest_ns(snapshot), map_frame), ns=name, id=number)
        marker.type = Marker.LINE_LIST
        # A line list without points is an error in RViz.
        marker.action = Marker.ADD if len(pairs) else Marker.DELETE
        marker.pose.orientation.w = 1.0
        marker.scale.x = _LINE_WIDTH_M
        marker.color = colour
        marker.points = [points[i] for i in pairs.reshape(-1)]
        array.markers.append(marker)
    return array


def keyframe_poses_message(snapshot: GraphSnapshot, map_frame: str) -> msg.KeyframePoses:
    """Build the corrected poses of the keyframes, with the weight of each closure.

    Those that nothing ties to the map yet are left out: their poses are in a frame of their own.
    """
    message = msg.KeyframePoses(header=make_header(_newest_ns(snapshot), map_frame))
    N = len(snapshot.keys)
    rows = range(N) if snapshot.is_tied is None else np.flatnonzero(snapshot.is_tied).tolist()
    message.sessions = [snapshot.keys[row].session for row in rows]
    message.keyframe_ids = [snapshot.keys[row].keyframe_id for row in rows]
    message.t_map_camera = pose_messages(snapshot.T_map_camera[list(rows)])
    ends = [(snapshot.keys[i], snapshot.keys[j]) for i, j in snapshot.closures.tolist()]
    message.closure_match_sessions = [match.session for match, _ in ends]
    message.closure_match_ids = [match.keyframe_id for match, _ in ends]
    message.closure_query_sessions = [query.session for _, query in ends]
    message.closure_query_ids = [query.keyframe_id for _, query in ends]
    message.closure_weights = snapshot.weights.tolist()
    return message


def fill_pose_graph(response: Any, snapshot: GraphSnapshot, map_frame: str) -> Any:
    """Fill a GetPoseGraph response."""
    response.header = make_header(_newest_ns(snapshot), map_frame)
    response.sessions = [key.session for key in snapshot.keys]
    response.keyframe_ids = [key.keyframe_id for key in snapshot.keys]
    response.stamps = [stamp_from_ns(stamp) for stamp in snapshot.stamps_ns.tolist()]
    response.t_map_camera = pose_messages(snapshot.T_map_camera)
    response.g2o = '' if snapshot.g2o is None else g2o_text(snapshot.g2o)
    return response


def pose_messages(poses: NDArray[np.float64]) -> list[PoseMessage]:
    """Build a geometry_msgs/Pose of each pose (N, 4, 4)."""
    if len(poses) == 0:
        return []
    messages = []
    for (x, y, z), (qx, qy, qz, qw) in zip(
        poses[:, :3, 3].tolist(), se3.quat_xyzw(poses).tolist(), strict=True
    ):
        message = PoseMessage()
        p, q = message.position, message.orientation
        p.x, p.y, p.z = x, y, z
        q.x, q.y, q.z, q.w = qx, qy, qz, qw
        messages.append(message)
    return messages


def _newest_ns(snapshot: GraphSnapshot) -> int:
    return int(snapshot.stamps_ns.max()) if len(snapshot.stamps_ns) else 0
