"""ROS messages to arrays, with every check on them: for bags and for the live node alike.

A message is anything with ROS's attribute names, whether rosbags or rclpy made it; ``data`` may
be bytes, array.array or ndarray. What cannot be used raises a :class:`DropError` whose
``reason`` is counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.image import ImageError, image_to_cvimage
from rosbags.image.image import to_cvtype

from s3e_gnn_ros.data import image_codec
from s3e_gnn_ros.data.image_codec import MAX_PIXELS
from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera

Message: TypeAlias = Any
"""A message of rosbags or rclpy; neither shares a base class with the other."""

GREY_ENCODINGS = frozenset({'mono8', '8UC1', 'mono16'})
_BAYER = {f'bayer_{order}{bits}' for order in ('rggb', 'bggr', 'gbrg', 'grbg') for bits in (8, 16)}
_YUV = {'uyvy', 'yuyv', 'yuv422', 'yuv422_yuy2'}
_RGB = {f'{order}{bits}' for order in ('rgb', 'bgr', 'rgba', 'bgra') for bits in (8, 16)}
COLOUR_ENCODINGS = frozenset({'8UC3', '8UC4', *_BAYER, *_YUV, *_RGB})
DEPTH_ENCODINGS = frozenset({'16UC1', 'mono16', '32FC1'})
# OpenCV's names carry no order of channels; OpenCV itself means BGR.
_SAME_AS = {'8UC1': 'mono8', '8UC3': 'bgr8', '8UC4': 'bgra8'}
_MM = 0.001
_NS_PER_S = 1_000_000_000
MIN_MEDIAN_DEPTH_M = 0.05
MAX_MEDIAN_DEPTH_M = 100.0
_MEDIAN_STEP = 4  # every 16th pixel is enough to tell the unit, and ten times faster


@dataclass(frozen=True)
class _PackedImage:
    """A sensor_msgs/Image without padding at the end of its rows."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    data: NDArray[np.uint8]


def stamp_ns(stamp: Message) -> int:
    """Return a builtin_interfaces/Time in nanoseconds.

    Raises:
        DropError: ``stamp``, for a second or more of nanoseconds, which the type forbids: near the
            end of its range such a stamp could not be sent on.
    """
    if stamp.nanosec >= _NS_PER_S:
        raise DropError('stamp', f'a stamp has {stamp.nanosec} ns beside its {stamp.sec} s')
    return int(stamp.sec) * _NS_PER_S + int(stamp.nanosec)


