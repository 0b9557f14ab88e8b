"""The core's types to ROS messages and back: pure functions, no node."""

from __future__ import annotations

import array
import sys
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import Transform, TransformStamped
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from s3e_gnn_ros.data import messages
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose

_NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """Return a stamp in nanoseconds.

    Raises:
        InputError: it has a second or more of nanoseconds.
    """
    return messages.stamp_ns(stamp)


def stamp_from_ns(stamp_ns: int) -> Time:
    """Build a stamp from nanoseconds.

    Raises:
        InputError: it does not fit: a message would be sent with another.
    """
    seconds, nanoseconds = divmod(int(stamp_ns), _NS_PER_S)
    if not -(2**31) <= seconds < 2**31:
        raise InputError(f'a message cannot hold the stamp {stamp_ns} ns')
    return Time(sec=seconds, nanosec=nanoseconds)


def make_header(stamp_ns: int, frame_id: str) -> Header:
    """Build a header."""
    return Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame_id)


def pose_to_message(T: Pose) -> PoseMessage:
    """Build a geometry_msgs/Pose of a pose (4, 4)."""
    message = PoseMessage()
    p, q = message.position, message.orientation
    p.x, p.y, p.z = T[:3, 3].tolist()
    q.x, q.y, q.z, q.w = se3.quat_xyzw(T).tolist()
    return message


def pose_from_message(message: PoseMessage) -> Pose:
    """Return the pose (4, 4).

    Raises:
        InputError: not finite, or no unit quaternion.
    """
    p, q = message.position, message.orientation
    return se3.pose_from_quat((p.x, p.y, p.z), (q.x, q.y, q.z, q.w))


def poses_from_messages(messages: Sequence[PoseMessage]) -> NDArray[np.float64]:
    """Return the poses (N, 4, 4) of many messages.

    Raises:
        InputError: one is not finite, or no unit quaternion.
    """
    values = [
        (p.x, p.y, p.z, q.x, q.y, q.z, q.w)
        for p, q in ((message.position, message.orientation) for message in messages)
    ]
    table = np.array(values, dtype=np.float64).reshape(-1, 7)
    norms = np.linalg.norm(table[:, 3:], axis=1)
    if not np.isfinite(table).all() or (np.abs(norms - 1.0) > 0.01).any():
        bad = int(np.argmax(~np.isfinite(table).all(axis=1) | ~(np.abs(norms - 1.0) <= 0.01)))
        raise InputError(f'pose {bad} of {len(table)} is {table[bad].tolist()}')
    poses = np.zeros((len(table), 4, 4))
    if len(table):
        poses[:, :3, :3] = Rotation.from_quat(table[:, 3:]).as_matrix()
    poses[:, :3, 3], poses[:, 3, 3] = table[:, :3], 1.0
    return poses


def transform_to_message(
    T_a_b: Pose, stamp_ns: int, frame_a: str, frame_b: str
) -> TransformStamped:
    """Build the transform tf2 calls ``frame_a`` (parent) to ``frame_b`` (child)."""
    transform = Transform()
    t, q = transform.translation, transform.rotation
    t.x, t.y, t.z = T_a_b[:3, 3].tolist()
    q.x, q.y, q.z, q.w = se3.quat_xyzw(T_a_b).tolist()
    return TransformStamped(
        header=make_header(stamp_ns, frame_a), child_frame_id=frame_b, transform=transform
    )


