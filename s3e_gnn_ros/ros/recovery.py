"""Asks the loop closure node for keyframes and closures that a back end has missed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

from s3e_gnn_ros import srv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.steady_timer import create_steady_timer
from s3e_gnn_ros.types import KeyframeKey

_PERIOD_S = 0.25
_GIVE_UP_S = 5.0
_ASK_AGAIN_S = 2.0
"""An answer is lost when the server has not found the asking client's reader yet."""
_ANSWER_TIMEOUT_S = 60.0
"""A long history takes long to send; who has answered before loses a request only when killed."""
_NOTHING = KeyframeKey(2**64 - 1, 2**32 - 1)
"""Nobody has keyframes from here on: the answer is short, and shows that answers arrive."""


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
        self._is_known = False  # to the server, which has answered
        self._ask_again_s = _ASK_AGAIN_S
        self._future: Any | None = None  # the one request in flight
        self._asked_s = 0.0
        self._gap: KeyframeKey | None = None
        self._gap_since_s = 0.0
        self._gap_was_answered = False
        self._timer = create_steady_timer(node, _PERIOD_S, self._check)

    def _check(self) -> None:
        now_s = time.monotonic()
        is_ready = self._client.service_is_ready()
        self._watch_gap(now_s)
        if self._future is not None:
            patience_s = _ANSWER_TIMEOUT_S if self._is_known else self._ask_again_s
            if is_ready and now_s - self._asked_s < patience_s:
                return
            self._client.remove_pending_request(self._future)
            self._future = None
            self._is_known = False
            self._ask_again_s = min(2 * self._ask_again_s, _ANSWER_TIMEOUT_S)  # it may be busy
        if not is_ready:  # the next one is another
            self._is_known, self._ask_again_s = False, _ASK_AGAIN_S
        open_s = 0.0 if self._gap is None else now_s - self._gap_since_s
        # Only once nobody is there to ask, or who was asked does not have it either.
        is_hopeless = not is_ready or self._gap_was_answered
        if self._gap is not None and open_s > _GIVE_UP_S and is_hopeless:
            self._abandon(self._gap)
        elif not is_ready:
            return
        elif not self._has_asked_all:
            self._ask(KeyframeKey(0, 0), now_s)
        elif self._gap is not None and open_s >= 2 * _PERIOD_S:
            self._ask(self._gap, now_s)

    def _watch_gap(self, now_s: float) -> None:
        """Remember since when a gap is open."""
        gap = self._missing()
        if gap is None or gap != self._gap:
            self._gap, self._gap_since_s, self._gap_was_answered = gap, now_s, False

    def _abandon(self, gap: KeyframeKey) -> None:
        self._logger.warning(
            f'keyframe {gap.keyframe_id} of session {gap.session} is lost: going on without it'
        )
        self._give_up(gap.session)
        self._gap = None

    def _ask(self, start: KeyframeKey, now_s: float) -> None:
        if not self._is_known:
            start = _NOTHING
        self._asked_s = now_s
        request = srv.GetKeyFrames.Request(session=start.session, first_id=start.keyframe_id)
        self._future = self._client.call_async(request)
        self._future.add_done_callback(lambda future: self._take(future, start))

    def _take(self, future: Any, start: KeyframeKey) -> None:
        if future is self._future:
            self._future = None
        if future.cancelled() or future.exception() is not None:
            return
        self._is_known, self._ask_again_s = True, _ASK_AGAIN_S
        if start == _NOTHING:
            return
        self._has_asked_all = True
        self._gap_was_answered = self._gap_was_answered or start == self._gap
        response = future.result()
        if response.keyframes:
            self._logger.info(f'recovered {len(response.keyframes)} keyframes')
        self._on_answer(response)
