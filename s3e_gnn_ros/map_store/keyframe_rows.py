"""Keyframes as rows of a map's tables."""

from __future__ import annotations

import sqlite3
from typing import Any

import numpy as np

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.view import DepthImage, PatchDescriptors, View
from s3e_gnn_ros.map_store.codec import decode_patches, decode_view, encode_view
from s3e_gnn_ros.map_store.damage import DamageError
from s3e_gnn_ros.map_store.encoding_rows import insert_encoding
from s3e_gnn_ros.map_store.records import StoredKeyframe
from s3e_gnn_ros.map_store.thumbnail import encode_thumbnail
from s3e_gnn_ros.map_store.values import find_seq, name_of, pose_to_blob, session_to_sql
from s3e_gnn_ros.types import Features, KeyframeKey

CAMERA = 'width, height, fx, fy, cx, cy, distortion_model, distortion'
ORIGIN = 'session, robot_id, odom_frame, camera_frame'


def insert_keyframe(
    connection: sqlite3.Connection, keyframe: StoredKeyframe, weights: int
) -> None:
    """Write a keyframe inside a transaction.

    Raises:
        InputError: it is there already, or a value of it cannot be stored.
    """
    if find_seq(connection, keyframe.key) is not None:
        raise InputError(f'keyframe {name_of(keyframe.key)} is in the map already')
    view = keyframe.view
    depth_camera = None if view.depth is None else _insert_camera(connection, view.depth.camera)
    session = session_to_sql(keyframe.key.session)
    seq = connection.execute(
        'INSERT INTO keyframe VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)',
        (
            session,
            keyframe.key.keyframe_id,
            keyframe.stamp_ns,
            _insert_origin(connection, keyframe),
            _insert_camera(connection, view.camera),
            depth_camera,
            pose_to_blob(keyframe.T_odom_camera),
            pose_to_blob(keyframe.T_map_camera),
        ),
    ).lastrowid
    data = encode_view(view.features, view.camera, view.depth)
    connection.execute('INSERT INTO view VALUES (?, ?)', (seq, data))
    if keyframe.thumbnail is not None:
        jpeg = encode_thumbnail(keyframe.thumbnail)
        connection.execute('INSERT INTO thumbnail VALUES (?, ?)', (seq, jpeg))
    assert seq is not None  # an INSERT has one
    insert_encoding(connection, seq, weights, keyframe.embedding, view.patches)


def read_view(connection: sqlite3.Connection, key: KeyframeKey, weights: int) -> View | None:
    """Read the view of a keyframe; None when it is not there.

    Raises:
        DamageError: it is damaged.
    """
    row = connection.execute(
        """
        SELECT k.stamp_ns, k.camera, k.depth_camera, v.data, e.patches
        FROM keyframe k JOIN view v ON v.seq = k.seq
        LEFT JOIN encoding e ON e.seq = k.seq AND e.weights = ?
        WHERE k.session = ? AND k.keyframe_id = ?
        """,
        (weights, session_to_sql(key[0]), key[1]),
    ).fetchone()
    if row is None:
        return None
    stamp_ns, camera_id, depth_camera_id, data, patches = row
    camera = _read_camera(connection, camera_id)
    depth_camera = None
    if depth_camera_id is not None:
        depth_camera = _read_camera(connection, depth_camera_id)
    features, depth = decode_view(data, camera, depth_camera)
    found = None if patches is None else decode_patches(patches)
    _check_view(features, depth, found)
    return View(
        keyframe_id=key[1],
        session=key[0],
        stamp_ns=int(stamp_ns),
        camera=camera,
        features=features,
        depth=depth,
        patches=found,
    )


def _check_view(
    features: Features, depth: DepthImage | None, patches: PatchDescriptors | None
) -> None:
    """Refuse what no keyframe has, and verification would stumble over."""
    if not np.isfinite(features.points_px).all():
        raise DamageError('a keypoint is not finite')
    if depth is not None:
        camera = depth.camera
        if depth.depth_m.shape != (camera.height, camera.width):
            raise DamageError(f'depth of shape {depth.depth_m.shape} is not that of its camera')
        if not ((depth.depth_m >= 0) & (depth.depth_m < np.inf)).all():
            raise DamageError('a depth is below 0 or not finite')
    if patches is not None:
        index = patches.feature_index
        if ((index < 0) | (index >= len(features))).any():
            raise DamageError('a patch belongs to no feature')


def _insert_origin(connection: sqlite3.Connection, keyframe: StoredKeyframe) -> int:
    values = (
        session_to_sql(keyframe.key.session),
        keyframe.robot_id,
        keyframe.odom_frame,
        keyframe.camera_frame,
    )
    return find_or_insert(connection, 'origin', ORIGIN, values)


def _insert_camera(connection: sqlite3.Connection, camera: PinholeCamera) -> int:
    values = (
        camera.width,
        camera.height,
        float(camera.fx),
        float(camera.fy),
        float(camera.cx),
        float(camera.cy),
        camera.distortion_model,
        np.asarray(camera.distortion, '<f8').tobytes(),
    )
    return find_or_insert(connection, 'camera', CAMERA, values)


def _read_camera(connection: sqlite3.Connection, number: int) -> PinholeCamera:
    row = connection.execute(f'SELECT {CAMERA} FROM camera WHERE id = ?', (number,)).fetchone()
    if row is None:
        raise DamageError(f'camera {number} is missing')
    width, height, fx, fy, cx, cy, model, distortion = row
    if not isinstance(width, int) or not isinstance(height, int):
        raise DamageError(f'camera {number} has the size {width!r} x {height!r}')
    coefficients = tuple(np.frombuffer(distortion, '<f8').tolist())
    return PinholeCamera(
        width, height, float(fx), float(fy), float(cx), float(cy), coefficients, model
    )


def find_or_insert(
    connection: sqlite3.Connection, table: str, columns: str, values: tuple[Any, ...]
) -> int:
    """Return the id of the row that has these values; it is written when there is none."""
    same = ' AND '.join(f'{name} = ?' for name in columns.split(', '))
    row = connection.execute(f'SELECT id FROM {table} WHERE {same}', values).fetchone()
    if row is not None:
        return int(row[0])
    marks = ', '.join('?' * len(values))
    number = connection.execute(
        f'INSERT INTO {table} ({columns}) VALUES ({marks})', values
    ).lastrowid
    assert number is not None  # an INSERT has one
    return number