def covariance_to_message(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ROS's 36 values, translation first, of a (6, 6) matrix, rotation first."""
    return se3.swap_rotation_translation(covariance).reshape(36)


def covariance_from_message(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (6, 6) matrix, rotation first, of ROS's 36 values, translation first."""
    matrix = np.asarray(values, dtype=np.float64).reshape(6, 6)
    return se3.swap_rotation_translation(matrix)


def corrected_odometry(message: Odometry, T_map_odom: Pose, map_frame: str) -> Odometry:
    """Move an odometry message into the map; twist and covariance shape are kept.

    Raises:
        InputError: the pose is not finite or its quaternion not of unit length.
    """
    out = Odometry(child_frame_id=message.child_frame_id, twist=message.twist)
    out.header = Header(stamp=message.header.stamp, frame_id=map_frame)
    out.pose.pose = pose_to_message(T_map_odom @ pose_from_message(message.pose.pose))
    covariance = np.asarray(message.pose.covariance).reshape(6, 6)
    if covariance.any():  # its axes are those of header.frame_id, which changes here
        turn = np.kron(np.eye(2), T_map_odom[:3, :3])
        covariance = turn @ covariance @ turn.T
    out.pose.covariance = covariance.reshape(36)
    return out


def odometry_rect(message: Odometry, T_map_odom: Pose) -> Odometry:
    """Correct the pose of an odometry message as VINS-Fusion does.

    Stamp and frame stay those of the front end, whose world the map begins as; there is neither
    twist nor covariance.

    Raises:
        InputError: the pose is not finite or its quaternion not of unit length.
    """
    out = Odometry(header=message.header, child_frame_id=message.child_frame_id)
    out.pose.pose = pose_to_message(T_map_odom @ pose_from_message(message.pose.pose))
    return out


def camera_to_message(camera: PinholeCamera, header: Header) -> CameraInfo:
    """Build a CameraInfo of an unrectified monocular camera."""
    message = CameraInfo(header=header, width=camera.width, height=camera.height)
    message.distortion_model = camera.distortion_model
    message.d = list(camera.distortion)
    message.k = camera.matrix.reshape(9)
    message.r = np.eye(3).reshape(9)
    message.p = np.hstack([camera.matrix, np.zeros((3, 1))]).reshape(12)
    return message


def camera_from_message(message: CameraInfo) -> PinholeCamera:
    """Return the camera of the raw image.

    Raises:
        InputError: no positive size and focal length, or an unknown distortion model.
    """
    k = message.k
    return PinholeCamera(
        width=message.width,
        height=message.height,
        fx=float(k[0]),
        fy=float(k[4]),
        cx=float(k[2]),
        cy=float(k[5]),
        distortion=tuple(float(value) for value in message.d),
        distortion_model=message.distortion_model or 'plumb_bob',
    )


def image_to_message(image: NDArray[np.uint8], header: Header) -> Image:
    """Build a mono8 (H, W) or bgr8 (H, W, 3) image."""
    return _raw_image(image, header, 'mono8' if image.ndim == 2 else 'bgr8')


def image_from_message(message: Image) -> NDArray[np.uint8] | None:
    """Return the (H, W) or (H, W, 3) BGR image that :func:`image_to_message` wrote.

    None when the message carries no image.

    Raises:
        InputError: an encoding other than mono8 and bgr8, or too little data.
    """
    if not message.data:
        return None
    channels = {'mono8': 1, 'bgr8': 3}.get(message.encoding)
    if channels is None:
        raise InputError(f"keyframe image has encoding '{message.encoding}'")
    shape = (message.height, message.width, channels)
    pixels = np.frombuffer(message.data, np.uint8)
    if pixels.size != np.prod(shape):
        raise InputError(f'keyframe image has {pixels.size} bytes instead of {np.prod(shape)}')
    return pixels.reshape(shape[:2] if channels == 1 else shape)


def depth_to_message(depth_m: NDArray[np.float32], header: Header) -> Image:
    """Build a 32FC1 image [m]: lossless, whatever unit the camera sent."""
    return _raw_image(np.asarray(depth_m, dtype='<f4'), header, '32FC1')


def depth_from_message(message: Image) -> NDArray[np.float32] | None:
    """Return depth (H, W) [m] of 32FC1 or 16UC1, or None when the message carries none.

    Raises:
        InputError: another encoding, or too little data.
    """
    if not message.data:
        return None
    types = {'32FC1': '<f4', '16UC1': '<u2'}
    if message.encoding not in types:
        raise InputError(f"keyframe depth has encoding '{message.encoding}'")
    dtype = np.dtype(types[message.encoding])
    num_bytes = message.height * message.width * dtype.itemsize
    if len(message.data) != num_bytes:
        raise InputError(f'keyframe depth has {len(message.data)} bytes instead of {num_bytes}')
    depth = (
        np.frombuffer(message.data, dtype)
        .reshape(message.height, message.width)
        .astype(np.float32)
    )
    return depth if message.encoding == '32FC1' else depth * np.float32(0.001)


def packed(values: NDArray[np.generic], typecode: str) -> array.array[float]:
    """Flatten into the array type whose assignment rclpy does not check value by value."""
    out: array.array[float] = array.array(typecode)
    out.frombytes(np.ascontiguousarray(values, dtype=np.dtype(typecode)).tobytes())
    return out


def _raw_image(image: NDArray[np.generic], header: Header, encoding: str) -> Image:
    height, width = image.shape[:2]
    message = Image(header=header, height=height, width=width, encoding=encoding)
    message.is_bigendian = int(sys.byteorder == 'big')
    message.step = image.nbytes // height
    message.data = packed(
        image.view(np.uint8)
        if image.flags.c_contiguous
        else np.ascontiguousarray(image).view(np.uint8),
        'B',
    )
    return message
