"""Keypoints as VINS lays them out, which OpenVINS and others have taken over.

A sensor_msgs/PointCloud whose ``points`` are landmarks in the odometry frame [m], and which has
one channel **per point**: x and y on the plane z = 1, u and v [px], track number. A sixth value,
where there is one, is the measured depth [mm], as VINS-RGBD's feature tracker has it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.frame_joiner import HostPoints

MAX_EXACT_ID = 2**24 - 1
"""Above it a float32 stands for several numbers: VINS gets there in a day or so."""
_NUM_VALUES = 5
_DEPTH_VALUE = 5
_M_PER_MM = 0.001


@dataclass(frozen=True, eq=False)
class HostCloud:
    """N keypoints with landmarks, as a message gave them.

    Attributes:
        points_px: (N, 2) float32 pixels in the image as it came, distorted.
        landmarks_odom: (N, 3) float64 in the odometry frame [m]; NaN where unknown.
        feature_ids: (N,) int64 track numbers; -1 where the number is not exact any more.
        depths_m: (N,) float64 measured along the optical axis; NaN where there is none.
    """

    points_px: NDArray[np.float32]
    landmarks_odom: NDArray[np.float64]
    feature_ids: NDArray[np.int64]
    depths_m: NDArray[np.float64]

    @property
    def num_inexact_ids(self) -> int:
        """How many track numbers got lost in a float32."""
        return int((self.feature_ids < 0).sum())

    def kept(self, mask: NDArray[np.bool_]) -> HostCloud:
        """Return the points of a mask (N,)."""
        return HostCloud(
            self.points_px[mask],
            self.landmarks_odom[mask],
            self.feature_ids[mask],
            self.depths_m[mask],
        )

    def scaled(self, factor: float) -> HostCloud:
        """Return the same points in an image that is larger by a factor."""
        return dataclasses.replace(self, points_px=self.points_px * np.float32(factor))

    def in_camera(self, camera: PinholeCamera, T_odom_camera: Pose) -> HostPoints:
        """Move the landmarks into the camera's frame; points outside the image are left out.

        A measured depth counts more than the landmark. The values x and y on the plane z = 1 are
        not used at all, as OpenVINS leaves them zero: pixel and camera say the same.

        Args:
            camera: intrinsics.
            T_odom_camera: pose (4, 4) of the camera when it saw the points.
        """
        size = np.array((camera.width, camera.height))
        is_inside = np.all((self.points_px >= 0) & (self.points_px <= size - 1), axis=1)
        seen = self.kept(is_inside)
        landmarks = se3.transform_points(se3.inverse(T_odom_camera), seen.landmarks_odom)
        has_depth = seen.depths_m > 0
        rays = camera.normalise(seen.points_px[has_depth])
        z = seen.depths_m[has_depth, None]
        landmarks[has_depth] = np.column_stack([rays * z, z])
        with np.errstate(invalid='ignore'):
            landmarks[~(landmarks[:, 2] > 0)] = np.nan  # nothing is seen behind the camera
        return HostPoints(seen.points_px, landmarks, seen.feature_ids)


def cloud_from_message(message: Any) -> HostCloud:
    """Read a message of the layout above.

    Raises:
        DropError: ``keyframe_points``, when a channel is missing or short, or a pixel not finite.
    """
    N = len(message.points)
    lengths = {len(channel.values) for channel in message.channels}
    if len(message.channels) != N or any(length < _NUM_VALUES for length in lengths):
        raise DropError(
            'keyframe_points',
            f'{N} points come with {len(message.channels)} channels of {sorted(lengths)} values '
            f'instead of one channel of {_NUM_VALUES} per point',
        )
    values = np.array([channel.values[:_NUM_VALUES] for channel in message.channels], np.float64)
    values = values.reshape(N, _NUM_VALUES)
    if not np.isfinite(values[:, 2:4]).all():
        raise DropError('keyframe_points', 'the pixel of a keypoint is not finite')
    landmarks = np.array([(p.x, p.y, p.z) for p in message.points], dtype=np.float64)
    landmarks = landmarks.reshape(N, 3)
    landmarks[~np.isfinite(landmarks).all(axis=1)] = np.nan
    return HostCloud(
        points_px=values[:, 2:4].astype(np.float32),
        landmarks_odom=landmarks,
        feature_ids=_exact_ids(values[:, 4]),
        depths_m=_depths_m(message),
    )


def _exact_ids(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the numbers, -1 for those that a float32 cannot tell from their neighbours."""
    with np.errstate(invalid='ignore'):
        is_exact = (values >= 0) & (values <= MAX_EXACT_ID) & (values == np.floor(values))
    return np.where(is_exact, values, -1).astype(np.int64)


def _depths_m(message: Any) -> NDArray[np.float64]:
    """Return the sixth value of each point in metres, NaN where it is missing or not positive."""
    depths = [
        channel.values[_DEPTH_VALUE] if len(channel.values) > _DEPTH_VALUE else np.nan
        for channel in message.channels
    ]
    depths_m = np.array(depths, dtype=np.float64) * _M_PER_MM
    with np.errstate(invalid='ignore'):
        depths_m[~(np.isfinite(depths_m) & (depths_m > 0))] = np.nan
    return depths_m