def image_from_message(msg: Message, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Convert a sensor_msgs/Image or CompressedImage to (H, W) grey or (H, W, 3) BGR.

    Args:
        msg: the message.
        max_pixels: a larger image is refused before memory is taken for it.

    Raises:
        DropError: ``image_encoding``, ``image_data``, ``image_size`` or ``image_too_large``.
    """
    if hasattr(msg, 'format'):
        return image_codec.decode_image(bytes(msg.data), _name(msg), max_pixels)
    if msg.encoding not in GREY_ENCODINGS | COLOUR_ENCODINGS:
        raise DropError('image_encoding', f"{_name(msg)} has unknown encoding '{msg.encoding}'")
    target = 'mono8' if msg.encoding in GREY_ENCODINGS else 'bgr8'
    try:
        image = image_to_cvimage(_packed(msg, 'image', max_pixels), target)  # type: ignore[arg-type]
    except (ImageError, ValueError, cv2.error) as err:
        reason = ' '.join(str(err).split())  # OpenCV's span several lines
        raise DropError('image_encoding', f'{_name(msg)}: {reason}') from err
    return np.array(image, dtype=np.uint8)  # a copy: the message's buffer may be read-only


def depth_from_message(
    msg: Message, metres_per_unit: float | None = None, max_pixels: int = MAX_PIXELS
) -> NDArray[np.float32]:
    """Convert a depth sensor_msgs/Image or CompressedImage to (H, W) float32 [m], 0 unknown.

    Args:
        msg: encoding 16UC1 (millimetres) or 32FC1 (metres), as REP 118 says.
        metres_per_unit: replaces the unit that goes with the encoding.
        max_pixels: a larger image is refused before memory is taken for it.

    Raises:
        DropError: ``depth_encoding``, ``depth_data``, ``depth_size``, ``depth_unit`` or
            ``depth_too_large``.
    """
    if hasattr(msg, 'format'):
        raw = _decompress_depth(msg, max_pixels)
    elif msg.encoding in DEPTH_ENCODINGS:
        raw = image_to_cvimage(_packed(msg, 'depth', max_pixels))  # type: ignore[arg-type]
    else:
        raise DropError('depth_encoding', f"depth has encoding '{msg.encoding}' {_name(msg)}")
    unit = _MM if raw.dtype == np.uint16 else 1.0
    return depth_in_metres(raw, unit if metres_per_unit is None else metres_per_unit)


def depth_in_metres(raw: NDArray[Any], metres_per_unit: float) -> NDArray[np.float32]:
    """Scale raw depth (H, W) to float32 [m], 0 where it is unknown (NaN, infinite, <= 0).

    Raises:
        DropError: ``depth_unit``, when half of the valid pixels lie below 5 cm or beyond 100 m:
            no depth camera does that, so the unit is wrong.
    """
    # In float64, so that 1500 mm is 1.5 m and not the float32 beside it.
    depth_m = (raw * np.float64(metres_per_unit)).astype(np.float32)
    with np.errstate(invalid='ignore'):
        is_valid = np.isfinite(depth_m) & (depth_m > 0)
    depth_m[~is_valid] = 0.0
    sample = depth_m[::_MEDIAN_STEP, ::_MEDIAN_STEP]
    sample = sample[sample > 0]
    median_m = float(np.median(sample)) if len(sample) else 1.0
    if not MIN_MEDIAN_DEPTH_M <= median_m <= MAX_MEDIAN_DEPTH_M:
        raise DropError(
            'depth_unit',
            f'depth has a median of {median_m:.4g} m at {metres_per_unit:g} m per unit: '
            'its unit must be another',
        )
    return depth_m


def camera_from_message(info: Message, *, is_rectified: bool = False) -> PinholeCamera:
    """Convert a sensor_msgs/CameraInfo.

    Args:
        info: the message.
        is_rectified: the image has been rectified, so that P holds and no distortion.

    Raises:
        DropError: ``camera_info``, for a focal length that is not positive (an uncalibrated
            camera sends 0), an unknown distortion model or a wrong number of coefficients.
    """
    matrix = np.asarray(info.k, dtype=np.float64).reshape(3, 3)
    if is_rectified and np.any(info.p):  # some drivers leave P empty
        matrix = np.asarray(info.p, dtype=np.float64).reshape(3, 4)
    distortion = () if is_rectified else tuple(float(value) for value in info.d)
    model = {'': 'plumb_bob', 'fisheye': 'equidistant'}.get(
        info.distortion_model, info.distortion_model
    )
    try:
        return PinholeCamera(
            width=int(info.width),
            height=int(info.height),
            fx=float(matrix[0, 0]),
            fy=float(matrix[1, 1]),
            cx=float(matrix[0, 2]),
            cy=float(matrix[1, 2]),
            distortion=distortion if any(distortion) else (),
            distortion_model=model if any(distortion) else 'plumb_bob',
        )
    except InputError as err:
        raise DropError('camera_info', f'camera_info: {err}') from err


def pose_from_message(pose: Message) -> se3.Pose:
    """Convert a geometry_msgs/Pose, or a Transform, to (4, 4).

    Raises:
        DropError: ``odometry_pose``, when it is not finite or its quaternion is not of norm 1.
    """
    is_transform = hasattr(pose, 'translation')
    t = pose.translation if is_transform else pose.position
    q = pose.rotation if is_transform else pose.orientation
    try:
        return se3.pose_from_quat((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))
    except InputError as err:
        raise DropError('odometry_pose', str(err)) from err


def check_frame(
    image: NDArray[np.uint8],
    camera: PinholeCamera,
    depth_m: NDArray[np.float32] | None = None,
) -> None:
    """Refuse a frame whose image, camera and depth are not of one size.

    Raises:
        DropError: ``image_size`` when the image is not the camera's, ``depth_size`` when the
            depth is not the image's.
    """
    height, width = image.shape[:2]
    if (width, height) != (camera.width, camera.height):
        raise DropError(
            'image_size',
            f'image is {width}x{height}, its camera {camera.width}x{camera.height}',
        )
    if depth_m is not None and depth_m.shape != (height, width):
        raise DropError(
            'depth_size',
            f'depth is {depth_m.shape[1]}x{depth_m.shape[0]}, the image {width}x{height}; '
            'depth must be aligned to the image',
        )


def _packed(msg: Message, kind: str, max_pixels: int) -> _PackedImage:
    """Check the size of the data and cut the padding off its rows."""
    image_codec.check_size(msg.width, msg.height, kind, _name(msg), max_pixels)
    bits, _, _, num_channels = to_cvtype(msg.encoding)
    row_bytes = msg.width * num_channels * bits // 8
    step = msg.step or row_bytes
    if msg.width <= 0 or msg.height <= 0:
        raise DropError(f'{kind}_size', f'{_name(msg)} has size {msg.width}x{msg.height}')
    data = np.frombuffer(msg.data, np.uint8)
    if step < row_bytes or len(data) < step * msg.height:
        raise DropError(
            f'{kind}_data',
            f'{_name(msg)} of {msg.width}x{msg.height} {msg.encoding} has {len(data)} bytes '
            f'in rows of {step}',
        )
    rows = data[: step * msg.height].reshape(msg.height, step)[:, :row_bytes]
    packed = np.ascontiguousarray(rows).reshape(-1)
    encoding = _SAME_AS.get(msg.encoding, msg.encoding)
    return _PackedImage(msg.height, msg.width, encoding, bool(msg.is_bigendian), packed)


def _decompress_depth(msg: Message, max_pixels: int) -> NDArray[Any]:
    encoding, _, codec = (part.strip() for part in msg.format.partition(';'))
    data = bytes(msg.data)
    if codec in ('compressedDepth', 'compressedDepth png') and encoding in (
        '16UC1',
        '32FC1',
    ):
        return image_codec.decode_compressed_depth(data, encoding, _name(msg), max_pixels)
    if 'png' in msg.format and 'compressedDepth' not in msg.format:
        return image_codec.decode_depth(data, _name(msg), max_pixels)
    raise DropError('depth_encoding', f"depth has unknown format '{msg.format}'")


def _name(msg: Message) -> str:
    return f"image of '{msg.header.frame_id}' at {stamp_ns(msg.header.stamp)} ns"
