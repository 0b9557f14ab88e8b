"""A whole map's keyframes as arrays, in one query per table."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.embedding import are_embeddings
from s3e_gnn_ros.map_store.damage import DamageError
from s3e_gnn_ros.map_store.records import MapRows, SessionRow
from s3e_gnn_ros.map_store.values import session_from_sql
from s3e_gnn_ros.types import KeyframeKey

_POSE_BYTES = 128
_NO_POSE = np.full((4, 4), np.nan, '<f8').tobytes()
_MAX_EMBEDDING_BYTES = 1 << 20


def read_rows(connection: sqlite3.Connection, weights: int) -> MapRows:
    """Read all keyframes but their views.

    Raises:
        DamageError: a value is damaged.
    """
    rows = connection.execute(
        """
        SELECT k.seq, k.session, k.keyframe_id, k.stamp_ns, k.T_odom_camera, k.T_map_camera,
            o.robot_id, o.odom_frame, o.camera_frame
        FROM keyframe k JOIN origin o ON o.id = k.origin ORDER BY k.seq
        """
    ).fetchall()
    seqs, sessions, ids, stamps, odom, corrected, robots, odom_frames, camera_frames = (
        zip(*rows, strict=True) if rows else ((),) * 9
    )
    check_texts(*robots, *odom_frames, *camera_frames)
    numbers = np.array(ids, np.int64).tolist()
    return MapRows(
        keys=[KeyframeKey(session_from_sql(s), i) for s, i in zip(sessions, numbers, strict=True)],
        robot_ids=list(robots),
        stamps_ns=np.array(stamps, np.int64),
        T_odom_camera=_poses(odom),
        T_map_camera=_poses([T or _NO_POSE for T in corrected], may_be_unknown=True),
        embeddings=_read_embeddings(connection, weights, np.array(seqs, np.int64)),
        odom_frames=list(odom_frames),
        camera_frames=list(camera_frames),
    )


def read_sessions(connection: sqlite3.Connection) -> list[SessionRow]:
    """Read the sessions in order of their first keyframe."""
    rows = connection.execute(
        """
        SELECT o.session, o.robot_id, o.odom_frame, o.camera_frame, count(*), min(k.stamp_ns),
            max(k.stamp_ns)
        FROM keyframe k JOIN origin o ON o.id = k.origin GROUP BY o.id ORDER BY min(k.seq)
        """
    )
    out = []
    for session, robot, odom_frame, camera_frame, count, first_ns, last_ns in rows:
        check_texts(robot, odom_frame, camera_frame)
        frames = robot, odom_frame, camera_frame
        stamps = int(first_ns), int(last_ns)
        out.append(SessionRow(session_from_sql(session), *frames, count, *stamps))
    return out


def check_texts(*values: object) -> None:
    """Refuse what is no text: SQLite puts a value of any type into any column.

    Raises:
        DamageError: one is not.
    """
    for value in values:
        if not isinstance(value, str):
            raise DamageError(f'a {type(value).__name__} stands where a name belongs')


def _poses(blobs: Sequence[bytes], *, may_be_unknown: bool = False) -> NDArray[np.float64]:
    if any(len(blob) != _POSE_BYTES for blob in blobs):
        raise DamageError('a pose is not 4x4')
    poses = np.frombuffer(b''.join(blobs), '<f8').astype(np.float64).reshape(-1, 4, 4)
    if not may_be_unknown and not np.isfinite(poses).all():
        raise DamageError('a pose is not finite')
    return poses


def _read_embeddings(
    connection: sqlite3.Connection, weights: int, seqs: NDArray[np.int64]
) -> NDArray[np.float32] | None:
    found = connection.execute(
        """
        SELECT seq, embedding FROM encoding
        WHERE weights = ? AND embedding IS NOT NULL ORDER BY seq
        """,
        (weights,),
    ).fetchall()
    if not found:
        return None
    with_embedding, blobs = zip(*found, strict=True)
    num_bytes = len(blobs[0])
    if num_bytes > _MAX_EMBEDDING_BYTES or any(len(blob) != num_bytes for blob in blobs):
        raise DamageError('its embeddings differ in length')
    values = np.frombuffer(b''.join(blobs), '<f4').astype(np.float32).reshape(len(blobs), -1)
    if not are_embeddings(values).all():
        raise DamageError('an embedding is neither of unit length nor 0')
    if not np.isin(with_embedding, seqs).all():
        raise DamageError('an embedding is of no keyframe')
    if len(values) == len(seqs):
        return values
    embeddings = np.full((len(seqs), values.shape[1]), np.nan, np.float32)
    embeddings[np.searchsorted(seqs, np.array(with_embedding))] = values
    return embeddings
