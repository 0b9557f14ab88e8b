"""Frames and poses as ROS messages, built with rosbags: no ROS needed."""

from __future__ import annotations

import struct
from functools import cache
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose, quat_xyzw

Message: TypeAlias = Any
"""A message whose class rosbags generates at run time, with ROS's attribute names."""

JPEG_QUALITY = 95
MAX_DEPTH_MM = np.iinfo(np.uint16).max
# ConfigHeader of compressed_depth_image_transport: int32 format (1: as below), two float32
# parameters that only 32FC1 uses.
COMPRESSED_DEPTH_HEADER = struct.Struct('<iff')


@cache
def message_types() -> Typestore:
    """Return the message definitions; Humble's, which later distributions kept unchanged."""
    return get_typestore(Stores.ROS2_HUMBLE)


def make_message(name: str, **fields: Message) -> Message:
    """Build a message of a full type name such as ``sensor_msgs/msg/Image``."""
    return message_types().types[name](**fields)


def header_message(stamp_ns: int, frame_id: str) -> Message:
    """Build a std_msgs/Header."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = make_message('builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds)
    return make_message('std_msgs/msg/Header', stamp=stamp, frame_id=frame_id)


def image_message(
    header: Message, image: NDArray[np.uint8] | NDArray[np.uint16], encoding: str
) -> Message:
    """Build a raw sensor_msgs/Image of a little-endian array (H, W) or (H, W, 3)."""
    rows = np.ascontiguousarray(image)
    height, width = rows.shape[:2]
    return make_message(
        'sensor_msgs/msg/Image',
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=rows.nbytes // height,
        data=rows.view(np.uint8).reshape(-1),
    )


def jpeg_message(header: Message, image: NDArray[np.uint8], encoding: str) -> Message:
    """Build a jpeg sensor_msgs/CompressedImage as image_transport's ``compressed`` does."""
    _, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return make_message(
        'sensor_msgs/msg/CompressedImage',
        header=header,
        format=f'{encoding}; jpeg compressed {encoding}',
        data=data.reshape(-1),
    )


def compressed_depth_message(header: Message, depth_mm: NDArray[np.uint16]) -> Message:
    """Build a png sensor_msgs/CompressedImage as image_transport's ``compressedDepth`` does."""
    _, png = cv2.imencode('.png', depth_mm)
    prefix = np.frombuffer(COMPRESSED_DEPTH_HEADER.pack(1, 0.0, 0.0), np.uint8)
    return make_message(
        'sensor_msgs/msg/CompressedImage',
        header=header,
        format='16UC1; compressedDepth png',
        data=np.concatenate([prefix, png.reshape(-1)]),
    )


def depth_to_mm(depth_m: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Round depth (H, W) [m] to millimetres; 0 where it is unknown or beyond 65.535 m."""
    millimetres = np.rint(np.nan_to_num(depth_m, nan=0.0, posinf=0.0, neginf=0.0) * 1000.0)
    millimetres[(millimetres < 0) | (millimetres > MAX_DEPTH_MM)] = 0
    return np.asarray(millimetres, dtype=np.uint16)


def camera_info_message(header: Message, camera: PinholeCamera) -> Message:
    """Build a sensor_msgs/CameraInfo of an unrectified monocular camera."""
    roi = make_message(
        'sensor_msgs/msg/RegionOfInterest',
        x_offset=0,
        y_offset=0,
        height=0,
        width=0,
        do_rectify=False,
    )
    distortion = camera.distortion or (0.0,) * 5
    return make_message(
        'sensor_msgs/msg/CameraInfo',
        header=header,
        height=camera.height,
        width=camera.width,
        distortion_model=camera.distortion_model,
        d=np.array(distortion, dtype=np.float64),
        k=camera.matrix.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([camera.matrix, np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def odometry_message(header: Message, child_frame_id: str, T: Pose) -> Message:
    """Build a nav_msgs/Odometry of the pose of ``child_frame_id`` in the header's frame.

    Raises:
        InputError: the pose is not finite.
    """
    if not np.isfinite(T).all():
        raise InputError(f'pose of {child_frame_id} in {header.frame_id} is not finite')
    x, y, z, w = quat_xyzw(T).tolist()
    pose = make_message(
        'geometry_msgs/msg/Pose',
        position=make_message('geometry_msgs/msg/Point', **_xyz(T[:3, 3])),
        orientation=make_message('geometry_msgs/msg/Quaternion', x=x, y=y, z=z, w=w),
    )
    twist = make_message(
        'geometry_msgs/msg/Twist',
        linear=_vector(np.zeros(3)),
        angular=_vector(np.zeros(3)),
    )
    unknown = np.zeros(36)
    return make_message(
        'nav_msgs/msg/Odometry',
        header=header,
        child_frame_id=child_frame_id,
        pose=make_message('geometry_msgs/msg/PoseWithCovariance', pose=pose, covariance=unknown),
        twist=make_message(
            'geometry_msgs/msg/TwistWithCovariance', twist=twist, covariance=unknown
        ),
    )


def imu_message(
    header: Message, angular_velocity: ArrayLike, linear_acceleration: ArrayLike
) -> Message:
    """Build a sensor_msgs/Imu from (3,) [rad/s] and (3,) [m/s^2], without orientation."""
    no_orientation = np.zeros(9)
    no_orientation[0] = -1.0  # REP 145: the field is not filled
    return make_message(
        'sensor_msgs/msg/Imu',
        header=header,
        orientation=make_message('geometry_msgs/msg/Quaternion', x=0.0, y=0.0, z=0.0, w=1.0),
        orientation_covariance=no_orientation,
        angular_velocity=_vector(angular_velocity),
        angular_velocity_covariance=np.zeros(9),
        linear_acceleration=_vector(linear_acceleration),
        linear_acceleration_covariance=np.zeros(9),
    )


def _vector(values: ArrayLike) -> Message:
    return make_message('geometry_msgs/msg/Vector3', **_xyz(values))


def _xyz(values: ArrayLike) -> dict[str, float]:
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return {'x': x, 'y': y, 'z': z}
