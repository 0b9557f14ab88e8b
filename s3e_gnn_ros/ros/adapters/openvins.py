"""OpenVINS, by the topics it has for loop closing.

``loop_pose`` is T_global_imu of **every** image, so keyframes are chosen by motion;
``loop_feats`` has VINS's layout; ``loop_extrinsic`` is T_imu_camera. Three things differ:
``loop_intrinsics`` carries no image size, and is that of the halved image where the estimator
downsamples, as are the pixels of ``loop_feats``; a track that is not seen any more has pixel
(0, 0); stamps have gone through a double.

``loop_depth`` (input ``sparse_depth``) is no depth image to align: only the tracks have a value.
It stands in for ``loop_feats`` where nobody publishes those, and ``node.use_depth`` is off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import camera_from_message, depth_from_message, stamp_ns
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.adapters.host_points import HostCloud
from s3e_gnn_ros.ros.adapters.keyframe_joiner import JoinedKeyframe
from s3e_gnn_ros.ros.adapters.vins import POINTS, VinsHost, vins_keyframe
from s3e_gnn_ros.ros.frame_joiner import HostPoints, Picture, PosedFrame
from s3e_gnn_ros.ros.inputs import Inputs

INTRINSICS = 'intrinsics'
SPARSE_DEPTH = 'sparse_depth'
_HALVED_CENTRE = 0.35
"""A principal point within this share of width and height is that of a halved image: about 1/4."""


def loop_camera(message: Any, width: int, height: int) -> tuple[PinholeCamera, int]:
    """Complete OpenVINS's intrinsics.

    Args:
        message: sensor_msgs/CameraInfo without a size.
        width: of the image as the camera sends it [px].
        height: of the same [px].

    Returns:
        The camera of that image, and by how much the pixels of ``loop_feats`` must grow for it.

    Raises:
        DropError: ``camera_info``, when no camera is like that.
    """
    k = np.array(message.k, dtype=np.float64).reshape(3, 3)
    is_halved = k[0, 2] < _HALVED_CENTRE * width and k[1, 2] < _HALVED_CENTRE * height
    factor = 2 if is_halved else 1
    k[:2] *= factor
    sized = SimpleNamespace(
        width=width,
        height=height,
        k=k.reshape(9),
        d=message.d,
        distortion_model=message.distortion_model,
    )
    return camera_from_message(sized), factor


def tracked_now(cloud: HostCloud) -> HostCloud:
    """Leave out the tracks that this image does not see: their pixel is (0, 0)."""
    return cloud.kept(np.any(cloud.points_px != 0, axis=1))


def points_from_sparse_depth(depth_m: NDArray[np.float32], camera: PinholeCamera) -> HostPoints:
    """Make keypoints of the pixels (H, W) that have a depth; they have no track number.

    OpenVINS cuts the fraction off a track's pixel, hence the half added here.
    """
    rows, columns = np.nonzero(depth_m)
    points_px = (np.column_stack([columns, rows]) + 0.5).astype(np.float32)
    z = depth_m[rows, columns].astype(np.float64)[:, None]
    landmarks = np.column_stack([camera.normalise(points_px) * z, z])
    return HostPoints(points_px, landmarks, np.full(len(points_px), -1, dtype=np.int64))


class OpenVinsHost(VinsHost):
    """As :class:`VinsHost`, for every image, with the estimator's own intrinsics."""

    chooses_keyframes = False
    needs_camera_info = False
    part_topics = (POINTS, SPARSE_DEPTH)

    def __init__(
        self, node: Node, config: NodeConfig, inputs: Inputs, on_message: Callable[[], None]
    ) -> None:
        super().__init__(node, config, inputs, on_message)
        self._intrinsics: CameraInfo | None = None
        self._size = (0, 0)
        self._scale = 1
        inputs.subscribe(
            CameraInfo, INTRINSICS, self._take_intrinsics, is_timed=False, is_optional=True
        )
        self._has_sparse_depth = not config.use_depth
        if self._has_sparse_depth:
            inputs.subscribe(Image, SPARSE_DEPTH, self._take_depth, is_optional=True)

    def add_picture(self, picture: Picture) -> None:
        """Let a picture wait for its pose."""
        self._size = picture.image.shape[1], picture.image.shape[0]
        super().add_picture(picture)

    def ready(self, camera: PinholeCamera | None) -> Iterator[PosedFrame]:
        """Yield the frames that are complete by now, in order of stamps.

        Args:
            camera: by camera_info, used until the estimator's own intrinsics have come.
        """
        if self._intrinsics is not None and all(self._size):
            camera, self._scale = loop_camera(self._intrinsics, *self._size)
        yield from super().ready(camera)

    def _parts_to_come(self) -> list[str]:
        topics = [POINTS, *([SPARSE_DEPTH] if self._has_sparse_depth else [])]
        return [topic for topic in topics if self._inputs.has_publisher(topic)][:1]

    def _frame(
        self, joined: JoinedKeyframe, camera: PinholeCamera, T_body_camera: Pose
    ) -> PosedFrame:
        cloud = joined.parts.get(POINTS)
        if cloud is not None:
            cloud = tracked_now(cloud).scaled(self._scale)
        posed = vins_keyframe(joined, camera, T_body_camera, cloud, self._config.odom_frame)
        depth_m = joined.parts.get(SPARSE_DEPTH)
        if cloud is not None or depth_m is None:
            return posed
        return replace(posed, points=points_from_sparse_depth(depth_m, camera))

    def _take_intrinsics(self, message: CameraInfo) -> None:
        self._intrinsics = message
        self._on_message()

    def _take_depth(self, message: Image) -> None:
        depth_m = depth_from_message(message, max_pixels=self._config.max_image_pixels)
        self._joiner.add_part(SPARSE_DEPTH, stamp_ns(message.header.stamp), depth_m)
        self._on_message()
