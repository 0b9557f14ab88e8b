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

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.g2o import G2oGraph, g2o_text
from s3e_gnn_ros.pose_graph.graph import Edge
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
        closures: pairs of rows tied by a loop closure.
        rejected: pairs of rows whose verification failed.
        edges: the constraints themselves, those of odometry first.
    """

    keys: list[KeyframeKey]
    stamps_ns: NDArray[np.int64]
    T_map_camera: NDArray[np.float64]
    odometry: NDArray[np.intp]
    closures: NDArray[np.intp]
    rejected: NDArray[np.intp]
    edges: Sequence[Edge]

    @cached_property
    def g2o(self) -> G2oGraph | None:
        """The whole graph, or None when it is empty; built when it is first asked for."""
        if not self.keys:
            return None
        covariances = np.array([edge.covariance for edge in self.edges]).reshape(-1, 6, 6)
        return G2oGraph(
            ids=np.arange(len(self.keys)),
            poses=self.T_map_camera,
            edge_ids=np.concatenate([self.odometry, self.closures]).astype(np.int64),
            edge_poses=np.array([edge.T_i_j for edge in self.edges]).reshape(-1, 4, 4),
            information=np.linalg.inv(covariances),
        )


EMPTY = GraphSnapshot(
    [],
    np.zeros(0, np.int64),
    np.zeros((0, 4, 4)),
    np.zeros((0, 2), np.intp),
    np.zeros((0, 2), np.intp),
    np.zeros((0, 2), np.intp),
    (),
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
    """Build three line lists: odometry grey, accepted loops green, rejected ones red."""
    points = [Point(x=x, y=y, z=z) for x, y, z in snapshot.T_map_camera[:, :3, 3].tolist()]
    kinds = (
        ('odometry', snapshot.odometry, ColorRGBA(r=0.6, g=0.6, b=0.65, a=1.0)),
        ('closures', snapshot.closures, ColorRGBA(r=0.1, g=0.75, b=0.25, a=1.0)),
        ('rejected', snapshot.rejected, ColorRGBA(r=0.9, g=0.2, b=0.15, a=0.35)),
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
