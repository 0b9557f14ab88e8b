"""What the loop closure node has published so far, for back ends that come late."""

from __future__ import annotations

import threading
from typing import Any

from s3e_gnn_ros import msg


class History:
    """Keyframes without images and features, and closures; the worker adds, a service reads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keyframes: list[msg.KeyFrame] = []
        self._closures: list[msg.LoopClosure] = []

    def add(self, keyframe: msg.KeyFrame, closures: list[msg.LoopClosure]) -> None:
        """Remember a keyframe and what it closed."""
        with self._lock:
            self._keyframes.append(keyframe)
            self._closures += closures

    def answer(self, request: Any, response: Any) -> Any:
        """Fill a GetKeyFrames response."""
        with self._lock:
            keyframes, closures = list(self._keyframes), list(self._closures)
        session, first_id = request.session, request.first_id
        response.keyframes = [
            k for k in keyframes if session in (0, k.session) and k.keyframe_id >= first_id
        ]
        response.closures = [
            c for c in closures if session in (0, c.query_session) and c.query_id >= first_id
        ]
        return response
