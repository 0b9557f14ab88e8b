"""Keyframes that the front end chose: its pose, its keypoints and the image of the same stamp."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.frame_joiner import HostPoints, Picture

_MAX_NEWER_POSES = 2
"""A keyframe whose keypoints have not come when this many newer ones have, goes without."""
_VALUES_PER_POINT = 5


@dataclass(frozen=True, eq=False)
class HostKeyframe:
    """One keyframe of the front end.

    Attributes:
        picture: its image and depth.
        T_odom_body: pose (4, 4) as the front end gave it.
        odom_frame: frame of the pose.
        points: its keypoints, or None.
    """

    picture: Picture
    T_odom_body: Pose
    odom_frame: str
    points: HostPoints | None


def points_from_message(message: Any) -> HostPoints:
    """Convert VINS-Mono's keypoints, one channel [x_norm, y_norm, u, v, id] per point.

    Args:
        message: sensor_msgs/PointCloud; ``points`` are the landmarks in the odometry frame.

    Raises:
        DropError: ``keyframe_points``, when a channel is missing or short, or a pixel not finite.
    """
    N = len(message.points)
    if len(message.channels) != N or any(
        len(channel.values) < _VALUES_PER_POINT for channel in message.channels
    ):
        lengths = sorted({len(channel.values) for channel in message.channels})
        raise DropError(
            'keyframe_points',
            f'{N} points come with {len(message.channels)} channels of {lengths} values instead '
            f'of one channel of {_VALUES_PER_POINT} per point',
        )
    values = np.array([channel.values[:_VALUES_PER_POINT] for channel in message.channels])
    values = values.reshape(N, _VALUES_PER_POINT)
    if not np.isfinite(values).all():
        raise DropError('keyframe_points', 'a keypoint is not finite')
    landmarks = np.array([(p.x, p.y, p.z) for p in message.points], dtype=np.float64)
    return HostPoints(
        points_px=values[:, 2:4].astype(np.float32),
        landmarks_odom=landmarks.reshape(N, 3),
        feature_ids=values[:, 4].astype(np.int64),
    )


class HostKeyframeJoiner:
    """Joins pose, keypoints and picture by exactly equal stamps, as VINS's own loop node does.

    Args:
        capacity: pictures remembered; the pose comes about two frames after its image.
        on_drop: called with the reason and a sentence for every keyframe given up.
    """

    def __init__(self, capacity: int, on_drop: Callable[[str, str], None]) -> None:
        self._capacity = capacity
        self._on_drop = on_drop
        self._pictures: dict[int, Picture] = {}
        self._points: dict[int, HostPoints] = {}
        self._poses: deque[tuple[int, Pose, str]] = deque()
        self._consumed_ns: int | None = None

    def clear(self) -> None:
        """Forget everything."""
        self._pictures.clear()
        self._points.clear()
        self._poses.clear()
        self._consumed_ns = None

    def add_picture(self, picture: Picture) -> None:
        """Remember a picture, until a keyframe as new as it has been dealt with."""
        if self._is_new(picture.stamp_ns):
            self._pictures[picture.stamp_ns] = picture
            _forget_oldest(self._pictures, self._capacity)

    def add_points(self, stamp_ns: int, points: HostPoints) -> None:
        """Remember the keypoints of a stamp, as long as its picture."""
        if self._is_new(stamp_ns):
            self._points[stamp_ns] = points
            _forget_oldest(self._points, self._capacity)

    def add_pose(self, stamp_ns: int, T_odom_body: Pose, odom_frame: str) -> None:
        """Queue a keyframe; stamps increase. A queue that nobody empties loses its oldest."""
        if len(self._poses) > self._capacity:
            oldest_ns = self._poses.popleft()[0]
            self._forget(oldest_ns)
            self._on_drop(
                'no_partner', f'no camera_info has come for the keyframe pose at {oldest_ns} ns'
            )
        self._poses.append((stamp_ns, T_odom_body, odom_frame))

    def ready(self, *, wait_for_points: bool) -> Iterator[HostKeyframe]:
        """Yield the keyframes that are complete by now, in order.

        Args:
            wait_for_points: whether anyone publishes keypoints.
        """
        while self._poses:
            stamp_ns, T_odom_body, odom_frame = self._poses[0]
            picture = self._pictures.get(stamp_ns)
            if picture is None:
                if not self._is_past(stamp_ns):
                    return
                self._poses.popleft()
                self._forget(stamp_ns)
                self._on_drop(
                    'no_image', f'no image has the stamp {stamp_ns} ns of a keyframe pose'
                )
                continue
            points = self._points.get(stamp_ns)
            if points is None and wait_for_points and len(self._poses) <= _MAX_NEWER_POSES:
                return
            self._poses.popleft()
            self._forget(stamp_ns)
            yield HostKeyframe(picture, T_odom_body, odom_frame, points)

    def _is_new(self, stamp_ns: int) -> bool:
        return self._consumed_ns is None or stamp_ns > self._consumed_ns

    def _forget(self, stamp_ns: int) -> None:
        """Forget pictures and keypoints up to a keyframe's: poses come in order of stamps."""
        self._consumed_ns = stamp_ns
        for items in (self._pictures, self._points):
            for old_ns in [ns for ns in items if ns <= stamp_ns]:
                del items[old_ns]

    def _is_past(self, stamp_ns: int) -> bool:
        """Whether the image of a stamp can no longer come."""
        is_overdue = bool(self._pictures) and max(self._pictures) > stamp_ns
        return is_overdue or len(self._poses) > self._capacity


def _forget_oldest(items: dict[int, Any], capacity: int) -> None:
    while len(items) > capacity:
        del items[min(items)]
