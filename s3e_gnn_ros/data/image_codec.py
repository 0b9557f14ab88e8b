"""Decode the bytes of jpeg and png images, refusing what is cut short."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.image_header import JPEG_START, PNG_START, image_size
from s3e_gnn_ros.errors import DropError

MAX_PIXELS = 1 << 26
"""Of an image, 8192 x 8192: larger ones are not decoded."""
MAX_BYTES = 1 << 28
"""Of a file with an image."""
PNG_END = b'IEND'
JPEG_END = b'\xff\xd9'
# compressed_depth_image_transport puts this before the png: int32 format, then the two
# parameters of inverse depth, which only 32FC1 uses.
_DEPTH_HEADER = struct.Struct('<iff')
_TAIL_BYTES = 64  # some cameras pad behind the end marker


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode a jpeg or png to (H, W) grey or (H, W, 3) BGR.

    Raises:
        DropError: ``image_data``, when it is damaged or cut short; ``image_too_large``.
    """
    flags = cv2.IMREAD_ANYCOLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = _decode(data, flags, 'image', name, max_pixels)
    return image if image.ndim == 2 or image.shape[2] == 3 else image[:, :, :3]


def decode_depth(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint16]:
    """Decode a 16-bit png to (H, W) raw units.

    Raises:
        DropError: ``depth_data`` when it is damaged, ``depth_encoding`` when it has not one
            channel of 16 bits; ``depth_too_large``.
    """
    image = _decode(data, cv2.IMREAD_UNCHANGED, 'depth', name, max_pixels)
    if image.dtype != np.uint16 or image.ndim != 2:
        raise DropError(
            'depth_encoding',
            f'depth {name} has type {image.dtype} and shape {image.shape} '
            'instead of one channel of 16 bits',
        )
    return np.asarray(image)


def decode_compressed_depth(
    data: bytes, encoding: str, name: str, max_pixels: int = MAX_PIXELS
) -> NDArray[Any]:
    """Decode what image_transport's ``compressedDepth`` sends.

    Args:
        data: header and png.
        encoding: '16UC1' or '32FC1', as the message's format says.
        name: for the error.
        max_pixels: a larger image is refused.

    Returns:
        (H, W) uint16 raw units for '16UC1'; (H, W) float32 [m], 0 where unknown, for '32FC1'.

    Raises:
        DropError: as :func:`decode_depth`.
    """
    if len(data) < _DEPTH_HEADER.size:
        raise DropError('depth_data', f'depth {name} has only {len(data)} bytes')
    _, a, b = _DEPTH_HEADER.unpack_from(data)
    raw = decode_depth(data[_DEPTH_HEADER.size :], name, max_pixels)
    if encoding == '16UC1':
        return raw
    # Inverse depth, quantised: raw = a / depth + b.
    with np.errstate(divide='ignore', invalid='ignore'):
        depth_m = np.where(raw > 0, a / (raw.astype(np.float32) - b), 0.0)
    return depth_m.astype(np.float32)


def check_size(width: int, height: int, kind: str, name: str, max_pixels: int) -> None:
    """Refuse an image, ``kind`` 'image' or 'depth', that would take too much memory.

    Raises:
        DropError: ``image_too_large`` or ``depth_too_large``.
    """
    if width * height > max_pixels:
        raise DropError(
            f'{kind}_too_large',
            f'{kind} {name} has {width}x{height} pixels, more than {max_pixels}',
        )


def _decode(data: bytes, flags: int, kind: str, name: str, max_pixels: int) -> NDArray[Any]:
    """Decode, after a look at size and end marker: OpenCV fills a cut image with grey."""
    tail = data[-_TAIL_BYTES:]
    is_png = data.startswith(PNG_START)
    is_whole = PNG_END in tail if is_png else JPEG_END in tail
    if not is_png and not data.startswith(JPEG_START):
        raise DropError(f'{kind}_data', f'{kind} {name} is neither a jpeg nor a png')
    width, height = image_size(data) or (0, 0)
    check_size(width, height, kind, name, max_pixels)
    image = None
    if is_whole and width * height > 0:
        with contextlib.suppress(cv2.error):  # it says None or raises, by what is wrong
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        size = f'{len(data)} bytes'
        raise DropError(f'{kind}_data', f'{kind} {name} of {size} is damaged or cut short')
    return np.asarray(image)
