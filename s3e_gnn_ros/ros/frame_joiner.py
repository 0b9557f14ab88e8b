"""Gives each frame its camera and its pose, whichever of the three comes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.messages import check_frame
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.odometry_buffer import Lookup, OdometryBuffer
from s3e_gnn_ros.types import Frame


@dataclass(frozen=True, eq=False)
class Picture:
    """What one instant of the camera gave.

    Attributes:
        stamp_ns: of the image.
        image: (H, W) grey or (H, W, 3) BGR, uint8.
        depth_m: (H, W) float32 [m], 0 unknown; or None.
        camera_frame: optical frame.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None
    camera_frame: str


@dataclass(frozen=True, eq=False)
class HostPoints:
    """N keypoints of the front end.

    Attributes:
        points_px: (N, 2) float32 pixels in the image as it came.
        landmarks_m: (N, 3) float64 in the camera's optical frame [m]; NaN where unknown.
        feature_ids: (N,) int64 track numbers; -1 where unknown.
    """

    points_px: NDArray[np.float32]
    landmarks_m: NDArray[np.float64]
    feature_ids: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PosedFrame:
    """A complete frame with what only messages know of it.

    Attributes:
        frame: image, camera and pose.
        odom_frame: name of the odometry frame.
        camera_frame: name of the optical frame.
        points: keypoints of the front end, or None.
    """

    frame: Frame
    odom_frame: str
    camera_frame: str
    points: HostPoints | None = None


class FrameJoiner:
    """Holds pictures, in order of their stamps, until odometry reaches past them.

    Args:
        odometry: filled by the caller.
        capacity: pictures that may wait; the oldest is dropped from a full queue.
        on_drop: called with the reason and a sentence for every picture given up.
    """

    def __init__(
        self, odometry: OdometryBuffer, capacity: int, on_drop: Callable[[str, str], None]
    ) -> None:
        self._odometry = odometry
        self._capacity = capacity
        self._on_drop = on_drop
        self._waiting: deque[Picture] = deque()

    def __len__(self) -> int:
        """Return the number of pictures waiting."""
        return len(self._waiting)

    @property
    def first(self) -> Picture | None:
        """The picture that has waited longest, or None."""
        return self._waiting[0] if self._waiting else None

    def clear(self) -> None:
        """Forget every waiting picture."""
        self._waiting.clear()

    def add(self, picture: Picture) -> None:
        """Queue a picture; its stamp follows that of the picture before."""
        if len(self._waiting) >= self._capacity:
            oldest = self._waiting.popleft()
            self._on_drop(
                'no_partner',
                f'no odometry or camera_info has come for the image at {oldest.stamp_ns} ns',
            )
        self._waiting.append(picture)

    def ready(
        self, camera: PinholeCamera, T_body_camera: Pose, odom_frame: str
    ) -> Iterator[PosedFrame]:
        """Yield the frames that are complete by now, in order.

        Args:
            camera: intrinsics.
            T_body_camera: camera in the frame whose pose odometry gives.
            odom_frame: name of the odometry frame.
        """
        while self._waiting:
            picture = self._waiting[0]
            pose = self._odometry.at(picture.stamp_ns, T_body_camera)
            if pose is Lookup.TOO_EARLY_TO_TELL:
                return
            self._waiting.popleft()
            if isinstance(pose, Lookup):
                self._on_drop('no_odometry', f'image at {picture.stamp_ns} ns: {pose.value}')
                continue
            frame = self._frame(picture, camera, pose)
            if frame is not None:
                yield PosedFrame(frame, odom_frame, picture.camera_frame)

    def _frame(self, picture: Picture, camera: PinholeCamera, T_odom_camera: Pose) -> Frame | None:
        try:
            check_frame(picture.image, camera, picture.depth_m)
        except DropError as err:
            self._on_drop(err.reason, str(err))
            return None
        return Frame(picture.stamp_ns, picture.image, camera, picture.depth_m, T_odom_camera)
