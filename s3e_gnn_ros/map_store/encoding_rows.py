"""What the encoder made of the keyframes, by the weights it was made with."""

from __future__ import annotations

import sqlite3

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.embedding import check_embeddings
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.view import PatchDescriptors
from s3e_gnn_ros.map_store import schema
from s3e_gnn_ros.map_store.codec import encode_patches
from s3e_gnn_ros.map_store.connection import set_meta
from s3e_gnn_ros.map_store.values import session_from_sql
from s3e_gnn_ros.types import KeyframeKey

# A keyframe of an imported map may have neither: there is nothing to embed.
_WITHOUT = """
FROM keyframe k WHERE NOT EXISTS (SELECT 1 FROM encoding e WHERE e.seq = k.seq AND e.weights = ?)
AND (EXISTS (SELECT 1 FROM thumbnail t WHERE t.seq = k.seq)
    OR EXISTS (SELECT 1 FROM encoding e WHERE e.seq = k.seq))
"""


def insert_encoding(
    connection: sqlite3.Connection,
    seq: int,
    weights: int,
    embedding: NDArray[np.float32] | None,
    patches: PatchDescriptors | None,
) -> None:
    """Write embedding (D,) and patches of a keyframe, beside those of other weights.

    Raises:
        InputError: the embedding has another shape, or is neither of unit length nor 0.
    """
    if embedding is None and patches is None:
        return
    vector = None
    if embedding is not None:
        if embedding.ndim != 1:
            raise InputError(f'an embedding has shape {embedding.shape} instead of (D,)')
        check_embeddings(embedding[None], (1, len(embedding)))
        vector = embedding.astype('<f4').tobytes()
    packed = None if patches is None else encode_patches(patches)
    connection.execute(
        'INSERT INTO encoding VALUES (NULL, ?, ?, ?, ?)', (seq, weights, vector, packed)
    )


def find_weights(connection: sqlite3.Connection, digest: str, name: str) -> int:
    """Return the id of weights; they become known when they are not."""
    connection.execute(
        'INSERT OR IGNORE INTO weights (digest, name) VALUES (?, ?)', (digest, name)
    )
    row = connection.execute('SELECT id FROM weights WHERE digest = ?', (digest,)).fetchone()
    return int(row[0])


def keys_without(connection: sqlite3.Connection, weights: int) -> list[KeyframeKey]:
    """Return the keyframes that these weights have not embedded but could or should."""
    rows = connection.execute(
        f'SELECT k.session, k.keyframe_id {_WITHOUT} ORDER BY k.seq', (weights,)
    )
    return [KeyframeKey(session_from_sql(session), number) for session, number in rows]


def change_weights(connection: sqlite3.Connection, weights: int) -> None:
    """Go by other weights from now on, and forget what the old ones made.

    Raises:
        InputError: keyframes are left that these weights have not embedded.
    """
    (missing,) = connection.execute(f'SELECT count(*) {_WITHOUT}', (weights,)).fetchone()
    if missing:
        raise InputError(f'{missing} keyframes are not embedded with the new weights yet')
    set_meta(connection, schema.META_WEIGHTS, str(weights))
    connection.execute('DELETE FROM encoding WHERE weights != ?', (weights,))
    connection.execute('DELETE FROM weights WHERE id != ?', (weights,))
