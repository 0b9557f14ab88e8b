"""What messages say of many keyframes: which, where they are, how far loops are believed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.ros.conversions import poses_from_messages
from s3e_gnn_ros.types import KeyframeKey


def poses_from_message(message: Any) -> tuple[list[KeyframeKey], NDArray[np.float64]]:
    """Return keys and T_map_camera (N, 4, 4) of a KeyframePoses message.

    Raises:
        InputError: a pose that is not finite, or arrays of different lengths.
    """
    keys = keys_from_message(message)
    if len(message.t_map_camera) != len(keys):
        raise InputError(f'{len(keys)} keyframes come with {len(message.t_map_camera)} poses')
    return keys, poses_from_messages(message.t_map_camera)


def keys_from_message(message: Any) -> list[KeyframeKey]:
    """Return the keyframes that a message with ``sessions`` and ``keyframe_ids`` speaks of.

    Raises:
        InputError: more sessions than ids, or the other way round.
    """
    if len(message.sessions) != len(message.keyframe_ids):
        raise InputError(
            f'{len(message.sessions)} sessions come with {len(message.keyframe_ids)} ids'
        )
    pairs = zip(message.sessions, message.keyframe_ids, strict=True)
    return [KeyframeKey(int(session), int(number)) for session, number in pairs]


def weights_from_message(message: Any) -> list[tuple[KeyframeKey, KeyframeKey, float]]:
    """Return (match, query, weight) of each closure of a KeyframePoses message."""
    columns = zip(
        message.closure_match_sessions,
        message.closure_match_ids,
        message.closure_query_sessions,
        message.closure_query_ids,
        message.closure_weights,
        strict=False,
    )
    return [
        (KeyframeKey(a, b), KeyframeKey(c, d), float(weight)) for a, b, c, d, weight in columns
    ]
