"""Thumbnails as JPEG: for a person to look at, and for an encoder that comes later."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.image_header import JPEG_START, image_size
from s3e_gnn_ros.encoder.image_planes import as_grey
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.codec import MAX_PIXELS, seal, unseal
from s3e_gnn_ros.map_store.damage import DamageError

_QUALITY = 85
_KIND = b'S3ET'


def make_thumbnail(image: NDArray[np.uint8], width_px: int) -> NDArray[np.uint8]:
    """Shrink an image to a grey one; a smaller image keeps its size.

    Args:
        image: (H, W) grey or (H, W, 3) BGR, uint8.
        width_px: of the result.

    Returns:
        (h, w) uint8 of the same aspect ratio.
    """
    grey = as_grey(image)
    height, width = grey.shape
    if width <= width_px:
        return np.ascontiguousarray(grey)
    size = width_px, max(1, round(height * width_px / width))
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def encode_thumbnail(thumbnail: NDArray[np.uint8]) -> bytes:
    """Write a grey image (h, w).

    Raises:
        InputError: it is none, or larger than a thumbnail can be.
    """
    shape = thumbnail.shape
    if thumbnail.dtype != np.uint8 or len(shape) != 2 or not 0 < thumbnail.size <= MAX_PIXELS:
        raise InputError(f'a thumbnail of shape {shape} and {thumbnail.dtype} cannot be stored')
    ok, jpeg = cv2.imencode('.jpg', thumbnail, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not ok:
        raise InputError(f'a thumbnail of shape {shape} cannot be written as JPEG')
    return seal(_KIND, jpeg.tobytes())


def decode_thumbnail(blob: bytes) -> NDArray[np.uint8]:
    """Read what :func:`encode_thumbnail` wrote: (h, w) uint8.

    Raises:
        DamageError: damaged, or larger than a thumbnail can be.
    """
    jpeg = unseal(_KIND, blob)
    size = image_size(jpeg) if jpeg.startswith(JPEG_START) else None
    if size is None:
        raise DamageError('a thumbnail is no JPEG image')
    width, height = size
    if not 0 < width * height <= MAX_PIXELS:
        raise DamageError(f'a thumbnail has {width}x{height} pixels')
    try:
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error as err:
        raise DamageError(f'a thumbnail cannot be read: {err.err}') from err
    if image is None:
        raise DamageError('a thumbnail cannot be read')
    return np.asarray(image, np.uint8)
