"""Where the entries of the database come from, as arrays that grow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.types import MAX_SESSION, KeyframeKey


class Origins:
    """Session, id and stamp of each entry; adding one costs the same however many there are.

    A removed entry keeps its number, and its row.
    """

    def __init__(self) -> None:
        self._table = np.zeros((64, 3), dtype=np.int64)
        self._is_alive = np.zeros(64, dtype=bool)
        self._size = 0
        self._entries: dict[KeyframeKey, int] = {}  # of those that are alive
        self._last: dict[int, int] = {}  # by session
        self._robot_ids: dict[int, str] = {}  # by session

    def __len__(self) -> int:
        """Return the number of entries ever added."""
        return self._size

    def __contains__(self, key: KeyframeKey) -> bool:
        """Return whether a keyframe has an entry."""
        return key in self._entries

    @property
    def num_alive(self) -> int:
        """Number of entries, without the removed ones."""
        return len(self._entries)

    @property
    def keys(self) -> list[KeyframeKey]:
        """The keyframes that were not removed, in order of addition."""
        return list(self._entries)

    def add(self, key: KeyframeKey, stamp_ns: int, robot_id: str = '') -> int:
        """Append the next entry and return its number.

        Raises:
            InputError: the keyframe has an entry already.
        """
        self.check_new([key])
        if self._size == len(self._table):
            self._table = np.vstack([self._table, np.zeros_like(self._table)])
            self._is_alive = np.append(self._is_alive, np.zeros_like(self._is_alive))
        entry = self._size
        self._table[entry] = key.session, key.keyframe_id, stamp_ns
        self._is_alive[entry] = True
        self._entries[key] = self._last[key.session] = entry
        self._robot_ids[key.session] = robot_id
        self._size += 1
        return entry

    def check_new(self, keys: Sequence[KeyframeKey]) -> None:
        """Refuse keyframes that have an entry, or whose session is no number below 2^63.

        Raises:
            InputError: there is one.
        """
        for key in keys:
            if not 0 <= key.session <= MAX_SESSION:
                raise InputError(f'session {key.session} is not between 0 and {MAX_SESSION}')
            if key in self._entries:
                raise InputError(
                    f'keyframe {key.keyframe_id} of session {key.session} is in the map already'
                )

    def remove(self, key: KeyframeKey) -> int:
        """Take a keyframe out and return the entry it had.

        Raises:
            InputError: it has none.
        """
        if key not in self._entries:
            raise InputError(f'there is no keyframe {key.keyframe_id} of session {key.session}')
        entry = self._entries.pop(key)
        self._is_alive[entry] = False
        if self._last.get(key.session) == entry:
            del self._last[key.session]  # nothing stands right before the next one any more
        return entry

    def key(self, entry: int) -> KeyframeKey:
        """Return the keyframe of an entry."""
        session, keyframe_id, _ = self._table[entry].tolist()
        return KeyframeKey(session, keyframe_id)

    def entries(self, keys: Sequence[KeyframeKey]) -> list[int]:
        """Return the entries of keyframes that have one."""
        return [self._entries[key] for key in keys]

    def last_entry(self, session: int) -> int | None:
        """Return the newest entry of a session; None when there is none, or it was removed."""
        return self._last.get(session)

    def robot_id(self, session: int) -> str:
        """Return the robot of a session; empty where it has no name, or nothing was added."""
        return self._robot_ids.get(session, '')

    @property
    def is_alive(self) -> NDArray[np.bool_]:
        """Mask (N,) of the entries that were not removed."""
        return self._is_alive[: self._size]

    @property
    def sessions(self) -> NDArray[np.int64]:
        """Session (N,) of each entry."""
        return self._table[: self._size, 0]

    @property
    def keyframe_ids(self) -> NDArray[np.int64]:
        """Id (N,) of each entry within its session."""
        return self._table[: self._size, 1]

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamp (N,) of each entry."""
        return self._table[: self._size, 2]
