"""Stored maps as messages, for back ends that ask what there is."""

from __future__ import annotations

import copy

from geometry_msgs.msg import Pose

from s3e_gnn_ros import msg
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.records import MapRows
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.loop_messages import closure_to_message
from s3e_gnn_ros.ros.open_maps import LoadedMap
from s3e_gnn_ros.types import KeyframeKey


def loaded_messages(loaded: LoadedMap) -> tuple[list[msg.KeyFrame], list[msg.LoopClosure]]:
    """Return the keyframes without images and features, in order of addition, and the closures.

    Cameras are those of the first keyframe of each session.
    """
    rows = loaded.rows
    quats, places = se3.quat_xyzw(rows.T_odom_camera).tolist(), rows.T_odom_camera[:, :3, 3]
    templates: dict[int, msg.KeyFrame] = {}
    keyframes = []
    for row, (key, quat, place) in enumerate(zip(rows.keys, quats, places.tolist(), strict=True)):
        if key.session not in templates:
            templates[key.session] = _template(loaded, row)
        keyframes.append(_summary(templates[key.session], rows, row, place, quat))
    frames = dict(zip(rows.keys, rows.camera_frames, strict=True))
    closures = [
        closure_to_message(
            closure, frames.get(KeyframeKey(closure.match_session, closure.match_id), '')
        )
        for closure in loaded.closures
    ]
    return keyframes, closures


def _template(loaded: LoadedMap, row: int) -> msg.KeyFrame:
    """Return what the keyframes of a session share."""
    rows = loaded.rows
    key = rows.keys[row]
    header = conv.make_header(int(rows.stamps_ns[row]), rows.camera_frames[row])
    return msg.KeyFrame(
        session=key.session,
        robot_id=rows.robot_ids[row],
        camera_info=conv.camera_to_message(loaded.store.view(key).camera, header),
    )


def _summary(
    template: msg.KeyFrame, rows: MapRows, row: int, place: list[float], quat: list[float]
) -> msg.KeyFrame:
    # A copy shares the empty images and arrays: new ones would take most of the time.
    message = copy.copy(template)
    message.header = conv.make_header(int(rows.stamps_ns[row]), rows.odom_frames[row])
    message.keyframe_id = rows.keys[row].keyframe_id
    message.camera_frame = rows.camera_frames[row]
    pose = Pose()
    pose.position.x, pose.position.y, pose.position.z = place
    q = pose.orientation
    q.x, q.y, q.z, q.w = quat
    message.t_odom_camera = pose
    return message
