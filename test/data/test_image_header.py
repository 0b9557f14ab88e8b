"""The size of an image is read without decoding it."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.data.image_codec import decode_depth, decode_image
from s3e_gnn_ros.data.image_header import image_size
from s3e_gnn_ros.data.messages import depth_from_message, image_from_message
from s3e_gnn_ros.errors import DropError


def encoded(suffix, width, height, *options):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return cv2.imencode(suffix, image, list(options))[1].tobytes()


@pytest.mark.parametrize(
    ('suffix', 'options'),
    [
        ('.png', ()),
        ('.jpg', ()),
        ('.jpg', (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        ('.jpg', (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)),
    ],
)
@pytest.mark.parametrize('size', [(1, 1), (31, 7), (640, 480)])
def test_it_is_what_opencv_decodes(suffix, options, size):
    assert image_size(encoded(suffix, *size, *options)) == size


def test_segments_before_the_frame_are_passed_over():
    data = encoded('.jpg', 20, 10)
    extra = (
        b'\xff\xe1' + struct.pack('>H', 1002) + b'\xff\xc0' * 500
    )  # a thumbnail, as cameras add
    assert image_size(data[:2] + extra + b'\xff' + data[2:]) == (20, 10)


@given(st.binary(max_size=200), st.sampled_from([b'', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff']))
def test_garbage_has_no_size_or_any(data, start):
    size = image_size(start + data)
    assert size is None or all(0 <= value < 2**32 for value in size)


@pytest.mark.parametrize('decode', [decode_image, decode_depth])
def test_a_larger_image_than_the_limit_is_not_decoded(decode, monkeypatch):
    monkeypatch.setattr(cv2, 'imdecode', lambda *_: pytest.fail('it was decoded'))
    with pytest.raises(DropError, match=r'has 20x10 pixels, more than 199') as caught:
        decode(encoded('.png', 20, 10), 'x', 199)
    assert caught.value.reason in ('image_too_large', 'depth_too_large')


@pytest.mark.parametrize('convert', [image_from_message, depth_from_message])
def test_a_raw_image_beyond_the_limit_is_refused(convert):
    from types import SimpleNamespace as Message

    header = Message(frame_id='eye', stamp=Message(sec=0, nanosec=0))
    message = Message(
        header=header,
        width=2**31,
        height=2**31,
        step=2**32 - 1,
        encoding='16UC1' if convert is depth_from_message else 'mono8',
        is_bigendian=0,
        data=b'',
    )
    with pytest.raises(DropError, match='2147483648x2147483648') as caught:
        convert(message)
    assert caught.value.reason.endswith('_too_large')
