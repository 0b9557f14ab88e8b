"""What a map keeps of a keyframe that was just made."""

from __future__ import annotations

from s3e_gnn_ros.loop_closure.view import make_view
from s3e_gnn_ros.map_store.records import StoredKeyframe
from s3e_gnn_ros.map_store.thumbnail import make_thumbnail
from s3e_gnn_ros.types import Keyframe, KeyframeKey


def stored_keyframe(
    keyframe: Keyframe, odom_frame: str, camera_frame: str, thumbnail_width_px: int
) -> StoredKeyframe:
    """Keep of a keyframe what a map holds.

    Args:
        keyframe: as processed; one of another robot may have come without its image.
        odom_frame: frame of its pose.
        camera_frame: its optical frame.
        thumbnail_width_px: width of the picture.
    """
    image, encoding = keyframe.frame.image, keyframe.encoding
    return StoredKeyframe(
        key=KeyframeKey(keyframe.session, keyframe.keyframe_id),
        robot_id=keyframe.robot_id,
        stamp_ns=keyframe.stamp_ns,
        odom_frame=odom_frame,
        camera_frame=camera_frame,
        T_odom_camera=keyframe.T_odom_camera,
        T_map_camera=None,
        view=make_view(keyframe),
        embedding=None if encoding is None else encoding.embedding,
        thumbnail=make_thumbnail(image, thumbnail_width_px) if image.size else None,
    )
