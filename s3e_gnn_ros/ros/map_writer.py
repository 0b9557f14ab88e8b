"""Writes the map as the robot drives: a keyframe is on disk before anybody hears of it."""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError, UnwritableError
from s3e_gnn_ros.map_store.odometry_edges import OdometryEdges
from s3e_gnn_ros.map_store.records import StoredKeyframe
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.stored_keyframe import stored_keyframe
from s3e_gnn_ros.pose_graph.continuity import MAX_SPEED_M_PER_S
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.unwritten_poses import UnwrittenPoses
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopClosure

RETRY_S = 5.0
POSES_PERIOD_S = 5.0
MAX_WAITING = 1000
"""Keyframes, about 200 kB each, that wait for a disk that takes none."""


def _no_store() -> MapStore:
    raise UnwritableError('the map is not open')


class MapWriter:
    """Puts keyframes, closures and corrected poses into a map; the worker's thread only.

    A disk that is full, or was taken away, does not stop loop closing: keyframes wait in memory
    and are tried again. So do closures with keyframes that the map does not hold yet.

    Attributes:
        free_bytes: of the disk, after the last keyframe; None before the first.

    Args:
        store: the map, opened for writing; None where that was not possible so far.
        thumbnail_width_px: width of the stored pictures.
        statistics: ``map.stored`` counts keyframes that were written, ``map.waiting`` is the
            number of those that are published and not yet on disk.
        drop: called with reason and sentence for every attempt that failed.
        on_stored: called with each keyframe that can be read from the map from now on.
        open_store: opens the map where that was not possible before.
        tell: called with a sentence when the map can be written again.
        max_speed_m_per_s: nothing moves faster [m/s].
    """

    def __init__(
        self,
        store: MapStore | None,
        thumbnail_width_px: int,
        statistics: Statistics,
        drop: Callable[[str, str], None],
        on_stored: Callable[[KeyframeKey], None] = lambda _key: None,
        open_store: Callable[[], MapStore] = _no_store,
        tell: Callable[[str], None] = lambda _sentence: None,
        max_speed_m_per_s: float = MAX_SPEED_M_PER_S,
    ) -> None:
        self._store = store
        self._width_px = thumbnail_width_px
        self.free_bytes: int | None = None
        self._statistics = statistics
        self._drop = drop
        self._on_stored = on_stored
        self._open_store = open_store
        self._tell = tell
        self._is_failing = store is None
        self._stored: set[KeyframeKey] = set() if store is None else set(store.rows().keys)
        self._removed: set[KeyframeKey] = set()  # what a map still holds that took no writing
        self._waiting: deque[tuple[StoredKeyframe, tuple[LoopClosure, ...]]] = deque()
        self._loose: deque[LoopClosure] = deque(maxlen=MAX_WAITING)
        self._poses = UnwrittenPoses()
        self._odometry = OdometryEdges(max_speed_m_per_s)
        self._retry_at_s = self._loose_at_s = self._poses_at_s = 0.0

    def add(
        self,
        keyframe: Keyframe,
        closures: Sequence[LoopClosure],
        odom_frame: str,
        camera_frame: str,
    ) -> bool:
        """Commit a keyframe with its closures; returns whether it is on disk.

        One that is not will be tried again.
        """
        stored = stored_keyframe(keyframe, odom_frame, camera_frame, self._width_px)
        self._waiting.append((stored, tuple(closures)))
        self._statistics.count('map.waiting')
        if len(self._waiting) > MAX_WAITING:
            self._give_up()
        self._flush()
        return stored.key in self._stored

    def remove(self, keys: Collection[KeyframeKey]) -> None:
        """Take keyframes out of the map, and out of what waits for it."""
        gone = set(keys)
        kept = [item for item in self._waiting if item[0].key not in gone]
        self._statistics.count('map.waiting', len(kept) - len(self._waiting))
        self._waiting = deque(kept)
        loose = [closure for closure in self._loose if closure.match not in gone]
        self._loose = deque(loose, MAX_WAITING)
        self._poses.remove(gone)
        self._removed |= gone
        self._take_out_removed()

    def replace_closure(self, closure: LoopClosure) -> None:
        """Put a better measurement in the place of a closure, wherever that is by now."""
        for index, (keyframe, closures) in enumerate(self._waiting):
            if keyframe.key == closure.query:
                refined = tuple(closure if _ends(c) == _ends(closure) else c for c in closures)
                self._waiting[index] = keyframe, refined
                return
        if any(_ends(closure) == _ends(each) for each in self._loose):
            loose = (closure if _ends(c) == _ends(closure) else c for c in self._loose)
            self._loose = deque(loose, MAX_WAITING)
        else:
            self._attempt(lambda store: store.replace_closure(closure))

    def note_copied(self, keys: Collection[KeyframeKey]) -> None:
        """Learn that another map's keyframes have been copied into this one."""
        self._stored.update(keys)

    def take_poses(self, keys: Sequence[KeyframeKey], T_map_camera: NDArray[np.float64]) -> None:
        """Remember corrected poses (N, 4, 4) until they are written."""
        self._poses.take(keys, T_map_camera)

    def take_weights(self, weights: Sequence[tuple[KeyframeKey, KeyframeKey, float]]) -> None:
        """Remember how far each closure (match, query) is believed, until that is written."""
        self._poses.take_weights(weights)

    @property
    def is_due(self) -> bool:
        """Whether :meth:`tick` has something to do now."""
        now_s = time.monotonic()
        return (
            (bool(self._waiting or self._removed) and now_s >= self._retry_at_s)
            or (bool(self._loose) and now_s >= self._loose_at_s)
            or (self._poses.has_changes and now_s >= self._poses_at_s)
        )

    def tick(self) -> None:
        """Write what is due: what failed before, and corrected poses now and then."""
        self._flush()
        if self._loose and time.monotonic() >= self._loose_at_s:
            self._tie_loose()
        if self._poses.has_changes and time.monotonic() >= self._poses_at_s:
            self._write_poses()

    def flush(self) -> None:
        """Write everything that is left, at once."""
        self._retry_at_s = 0.0
        self._flush()
        self._tie_loose()
        self._write_poses()

    def close(self) -> None:
        """Write everything that is left and close the map."""
        self.flush()
        if self._store is not None:
            self._store.close()

    def _flush(self) -> None:
        while self._waiting and time.monotonic() >= self._retry_at_s:
            keyframe, closures = self._waiting[0]
            if not self._attempt(partial(self._write, keyframe, closures)):
                # Whatever is wrong with this one, the next try begins with another.
                self._waiting.rotate(-1)
                self._retry_at_s = time.monotonic() + RETRY_S
                return
            self._waiting.popleft()
            self._statistics.count('map.waiting', -1)
        if self._removed and time.monotonic() >= self._retry_at_s:
            self._take_out_removed()

    def _take_out_removed(self) -> None:
        removed = sorted(self._removed)
        if self._attempt(lambda store: store.remove(removed)):
            self._stored.difference_update(removed)
            self._removed.clear()
        else:
            self._retry_at_s = time.monotonic() + RETRY_S

    def _write(
        self, keyframe: StoredKeyframe, closures: Sequence[LoopClosure], store: MapStore
    ) -> None:
        """Write a keyframe in one transaction with the closures whose match is there."""
        key = keyframe.key
        if key not in self._stored:
            tied = [closure for closure in closures if closure.match in self._stored]
            store.add(keyframe, tied, self._odometry.edge_to(keyframe, self._stored))
            self._loose += [closure for closure in closures if closure.match not in self._stored]
            self._stored.add(key)
            self._statistics.count('map.stored')
            with suppress(OSError):  # of a network's disk, say; the keyframe is written
                self.free_bytes = shutil.disk_usage(store.path.parent).free
        self._on_stored(key)

    def _tie_loose(self) -> None:
        """Write the closures whose match has come into the map since."""
        self._loose_at_s = time.monotonic() + RETRY_S
        for _ in range(len(self._loose)):
            closure = self._loose.popleft()
            if closure.match not in self._stored or not self._attempt(
                partial(_add_closure, closure)
            ):
                self._loose.append(closure)

    def _write_poses(self) -> None:
        self._poses_at_s = time.monotonic() + POSES_PERIOD_S
        self._attempt(self._poses.write)

    def _attempt(self, write: Callable[[MapStore], object]) -> bool:
        """Write; what fails is counted each time, and said when it begins and when it ends."""
        try:
            write(self._opened())
        except InputError as err:
            if self._is_failing:
                self._statistics.count('drops.map_write')
            else:
                self._drop('map_write', f'{err}; it is tried again, keyframes wait in memory')
            self._is_failing = True
            return False
        if self._is_failing:
            self._is_failing = False
            self._tell(f'the map can be written again: {len(self._waiting)} keyframes waited')
        return True

    def _opened(self) -> MapStore:
        if self._store is None:
            store = self._open_store()
            self._stored.update(store.rows().keys)
            self._store = store
        return self._store

    def _give_up(self) -> None:
        keyframe, _ = self._waiting.popleft()
        self._statistics.count('map.waiting', -1)
        self._drop(
            'map_lost',
            f'keyframe {keyframe.key.keyframe_id} of session {keyframe.key.session} will be '
            f'missing from the map: {MAX_WAITING} keyframes wait for the disk',
        )


def _add_closure(closure: LoopClosure, store: MapStore) -> None:
    store.add_closure(closure)


def _ends(closure: LoopClosure) -> tuple[KeyframeKey, KeyframeKey]:
    return closure.match, closure.query
