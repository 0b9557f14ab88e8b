"""What the loop closure node has published so far, for back ends that come late."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from s3e_gnn_ros import msg
from s3e_gnn_ros.types import KeyframeKey


class History:
    """Keyframes without images and features, and closures; the worker adds, a service reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keyframes: dict[KeyframeKey, msg.KeyFrame] = {}
        self._closures: list[msg.LoopClosure] = []
        self._last_ids: dict[int, int] = {}  # per session, removed keyframes included

    def __contains__(self, key: KeyframeKey) -> bool:
        """Whether a keyframe is remembered."""
        with self._lock:
            return key in self._keyframes

    @property
    def closures(self) -> list[msg.LoopClosure]:
        """The closures between keyframes that are remembered, in the order they were found."""
        with self._lock:
            return list(self._closures)

    def __len__(self) -> int:
        """Return the number of keyframes."""
        with self._lock:
            return len(self._keyframes)

    def add(self, keyframe: msg.KeyFrame, closures: Sequence[msg.LoopClosure]) -> None:
        """Remember a keyframe and what it closed."""
        self.extend([keyframe], closures)

    def extend(
        self, keyframes: Iterable[msg.KeyFrame], closures: Iterable[msg.LoopClosure]
    ) -> None:
        """Remember many, as of a map that was loaded: who asks gets all of them or none."""
        with self._lock:
            for keyframe in keyframes:
                session, number = keyframe.session, keyframe.keyframe_id
                self._keyframes[KeyframeKey(session, number)] = keyframe
                self._last_ids[session] = max(number, self._last_ids.get(session, -1))
            self._closures += closures

    def remove(self, keys: Collection[KeyframeKey]) -> None:
        """Forget keyframes, and the closures to and from them."""
        gone = set(keys)
        with self._lock:
            for key in gone:
                self._keyframes.pop(key, None)
            self._closures = [c for c in self._closures if gone.isdisjoint(_ends(c))]

    def replace_closure(self, closure: msg.LoopClosure) -> None:
        """Put a closure in the place of the one between the same keyframes."""
        with self._lock:
            ends = _ends(closure)
            self._closures = [closure if _ends(c) == ends else c for c in self._closures]

    def is_passed(self, key: KeyframeKey) -> bool:
        """Whether this keyframe of its session, or a later one, has been here."""
        with self._lock:
            return key.keyframe_id <= self._last_ids.get(key.session, -1)

    def camera_frame(self, key: KeyframeKey, default: str) -> str:
        """Return the optical frame of a keyframe; the default where it is not remembered."""
        with self._lock:
            keyframe = self._keyframes.get(key)
        return default if keyframe is None else keyframe.camera_frame

    def answer(self, request: Any, response: Any) -> Any:
        """Fill a GetKeyFrames response."""
        with self._lock:
            keyframes, closures = list(self._keyframes.values()), list(self._closures)
        session, first_id = request.session, request.first_id
        response.keyframes = [
            k for k in keyframes if session in (0, k.session) and k.keyframe_id >= first_id
        ]
        response.closures = [
            c for c in closures if session in (0, c.query_session) and c.query_id >= first_id
        ]
        return response


def _ends(closure: msg.LoopClosure) -> tuple[KeyframeKey, KeyframeKey]:
    return (
        KeyframeKey(closure.query_session, closure.query_id),
        KeyframeKey(closure.match_session, closure.match_id),
    )
