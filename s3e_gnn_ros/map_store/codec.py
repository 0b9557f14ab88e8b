"""What a keyframe's blobs in a map hold. Lossless for all that a ``View`` holds.

A blob begins with its kind and a checksum of the rest, so that a flipped bit is found before it is
believed. Its sizes are checked against limits before memory is taken.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.view import DepthImage, PatchDescriptors
from s3e_gnn_ros.map_store.arrays import ArrayReader, pack_array
from s3e_gnn_ros.map_store.damage import DamageError
from s3e_gnn_ros.types import Features

MAX_FEATURES = 1_000_000
MAX_PIXELS = 1 << 25
MAX_VALUES = 1 << 26

_FRAME = struct.Struct('<4sI')  # kind, crc32 of what follows
_VIEW = struct.Struct('<IIIBBB')  # features, depth h, depth w, is derived, scale of z, of depth
_PATCHES = struct.Struct('<II')  # descriptors, values of each
_UNKNOWN, _ON_RAY, _FREE = range(3)
_METRES, _OVER_1000, _TIMES_0_001 = range(3)


def encode_view(features: Features, camera: PinholeCamera, depth: DepthImage | None) -> bytes:
    """Write features and depth; the cameras are stored elsewhere.

    Undistorted points are left out where they follow from the pixels, and a landmark on the ray
    of its feature is its depth alone, in whole millimetres where it is one.
    """
    derived = camera.normalise(features.points_px)
    is_derived = bool(_is_same(derived, features.points_normalised).all())
    lifted, z_form = _pack_landmarks(features)
    depth_values, depth_form = _pack_depth(None if depth is None else depth.depth_m)
    height, width = (0, 0) if depth is None else depth.depth_m.shape
    parts = [
        _VIEW.pack(len(features), height, width, is_derived, z_form, depth_form),
        pack_array(features.points_px, np.float32),
        b'' if is_derived else pack_array(features.points_normalised, np.float64),
        pack_array(features.sizes_px, np.float32),
        pack_array(features.angles_deg, np.float32),
        pack_array(features.responses, np.float32),
        pack_array(features.descriptors, np.uint8),
        lifted,
        depth_values,
    ]
    return seal(b'S3EV', b''.join(parts))


def decode_view(
    blob: bytes, camera: PinholeCamera, depth_camera: PinholeCamera | None
) -> tuple[Features, DepthImage | None]:
    """Read what :func:`encode_view` wrote.

    Raises:
        DamageError: damaged, or larger than a view can be.
    """
    data = unseal(b'S3EV', blob)
    N, height, width, is_derived, z_form, depth_form = _unpack(_VIEW, data)
    _check_size(N, MAX_FEATURES, 'features')
    _check_size(height * width, MAX_PIXELS, 'pixels of depth')
    reader = ArrayReader(data[_VIEW.size :])
    points_px = reader.read((N, 2), np.float32)
    normalised = camera.normalise(points_px) if is_derived else reader.read((N, 2), np.float64)
    features = Features(
        points_px=points_px,
        points_normalised=normalised,
        sizes_px=reader.read((N,), np.float32),
        angles_deg=reader.read((N,), np.float32),
        responses=reader.read((N,), np.float32),
        descriptors=reader.read((N, 32), np.uint8),
        landmarks_m=_read_landmarks(reader, normalised, z_form),
    )
    depth = None
    if depth_camera is not None:
        depth = DepthImage(_read_lengths(reader, (height, width), depth_form), depth_camera)
    reader.finish()
    return features, depth


def encode_patches(patches: PatchDescriptors) -> bytes:
    """Write the encoder's local descriptors."""
    n, E = patches.descriptors.shape
    parts = [
        _PATCHES.pack(n, E),
        pack_array(patches.descriptors, np.float16),
        pack_array(patches.feature_index, np.int32),
    ]
    return seal(b'S3EP', b''.join(parts))


def decode_patches(blob: bytes) -> PatchDescriptors:
    """Read what :func:`encode_patches` wrote.

    Raises:
        DamageError: damaged, or larger than patches can be.
    """
    data = unseal(b'S3EP', blob)
    n, E = _unpack(_PATCHES, data)
    _check_size(n * max(E, 1), MAX_VALUES, 'values of patches')
    reader = ArrayReader(data[_PATCHES.size :])
    descriptors = reader.read((n, E), np.float16)
    feature_index = reader.read((n,), np.int32).astype(np.intp)
    reader.finish()
    return PatchDescriptors(descriptors, feature_index)


