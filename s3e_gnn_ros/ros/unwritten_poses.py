"""What the pose graph says of the keyframes and is not in the map file yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.map_store.store import MapStore
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
