"""Poses of the keyframes in the map, also of those the back end has not corrected yet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.types import KeyframeKey


class MapPoses:
    """What the back end says, carried on by odometry where it has not spoken yet.

    Before it has said anything, the odometry of the first session is the map: that is where the
    back end anchors it.
    """

    def __init__(self) -> None:
        self._T_odom_camera: dict[KeyframeKey, Pose] = {}
        self._T_map_camera: dict[KeyframeKey, Pose] = {}
        self._T_map_odom: dict[int, Pose] = {}  # by session, at its newest corrected keyframe
        self._newest: dict[int, int] = {}  # by session, id of that keyframe
        self._first_session: int | None = None

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self._T_odom_camera)

    def add(self, key: KeyframeKey, T_odom_camera: Pose) -> None:
        """Add a keyframe by its odometry (4, 4)."""
        self._T_odom_camera[key] = T_odom_camera
        if self._first_session is None:
            self._first_session = key.session

    def remove(self, key: KeyframeKey) -> None:
        """Forget a keyframe."""
        self._T_odom_camera.pop(key, None)
        self._T_map_camera.pop(key, None)
        if self._newest.get(key.session) == key.keyframe_id:
            del self._newest[key.session]  # the next correction is that of another

    def set_poses(self, keys: Sequence[KeyframeKey], T_map_camera: NDArray[np.float64]) -> None:
        """Take corrected poses (N, 4, 4); rows that are not finite say nothing.

        Keyframes that are not here are passed over.
        """
        newest: dict[int, KeyframeKey] = {}
        for key, pose in zip(keys, T_map_camera, strict=True):
            if key not in self._T_odom_camera or not np.isfinite(pose).all():
                continue
            self._T_map_camera[key] = pose
            if key.keyframe_id >= self._newest.get(key.session, -1):
                self._newest[key.session] = key.keyframe_id
                newest[key.session] = key
        for session, key in newest.items():
            T_camera_odom = se3.inverse(self._T_odom_camera[key])
            self._T_map_odom[session] = self._T_map_camera[key] @ T_camera_odom

    def pose(self, key: KeyframeKey) -> Pose | None:
        """Return T_map_camera (4, 4) of a keyframe; None where nothing ties it to the map."""
        if key in self._T_map_camera:
            return self._T_map_camera[key]
        T_odom_camera = self._T_odom_camera.get(key)
        if T_odom_camera is None:
            return None
        if key.session in self._T_map_odom:
            return np.asarray(self._T_map_odom[key.session] @ T_odom_camera)
        is_map = not self._T_map_odom and key.session == self._first_session
        return T_odom_camera if is_map else None

    def odometry(self, keys: Sequence[KeyframeKey]) -> NDArray[np.float64]:
        """Return T_odom_camera (N, 4, 4) of keyframes that are here."""
        return np.array([self._T_odom_camera[key] for key in keys]).reshape(-1, 4, 4)

    def table(self, keys: Sequence[KeyframeKey]) -> NDArray[np.float64]:
        """Return T_map_camera (N, 4, 4) of keyframes; NaN where nothing ties one to the map."""
        poses = np.full((len(keys), 4, 4), np.nan)
        for row, key in enumerate(keys):
            pose = self.pose(key)
            if pose is not None:
                poses[row] = pose
        return poses

    def comparable(
        self, keys: Sequence[KeyframeKey]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return poses (N, 4, 4) of keyframes that are here, and the frame of each (N,).

        Frame 0 is the map. A session that nothing ties to it has its odometry, a frame of its own.
        """
        poses = self.table(keys)
        frames = np.zeros(len(keys), dtype=np.int64)
        for row in np.flatnonzero(np.isnan(poses[:, 0, 0])).tolist():
            poses[row] = self._T_odom_camera[keys[row]]
            frames[row] = keys[row].session
        return poses, frames
