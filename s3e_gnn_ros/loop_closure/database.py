"""All keyframes that a new image may be compared with: one set, searched, verified, pruned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.loop_closure.map_poses import MapPoses
from s3e_gnn_ros.loop_closure.origins import Origins
from s3e_gnn_ros.loop_closure.pruning import choose_pruned
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.loop_closure.view_cache import ViewCache, ViewSource
from s3e_gnn_ros.retrieval.interface import Retrieval, StoredEntries
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopClosure

NUM_NEWEST_KEPT = 20
"""Keyframes that pruning spares: odometry and triangulation still hang on them."""

_PRUNED_AT_ONCE = 20  # a twentieth of the limit: pruning looks at all keyframes, so not each time


class KeyframeRows(Protocol):
    """N keyframes of a stored map, by column, in the order of their addition."""

    @property
    def keys(self) -> Sequence[KeyframeKey]:
        """Session and id of each."""
        ...

    @property
    def robot_ids(self) -> Sequence[str]:
        """Robot of each."""
        ...

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamps (N,)."""
        ...

    @property
    def T_odom_camera(self) -> NDArray[np.float64]:
        """Drifting poses (N, 4, 4)."""
        ...

    @property
    def T_map_camera(self) -> NDArray[np.float64]:
        """Corrected poses (N, 4, 4), NaN where unknown."""
        ...

    @property
    def embeddings(self) -> NDArray[np.float32] | None:
        """Embeddings (N, D); None of a map without an encoder."""
        ...


class KeyframeDatabase:
    """Retrieval, origins, views and poses of the same keyframes, always in step.

    Args:
        retrieval: empty.
        cached_views: views held in memory of those that a source can give again.
        max_keyframes: limit that :meth:`prune` keeps; 0: none.

    Attributes:
        retrieval: compares; its entry numbers are those of ``origins``.
        origins: where the entries come from.
        views: what is verified against.
        poses: where the keyframes are in the map.
    """

    def __init__(self, retrieval: Retrieval, cached_views: int, max_keyframes: int = 0) -> None:
        self.retrieval = retrieval
        self.origins = Origins()
        self.views = ViewCache(cached_views)
        self.poses = MapPoses()
        self._max_keyframes = max_keyframes

    def __len__(self) -> int:
        """Return the number of keyframes, without the removed ones."""
        return self.origins.num_alive

    def __contains__(self, key: KeyframeKey) -> bool:
        """Return whether a keyframe is here."""
        return key in self.origins

    def view_of(self, entry: int) -> View:
        """Return the view of an entry.

        Raises:
            InputError: the stored map cannot give it.
        """
        return self.views.view(self.origins.key(entry))

    def add(self, keyframe: Keyframe, view: View, matches: Sequence[int]) -> int:
        """Add a keyframe that was verified to see what some entries see; returns its entry.

        Raises:
            InputError: it is here already.
        """
        key = KeyframeKey(keyframe.session, keyframe.keyframe_id)
        self.origins.check_new([key])
        entry = self.retrieval.add(keyframe)
        self.origins.add(key, keyframe.stamp_ns, keyframe.robot_id)
        for match in matches:
            self.retrieval.join(entry, match)
        self.views.add(view)
        self.poses.add(key, keyframe.T_odom_camera)
        return entry

    def remove(self, keys: Sequence[KeyframeKey]) -> int:
        """Forget keyframes; those that are not here are passed over. Returns how many were."""
        known = [key for key in dict.fromkeys(keys) if key in self.origins]
        for key in known:
            self.retrieval.remove(self.origins.remove(key))
            self.views.remove(key)
            self.poses.remove(key)
        return len(known)

    def restore(
        self, rows: KeyframeRows, closures: Sequence[LoopClosure], source: ViewSource
    ) -> None:
        """Add the keyframes of a stored map: the same as if they had come one by one.

        Args:
            rows: the keyframes.
            closures: verified loops in the order they were found; those with a keyframe that is
                not here say nothing.
            source: gives their views whenever they are needed.

        Raises:
            InputError: a keyframe is here already, or the map does not fit the retrieval method;
                nothing was added then.
        """
        self.origins.check_new(rows.keys)
        self.retrieval.restore(_stored_entries(rows, closures, source))
        for key, stamp_ns, robot_id in zip(
            rows.keys, rows.stamps_ns.tolist(), rows.robot_ids, strict=True
        ):
            self.origins.add(key, stamp_ns, robot_id)
        self.views.attach(rows.keys, source)
        for key, T_odom_camera in zip(rows.keys, rows.T_odom_camera, strict=True):
            self.poses.add(key, T_odom_camera)
        self.poses.set_poses(rows.keys, rows.T_map_camera)

    def prune(self) -> list[KeyframeKey]:
        """Remove keyframes when there are more than the limit; returns which."""
        if not 0 < self._max_keyframes < len(self):
            return []
        keys = self.origins.keys
        num_left = self._max_keyframes - self._max_keyframes // _PRUNED_AT_ONCE
        poses, groups = self.poses.comparable(keys)
        rows = choose_pruned(
            poses,
            ages=-np.array(self.origins.entries(keys)),
            num_drop=len(keys) - num_left,
            num_newest=min(NUM_NEWEST_KEPT, num_left),
            groups=groups,
        )
        pruned = [keys[row] for row in rows.tolist()]
        self.remove(pruned)
        return pruned


def _stored_entries(
    rows: KeyframeRows, closures: Sequence[LoopClosure], source: ViewSource
) -> StoredEntries:
    row_of = {key: row for row, key in enumerate(rows.keys)}
    pairs = [
        (
            row_of.get(closure.query),
            row_of.get(closure.match),
        )
        for closure in closures
    ]
    known = [pair for pair in pairs if None not in pair]
    return StoredEntries(
        stamps_ns=rows.stamps_ns,
        sessions=np.array([key.session for key in rows.keys], dtype=np.int64),
        T_odom_camera=rows.T_odom_camera,
        embeddings=rows.embeddings,
        descriptors=_descriptors(rows.keys, source),
        loops=np.array(known, dtype=np.int64).reshape(-1, 2),
    )


def _descriptors(keys: Sequence[KeyframeKey], source: ViewSource) -> Iterator[NDArray[np.uint8]]:
    for key in keys:
        yield source.view(key).features.descriptors
