"""What the pose graph says of the keyframes, between its message and the map file."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.ros.conversions import poses_from_messages
from s3e_gnn_ros.types import KeyframeKey

_LEAST_CHANGE = 1e-4
"""Of any element of a pose: a tenth of a millimetre, or of a milliradian."""


class UnwrittenPoses:
    """Keeps what differs from what was written last, so that little is written.

    The back end sends all keyframes each time; in most of a large map nothing moves.
    """

    def __init__(self) -> None:
        self._written: dict[KeyframeKey, Pose] = {}
        self._changed: dict[KeyframeKey, Pose] = {}
        self._written_weights: dict[tuple[KeyframeKey, KeyframeKey], float] = {}
        self._changed_weights: dict[tuple[KeyframeKey, KeyframeKey], float] = {}

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._changed or self._changed_weights)

    def take(self, keys: Sequence[KeyframeKey], T_map_camera: NDArray[np.float64]) -> None:
        """Take poses (N, 4, 4)."""
        for key, pose in zip(keys, T_map_camera, strict=True):
            written = self._written.get(key)
            if written is None or np.abs(pose - written).max() > _LEAST_CHANGE:
                self._changed[key] = pose.copy()  # a view would keep all the others alive
            else:
                self._changed.pop(key, None)

    def take_weights(self, weights: Sequence[tuple[KeyframeKey, KeyframeKey, float]]) -> None:
        """Take weights of closures, as (match, query, weight)."""
        for match, query, weight in weights:
            if self._written_weights.get((match, query), 1.0) != weight:
                self._changed_weights[match, query] = weight
            else:
                self._changed_weights.pop((match, query), None)

    def remove(self, keys: Collection[KeyframeKey]) -> None:
        """Forget keyframes and their closures."""
        for key in keys:
            self._written.pop(key, None)
            self._changed.pop(key, None)
        for table in (self._written_weights, self._changed_weights):
            for pair in [pair for pair in table if pair[0] in keys or pair[1] in keys]:
                del table[pair]

    def write(self, store: MapStore) -> None:
        """Write what has changed.

        Raises:
            InputError: the map cannot be written; nothing is forgotten.
        """
        keys = list(self._changed)
        if keys:
            store.set_poses(keys, np.array([self._changed[key] for key in keys]))
            self._written.update(self._changed)
            self._changed.clear()
        if self._changed_weights:
            store.set_weights((*pair, weight) for pair, weight in self._changed_weights.items())
            self._written_weights.update(self._changed_weights)
            self._changed_weights.clear()


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
