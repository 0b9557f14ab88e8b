import dataclasses
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_map import is_same, make_keyframe
from synthetic import CAMERA, look_at, make_frame, select_features

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.view import DepthImage, PatchDescriptors, make_view
from s3e_gnn_ros.map_store.codec import (
    decode_patches,
    decode_view,
    encode_patches,
    encode_view,
)
from s3e_gnn_ros.types import Keyframe

_DISTORTED = dataclasses.replace(CAMERA, distortion=(-0.28, 0.07, 1e-4, 2e-5, 0.01))
_FISHEYE = dataclasses.replace(
    CAMERA, distortion=(0.01, -0.02, 0.003, 0.0), distortion_model='equidistant'
)
_RNG = np.random.default_rng(3)


def _view(camera=CAMERA, *, millimetres=False, with_depth=True):
    frame = make_frame(look_at([0, 0, 0], [0.3, 0.2, 4]), camera=camera, with_depth=with_depth)
    if with_depth:
        frame.depth_m[:, :100] = 0
    if millimetres:
        whole = np.round(frame.depth_m * 1000).astype(np.uint16)
        frame = dataclasses.replace(frame, depth_m=whole.astype(np.float32) / 1000)
    return make_view(Keyframe(3, 7, frame, OrbExtractor(FeatureConfig()).extract(frame)))


def _there_and_back(features, camera, depth):
    blob = encode_view(features, camera, depth)
    return blob, decode_view(blob, camera, None if depth is None else depth.camera)


@pytest.mark.parametrize('millimetres', [False, True])
@pytest.mark.parametrize('camera', [CAMERA, _DISTORTED, _FISHEYE])
def test_a_view_comes_back_bit_by_bit(camera, millimetres):
    view = _view(camera, millimetres=millimetres)
    assert view.features.has_landmark.any()
    assert not view.features.has_landmark.all()
    _, (features, depth) = _there_and_back(view.features, camera, view.depth)
    assert is_same(features, view.features)
    assert is_same(depth, view.depth)


def test_a_view_without_depth_comes_back():
    view = _view(with_depth=False)
    _, (features, depth) = _there_and_back(view.features, CAMERA, None)
    assert is_same(features, view.features)
    assert depth is None


def test_a_view_without_features_comes_back():
    nothing = select_features(_view().features, np.zeros(0, np.intp))
    _, (features, _) = _there_and_back(nothing, CAMERA, None)
    assert is_same(features, nothing)


def test_landmarks_of_every_kind_come_back():
    features = _view(millimetres=True).features
    landmarks = features.landmarks_m.copy()
    landmarks[0:20:2] = _RNG.normal(0, 1, (10, 3))  # triangulated: not on the ray
    landmarks[1] = np.nan
    landmarks[3, 2] = np.nan
    landmarks[5, 0] = np.nan
    landmarks[7] = np.inf
    odd = dataclasses.replace(features, landmarks_m=landmarks)
    _, (found, _) = _there_and_back(odd, CAMERA, None)
    assert is_same(found, odd)


def test_points_that_do_not_follow_from_the_camera_come_back():
    features = _view().features
    moved = dataclasses.replace(
        features, points_normalised=features.points_normalised + 1e-15, sizes_px=-features.sizes_px
    )
    _, (found, _) = _there_and_back(moved, CAMERA, None)
    assert is_same(found, moved)


@pytest.mark.parametrize(
    'values',
    [
        np.array([0.0, 0.001, 1.234, 65.499]),
        np.array([0.0, -0.0, 1.0, 2.0]),
        np.array([0.0, 65.536, 70.0, 1e6]),
        np.array([np.nan, np.inf, -np.inf, -1.0]),
        np.array([1e-7, 0.12345678, 3.0, 4.0]),
    ],
)
def test_depth_of_any_value_comes_back(values):
    depth_m = values.astype(np.float32).reshape(2, 2)
    features = select_features(_view().features, np.zeros(0, np.intp))
    depth = DepthImage(depth_m, CAMERA)
    _, (_, found) = _there_and_back(features, CAMERA, depth)
    assert is_same(found, depth)


@pytest.mark.parametrize(
    'to_metres', [lambda v: v / np.float32(1000), lambda v: v * np.float32(0.001)]
)
def test_whole_millimetres_take_two_bytes(to_metres):
    metres = to_metres(_RNG.integers(0, 65500, (100, 100)).astype(np.float32))
    features = select_features(_view().features, np.zeros(0, np.intp))
    blob, (_, found) = _there_and_back(features, CAMERA, DepthImage(metres, CAMERA))
    assert is_same(found.depth_m, metres)
    assert len(blob) < 20_400


def test_what_follows_from_the_rest_takes_no_room():
    features = _view(millimetres=True).features
    free = dataclasses.replace(features, landmarks_m=features.landmarks_m * 1.001)
    derived = len(encode_view(features, CAMERA, None))
    assert derived < len(encode_view(free, CAMERA, None)) - 15 * len(features)


def test_patches_come_back():
    patches = make_keyframe(3).view.patches
    assert is_same(decode_patches(encode_patches(patches)), patches)
    none = PatchDescriptors(np.zeros((0, 0), np.float16), np.zeros(0, np.intp))
    assert is_same(decode_patches(encode_patches(none)), none)


_BLOB = encode_view(make_keyframe(1).view.features, CAMERA, make_keyframe(1).view.depth)


@given(st.integers(0, len(_BLOB) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_found(at, change):
    damaged = bytearray(_BLOB)
    damaged[at] ^= change
    with pytest.raises(InputError):
        decode_view(bytes(damaged), CAMERA, CAMERA)


@given(st.integers(8, 60), st.binary(min_size=1, max_size=30))
def test_a_blob_with_the_right_checksum_is_not_believed_either(at, change):
    body = bytearray(_BLOB[8:])
    body[at - 8 : at - 8 + len(change)] = change
    forged = struct.pack('<4sI', b'S3EV', zlib.crc32(body)) + body
    try:
        features, _ = decode_view(bytes(forged), CAMERA, CAMERA)
    except InputError:
        return
    assert len(features) == len(features.landmarks_m)


@pytest.mark.parametrize(
    ('sizes', 'what'),
    [((2**32 - 1, 1, 1), 'features'), ((1, 2**31, 2**31), 'pixels of depth')],
)
def test_sizes_are_checked_before_memory_is_taken(sizes, what):
    body = struct.pack('<IIIBBB', *sizes, 0, 0, 0)
    blob = struct.pack('<4sI', b'S3EV', zlib.crc32(body)) + body
    with pytest.raises(InputError, match=f'{what} are more than a map can hold'):
        decode_view(blob, CAMERA, CAMERA)


def test_many_patches_are_refused():
    body = struct.pack('<II', 2**20, 2**20)
    blob = struct.pack('<4sI', b'S3EP', zlib.crc32(body)) + body
    with pytest.raises(InputError, match='values of patches are more than a map can hold'):
        decode_patches(blob)


@pytest.mark.parametrize('blob', [b'', b'S3EV', None, 'text', 7])
def test_what_is_no_blob_is_refused(blob):
    with pytest.raises(InputError):
        decode_view(blob, CAMERA, None)