def _pack_landmarks(features: Features) -> tuple[bytes, int]:
    """Write per landmark that it is unknown, its depth on the ray, or all three coordinates."""
    points = features.landmarks_m
    z = points[:, 2]
    with np.errstate(invalid='ignore'):
        on_ray = features.points_normalised * z[:, None]  # (N, 2)
        is_on_ray = _is_same(on_ray, points[:, :2]).all(axis=1) & (z.astype(np.float32) == z)
    kinds = np.full(len(points), _FREE)
    kinds[is_on_ray] = _ON_RAY
    kinds[np.isnan(points).all(axis=1)] = _UNKNOWN
    values, form = _pack_lengths(z[kinds == _ON_RAY].astype(np.float32))
    free = pack_array(points[kinds == _FREE], np.float64)
    return pack_array(kinds, np.uint8) + values + free, form


def _read_landmarks(
    reader: ArrayReader, normalised: NDArray[np.float64], form: int
) -> NDArray[np.float64]:
    kinds = reader.read((len(normalised),), np.uint8)
    is_on_ray, is_free = kinds == _ON_RAY, kinds == _FREE
    z = _read_lengths(reader, (int(is_on_ray.sum()),), form).astype(np.float64)
    points = np.full((len(normalised), 3), np.nan)
    points[is_on_ray] = np.column_stack([normalised[is_on_ray] * z[:, None], z])
    points[is_free] = reader.read((int(is_free.sum()), 3), np.float64)
    return points


def _pack_depth(depth_m: NDArray[np.float32] | None) -> tuple[bytes, int]:
    return (b'', _METRES) if depth_m is None else _pack_lengths(depth_m)


def _pack_lengths(metres: NDArray[np.float32]) -> tuple[bytes, int]:
    """Write depths as whole millimetres where that loses nothing; also the form that was used."""
    with np.errstate(invalid='ignore'):
        is_short = bool(((metres >= 0) & (metres < 65.5)).all())
    if is_short:
        millimetres = np.round(metres.astype(np.float64) * 1000).astype(np.uint16)
        for form in (_OVER_1000, _TIMES_0_001):
            if _is_same(_to_metres(millimetres, form), metres).all():
                return pack_array(millimetres, np.uint16), form
    return pack_array(metres, np.float32), _METRES


def _read_lengths(reader: ArrayReader, shape: tuple[int, ...], form: int) -> NDArray[np.float32]:
    if form == _METRES:
        return reader.read(shape, np.float32)
    return _to_metres(reader.read(shape, np.uint16), form)


def _to_metres(millimetres: NDArray[np.uint16], form: int) -> NDArray[np.float32]:
    """Repeat what a reader of depth images did: the two ways differ in the last bit."""
    values = millimetres.astype(np.float32)
    return values / np.float32(1000) if form == _OVER_1000 else values * np.float32(0.001)


def _is_same(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Compare by value and sign: -0 is not 0."""
    return np.asarray((a == b) & (np.signbit(a) == np.signbit(b)), np.bool_)


def seal(kind: bytes, data: bytes) -> bytes:
    """Put a kind of four bytes and a checksum before the data of a blob."""
    return _FRAME.pack(kind, zlib.crc32(data)) + data


def unseal(kind: bytes, blob: Any) -> bytes:
    """Return what a blob holds.

    Raises:
        DamageError: of another kind, or its checksum does not agree.
    """
    if not isinstance(blob, bytes):
        raise DamageError(f'a {type(blob).__name__} stands where a blob belongs')
    found, checksum = _unpack(_FRAME, blob)
    if found != kind:
        raise DamageError(f'a blob of kind {found!r} stands where {kind!r} belongs')
    data = blob[_FRAME.size :]
    if zlib.crc32(data) != checksum:
        raise DamageError('the checksum of a blob does not agree')
    return data


def _unpack(layout: struct.Struct, data: bytes) -> tuple[Any, ...]:
    try:
        return layout.unpack_from(data)
    except struct.error as err:
        raise DamageError(f'a blob ends after {len(data)} bytes') from err


def _check_size(size: int, limit: int, what: str) -> None:
    if size > limit:
        raise DamageError(f'{size} {what} are more than a map can hold ({limit})')
