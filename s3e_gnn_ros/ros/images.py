"""Decoding of images with cv_bridge where it is installed, and without it elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data import messages
from s3e_gnn_ros.data.image_codec import MAX_PIXELS
from s3e_gnn_ros.errors import DropError

try:
    from cv_bridge import CvBridge
except Exception:
    CvBridge = None


def decode_image(
    message: Any, bridge: Any = None, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Convert a sensor_msgs/Image or CompressedImage to (H, W) grey or (H, W, 3) BGR.

    Args:
        message: the message.
        bridge: a CvBridge; None to do without.
        max_pixels: a larger image is refused before memory is taken for it.

    Raises:
        DropError: as :func:`data.messages.image_from_message`.
    """
    is_known = getattr(message, 'encoding', '') in messages.COLOUR_ENCODINGS
    if bridge is None or not is_known or not _is_complete(message, max_pixels):
        return messages.image_from_message(message, max_pixels)  # also says what is wrong with it
    try:
        image = bridge.imgmsg_to_cv2(message, 'bgr8')
    except Exception as err:
        raise DropError('image_encoding', f'cv_bridge cannot convert the image: {err}') from err
    return np.array(image, dtype=np.uint8)


def make_bridge() -> Any:
    """Return a CvBridge, or None where cv_bridge is not installed."""
    return None if CvBridge is None else CvBridge()


def _is_complete(message: Any, max_pixels: int) -> bool:
    return (
        0 < message.width * message.height <= max_pixels
        and message.step >= message.width
        and len(message.data) >= message.step * message.height
    )
