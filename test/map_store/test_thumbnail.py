import struct
import zlib

import cv2
import numpy as np
import pytest
from synthetic import look_at, make_frame

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.thumbnail import decode_thumbnail, encode_thumbnail, make_thumbnail

_IMAGE = make_frame(look_at([0, 0, 0], [0.3, 0.2, 4])).image


def _seal(data):
    return struct.pack('<4sI', b'S3ET', zlib.crc32(data)) + data


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [((480, 640, 3), (240, 320)), ((480, 848), (181, 320)), ((100, 200), (100, 200))],
)
def test_a_thumbnail_keeps_the_aspect_ratio_and_is_never_enlarged(shape, expected):
    thumbnail = make_thumbnail(np.zeros(shape, np.uint8), 320)
    assert thumbnail.shape == expected
    assert thumbnail.dtype == np.uint8


def test_a_thumbnail_comes_back_nearly_as_it_was():
    blob = encode_thumbnail(_IMAGE)
    found = decode_thumbnail(blob)
    assert found.shape == _IMAGE.shape
    assert found.dtype == np.uint8
    assert np.abs(found.astype(int) - _IMAGE).mean() < 3
    assert len(blob) < 0.5 * _IMAGE.size


def test_what_cannot_be_written_is_refused():
    for shape in ((0, 0), (4, 4, 3), (2**13, 2**13)):
        with pytest.raises(InputError, match='cannot be stored'):
            encode_thumbnail(np.zeros(shape, np.uint8))


def _with_size(height, width):
    """Return a JPEG whose header tells of another size."""
    jpeg = bytearray(cv2.imencode('.jpg', _IMAGE)[1].tobytes())
    at = jpeg.index(b'\xff\xc0')
    jpeg[at + 5 : at + 9] = struct.pack('>HH', height, width)
    return _seal(bytes(jpeg))


def test_a_huge_image_is_refused_by_its_header():
    with pytest.raises(InputError, match='65000x65000 pixels'):
        decode_thumbnail(_with_size(65000, 65000))
    with pytest.raises(InputError, match='64x0 pixels'):
        decode_thumbnail(_with_size(0, 64))


@pytest.mark.parametrize(
    'data',
    [b'', b'\xff\xd8', b'\xff\xd8' + b'\xff' * 40, cv2.imencode('.png', _IMAGE)[1].tobytes()],
)
def test_what_is_no_jpeg_is_refused(data):
    with pytest.raises(InputError, match='no JPEG image'):
        decode_thumbnail(_seal(data))


def test_a_jpeg_that_ends_after_its_header_is_refused():
    jpeg = cv2.imencode('.jpg', _IMAGE)[1].tobytes()
    at = jpeg.index(b'\xff\xc0')
    with pytest.raises(InputError, match='cannot be read'):
        decode_thumbnail(_seal(jpeg[: at + 12]))


def test_a_flipped_byte_is_found():
    blob = bytearray(encode_thumbnail(_IMAGE))
    blob[len(blob) // 2] ^= 1
    with pytest.raises(InputError, match='checksum'):
        decode_thumbnail(bytes(blob))
