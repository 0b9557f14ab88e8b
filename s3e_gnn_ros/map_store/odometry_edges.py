"""The front end's motion between successive keyframes, as edges of a map."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from s3e_gnn_ros.geometry.se3 import Pose, inverse
from s3e_gnn_ros.map_store.records import EdgeKind, StoredEdge, StoredKeyframe
from s3e_gnn_ros.pose_graph.continuity import MAX_SPEED_M_PER_S, is_plausible_step
from s3e_gnn_ros.types import KeyframeKey


class _Place(NamedTuple):
    key: KeyframeKey
    stamp_ns: int
    odom_frame: str
    T_odom_camera: Pose


class OdometryEdges:
    """Ties each keyframe to the one before it in its session, where odometry went on.

    Args:
        max_speed_m_per_s: nothing moves faster [m/s].
    """

    def __init__(self, max_speed_m_per_s: float = MAX_SPEED_M_PER_S) -> None:
        self._max_speed_m_per_s = max_speed_m_per_s
        # By session. Without what is large: there is a new session whenever odometry begins anew.
        self._last: dict[int, _Place] = {}

    def edge_to(
        self, keyframe: StoredKeyframe, stored: Container[KeyframeKey]
    ) -> tuple[StoredEdge, ...]:
        """Return the edge that leads to a keyframe; none for the first, or after a jump.

        Args:
            keyframe: about to be written.
            stored: keyframes that the map holds by now.
        """
        before = self._last.get(keyframe.key.session)
        if before is None or before.stamp_ns < keyframe.stamp_ns:
            self._last[keyframe.key.session] = _Place(
                keyframe.key, keyframe.stamp_ns, keyframe.odom_frame, keyframe.T_odom_camera
            )
        if before is None or before.key not in stored or not self._goes_on(before, keyframe):
            return ()
        T_i_j = inverse(before.T_odom_camera) @ keyframe.T_odom_camera
        return (StoredEdge(EdgeKind.ODOMETRY, before.key, keyframe.key, T_i_j),)

    def _goes_on(self, before: _Place, after: StoredKeyframe) -> bool:
        elapsed_s = (after.stamp_ns - before.stamp_ns) / 1e9
        return (
            elapsed_s > 0
            and before.odom_frame == after.odom_frame
            and is_plausible_step(
                elapsed_s, before.T_odom_camera, after.T_odom_camera, self._max_speed_m_per_s
            )
        )
