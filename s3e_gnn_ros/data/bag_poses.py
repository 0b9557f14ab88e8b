"""Poses of the camera from a bag's odometry, ground truth and static transforms."""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from s3e_gnn_ros.data.bag_file import LoggedMessage, OpenBag
from s3e_gnn_ros.data.bag_topics import Topic
from s3e_gnn_ros.data.messages import Message, pose_from_message, stamp_ns
from s3e_gnn_ros.data.trajectory_file import PoseCollector, moved
from s3e_gnn_ros.errors import DropError, RecordingError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.trajectory import Trajectory

TF_STATIC = '/tf_static'


class StaticTransforms:
    """The tree of ``/tf_static``: fixed transforms between frames."""

    def __init__(self) -> None:
        """Start without a transform."""
        self._neighbours: dict[str, dict[str, se3.Pose]] = {}

    def add(self, frame_a: str, frame_b: str, T_a_b: se3.Pose) -> None:
        """Take the pose (4, 4) of one frame in another."""
        a, b = clean_frame(frame_a), clean_frame(frame_b)
        self._neighbours.setdefault(a, {})[b] = T_a_b
        self._neighbours.setdefault(b, {})[a] = se3.inverse(T_a_b)

    def find(self, frame_a: str, frame_b: str) -> se3.Pose | None:
        """Return T_a_b along the shortest chain of transforms, None without a chain."""
        start, goal = clean_frame(frame_a), clean_frame(frame_b)
        T_start = {start: np.eye(4)}
        waiting = deque([start])
        while waiting:
            frame = waiting.popleft()
            if frame == goal:
                return T_start[frame]
            for other, T in self._neighbours.get(frame, {}).items():
                if other not in T_start:
                    T_start[other] = T_start[frame] @ T
                    waiting.append(other)
        return None


def clean_frame(frame_id: str) -> str:
    """Return a frame's name without the slash that old recordings put before it."""
    return frame_id.lstrip('/')


def read_static_transforms(bag: OpenBag, drops: Counter[str]) -> StaticTransforms:
    """Read ``/tf_static``; transforms that are no poses are counted as ``tf_static``."""
    transforms = StaticTransforms()
    for logged in bag.messages([TF_STATIC]):
        try:
            for item in bag.decode(logged).transforms:
                T = pose_from_message(item.transform)
                transforms.add(item.header.frame_id, item.child_frame_id, T)
        except DropError:
            drops['tf_static'] += 1
    return transforms


def read_poses(bag: OpenBag, topic: Topic, reason: str, drops: Counter[str]) -> Trajectory:
    """Read all poses of a topic, at the stamps of their headers.

    Args:
        bag: an open bag.
        topic: of one of ``GROUND_TRUTH_TYPES``.
        reason: how poses are counted that are no poses.
        drops: the counter.

    Raises:
        RecordingError: there is no valid pose.
    """
    poses = PoseCollector(reason, drops)
    for logged in bag.messages([topic.name]):
        with poses.counting():
            message = bag.decode(logged)
            poses.add(stamp_ns(message.header.stamp), pose_from_message(_pose_of(message, logged)))
    trajectory = poses.trajectory()
    if trajectory is None:
        raise RecordingError(f'{topic.name} holds no valid pose among {topic.num_messages}')
    return trajectory


def camera_trajectory(
    trajectory: Trajectory,
    topic: Topic,
    camera_frame: str,
    transforms: StaticTransforms,
    T_body_camera: se3.Pose | None,
    notes: list[str],
) -> Trajectory:
    """Move poses of any frame on the robot to the optical frame of its camera.

    Poses of ``camera_frame`` itself stay. Else ``T_body_camera`` is taken where it is given,
    then ``/tf_static``, then, with a note, the poses are believed to be the camera's.
    """
    child = clean_frame(topic.child_frame_id)
    if child and child == clean_frame(camera_frame):
        return trajectory
    if T_body_camera is not None:
        return moved(trajectory, T_body_camera)
    found = transforms.find(child, camera_frame) if child else None
    if found is not None:
        notes.append(f"{topic.name} is of '{child}', moved to '{camera_frame}' by {TF_STATIC}")
        return moved(trajectory, found)
    of_what = f"is of '{child}'" if child else 'does not say which frame it is of'
    notes.append(
        f"{topic.name} {of_what}: taken for '{camera_frame}' because neither T_body_camera nor "
        f'{TF_STATIC} gives a transform'
    )
    return trajectory


def _pose_of(message: Message, logged: LoggedMessage) -> Message:
    if logged.msgtype.endswith('/TransformStamped'):
        return message.transform
    return message.pose if logged.msgtype.endswith('/PoseStamped') else message.pose.pose
