"""Asks the loop closure node for keyframes and closures that a back end has missed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from s3e_gnn_ros import srv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.types import KeyframeKey

_PERIOD_S = 0.25
_ANSWER_TIMEOUT_S = 5.0
_GIVE_UP_S = 5.0


class Recovery:
    """Calls get_keyframes at the start and whenever a gap appears; never waits.

    Args:
        node: owns client and timer.
        missing: says which keyframe others wait for, if any.
        on_answer: called with each GetKeyFrames response.
        give_up: called with a session whose gap nobody can fill.
    """

    def __init__(
        self,
        node: Node,
        missing: Callable[[], KeyframeKey | None],
        on_answer: Callable[[Any], None],
        give_up: Callable[[int], None],
    ) -> None:
        self._client = node.create_client(srv.GetKeyFrames, names.GET_KEYFRAMES)
        self._missing = missing
        self._on_answer = on_answer
        self._give_up = give_up
        self._logger = node.get_logger()
        self._has_asked_all = False
        self._asked_s: float | None = None
        self._gap: KeyframeKey | None = None
        self._gap_since_s = 0.0
        self._timer = node.create_timer(_PERIOD_S, self._check)

    def _check(self) -> None:
        now_s = time.monotonic()
        self._watch_gap(now_s)
        if self._asked_s is not None and now_s - self._asked_s < _ANSWER_TIMEOUT_S:
            return
        if not self._client.service_is_ready():
            self._asked_s = None
        elif not self._has_asked_all:
            self._ask(KeyframeKey(0, 0), now_s)
        elif self._gap is not None and now_s - self._gap_since_s >= 2 * _PERIOD_S:
            self._ask(self._gap, now_s)

    def _watch_gap(self, now_s: float) -> None:
        """Remember since when a gap is open; after a while go on without what is missing."""
        gap = self._missing()
        if gap is None or gap != self._gap:
            self._gap, self._gap_since_s = gap, now_s
        elif now_s - self._gap_since_s > _GIVE_UP_S:
            self._logger.warning(
                f'keyframe {gap.keyframe_id} of session {gap.session} is lost: going on without it'
            )
            self._give_up(gap.session)
            self._gap = None

    def _ask(self, start: KeyframeKey, now_s: float) -> None:
        self._asked_s = now_s
        request = srv.GetKeyFrames.Request(session=start.session, first_id=start.keyframe_id)
        future = self._client.call_async(request)
        future.add_done_callback(self._take)

    def _take(self, future: Any) -> None:
        self._asked_s = None
        if future.cancelled() or future.exception() is not None:
            return
        self._has_asked_all = True
        response = future.result()
        if response.keyframes:
            self._logger.info(f'recovered {len(response.keyframes)} keyframes')
        self._on_answer(response)
