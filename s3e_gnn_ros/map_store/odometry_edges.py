"""The front end's motion between successive keyframes, as edges of a map."""

from __future__ import annotations

from collections.abc import Container

from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.map_store.records import EdgeKind, StoredEdge, StoredKeyframe
from s3e_gnn_ros.pose_graph.continuity import is_plausible_step
from s3e_gnn_ros.types import KeyframeKey


class OdometryEdges:
    """Ties each keyframe to the one before it in its session, where odometry went on."""

    def __init__(self) -> None:
        self._last: dict[int, StoredKeyframe] = {}

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
            self._last[keyframe.key.session] = keyframe
        if before is None or before.key not in stored or not _goes_on(before, keyframe):
            return ()
        T_i_j = inverse(before.T_odom_camera) @ keyframe.T_odom_camera
        return (StoredEdge(EdgeKind.ODOMETRY, before.key, keyframe.key, T_i_j),)


def _goes_on(before: StoredKeyframe, after: StoredKeyframe) -> bool:
    elapsed_s = (after.stamp_ns - before.stamp_ns) / 1e9
    return (
        elapsed_s > 0
        and before.odom_frame == after.odom_frame
        and is_plausible_step(elapsed_s, before.T_odom_camera, after.T_odom_camera)
    )
