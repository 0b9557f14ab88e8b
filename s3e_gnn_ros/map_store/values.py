"""Single values as SQLite keeps them, and keyframes by their key."""

from __future__ import annotations

import sqlite3

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store.damage import DamageError
from s3e_gnn_ros.types import KeyframeKey

_SESSIONS = 1 << 64


def session_to_sql(session: int) -> int:
    """Turn a session (uint64 in messages) into SQLite's signed integer.

    Raises:
        InputError: it has more than 64 bits, or is negative.
    """
    if not 0 <= session < _SESSIONS:
        raise InputError(f'session {session} is no number of 64 bits')
    return session - _SESSIONS if session >= _SESSIONS // 2 else session


def session_from_sql(value: int) -> int:
    """Invert :func:`session_to_sql`."""
    return value % _SESSIONS


def name_of(key: KeyframeKey) -> str:
    """Return a keyframe's name for messages."""
    return f'{key[0]}/{key[1]}'


def pose_to_blob(T: ArrayLike | None, shape: tuple[int, ...] = (4, 4)) -> bytes | None:
    """Write a matrix, little endian; None stays None.

    Raises:
        InputError: another shape, or a value is not finite.
    """
    if T is None:
        return None
    values = np.asarray(T, '<f8')
    if values.shape != shape or not np.isfinite(values).all():
        raise InputError(f'a matrix to store is not finite or not {shape}: {values.tolist()}')
    return values.tobytes()


def pose_from_blob(
    blob: bytes | None, shape: tuple[int, ...] = (4, 4)
) -> NDArray[np.float64] | None:
    """Invert :func:`pose_to_blob`.

    Raises:
        DamageError: another size, or a value is not finite.
    """
    if blob is None:
        return None
    values = np.frombuffer(blob, '<f8').astype(np.float64)
    if values.size != np.prod(shape) or not np.isfinite(values).all():
        raise DamageError(f'a matrix of {values.size} values is not finite or not {shape}')
    return values.reshape(shape)


def find_seq(connection: sqlite3.Connection, key: KeyframeKey) -> int | None:
    """Return a keyframe's place in the order of addition, or None when it is not there."""
    row = connection.execute(
        'SELECT seq FROM keyframe WHERE session = ? AND keyframe_id = ?',
        (session_to_sql(key[0]), key[1]),
    ).fetchone()
    return None if row is None else int(row[0])
