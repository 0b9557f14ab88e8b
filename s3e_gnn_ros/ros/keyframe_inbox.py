"""Brings keyframes into order, and notices when some are missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.continuity import MAX_SPEED_M_PER_S, is_plausible_step
from s3e_gnn_ros.types import KeyframeKey

_MAX_LINK_S = 10.0
_SAME_NODE = 1_000_000
"""Sessions are numbered by the nanosecond their node was started at, and from there on by ones:
nearer numbers are of one node, which took the next because odometry or time began anew."""
_MAX_REMOVED = 100_000
"""Removed keyframes remembered, so that an answer from before their removal is no surprise."""


@dataclass(frozen=True, eq=False)
class KeyframePose:
    """What the pose graph needs of a keyframe.

    Attributes:
        key: session and id.
        stamp_ns: its stamp.
        T_odom_camera: (4, 4) drifting pose of the optical frame.
        odom_frame: name of the odometry frame.
        robot_id: whose odometry it is.
    """

    key: KeyframeKey
    stamp_ns: int
    T_odom_camera: Pose
    odom_frame: str
    robot_id: str = ''


class KeyframeInbox:
    """Hands on keyframes by session and id without gaps; a gap waits until it is filled.

    A back end that starts late, or a message lost on the way, leaves a gap: the owner asks the
    loop closure node for what :meth:`missing` says, or gives it up. Where keyframes were removed
    from the map there is nothing to wait for.
    """

    def __init__(self) -> None:
        self._next_id: dict[int, int] = {}
        self._waiting: dict[KeyframeKey, KeyframePose] = {}
        self._nothing_from: dict[KeyframeKey, int] = {}  # id from which on nothing lies before it
        self._removed: dict[KeyframeKey, None] = {}

    def push(self, keyframe: KeyframePose) -> bool:
        """Take a keyframe; returns False, and ignores it, when it is known already."""
        key = keyframe.key
        is_known = key in self._waiting or key.keyframe_id < self._next_id.get(key.session, 0)
        if is_known or key in self._removed:
            return False
        self._waiting[key] = keyframe
        return True

    def push_history(self, keyframes: Iterable[KeyframePose]) -> None:
        """Take keyframes of which, within each session, none is missing in between."""
        before: dict[int, int] = {}
        for keyframe in sorted(keyframes, key=lambda item: item.key):
            key = keyframe.key
            from_id = before.get(key.session, self._next_id.get(key.session, 0))
            before[key.session] = key.keyframe_id + 1
            self.push(keyframe)
            if key in self._waiting:
                self._nothing_from[key] = from_id

    def remove(self, keys: Iterable[KeyframeKey]) -> None:
        """Wait for these no longer, and take them no more."""
        for key in keys:
            self._waiting.pop(key, None)
            if key.keyframe_id >= self._next_id.get(key.session, 0):  # else it is taken no more
                self._removed[key] = None
        while len(self._removed) > _MAX_REMOVED:
            del self._removed[next(iter(self._removed))]

    def pop_ready(self) -> Iterator[KeyframePose]:
        """Yield, in order, every keyframe that has no gap before it."""
        for key in sorted(self._waiting):
            if self._is_ready(key):
                self._nothing_from.pop(key, None)
                keyframe = self._waiting.pop(key)
                self._pass(key)
                yield keyframe

    def _pass(self, key: KeyframeKey) -> None:
        """Go on after a keyframe; what was removed before it need not be remembered."""
        session, first_id = key.session, self._next_id.get(key.session, 0)
        self._next_id[session] = key.keyframe_id + 1
        if self._removed:
            for number in range(first_id, key.keyframe_id + 1):
                self._removed.pop(KeyframeKey(session, number), None)

    def _is_ready(self, key: KeyframeKey) -> bool:
        return self._gap(key) >= self._nothing_from.get(key, key.keyframe_id)

    def _gap(self, key: KeyframeKey) -> int:
        """Return the first id that a waiting keyframe's session still lacks."""
        next_id = self._next_id.get(key.session, 0)
        while KeyframeKey(key.session, next_id) in self._removed:
            next_id += 1
        return next_id

    def missing(self) -> KeyframeKey | None:
        """Return the first keyframe that others wait for, or None."""
        if not self._waiting:
            return None
        first = min(self._waiting)
        return KeyframeKey(first.session, self._gap(first))

    def give_up(self, session: int) -> None:
        """Go on without what is missing before the first waiting keyframe of a session."""
        ids = [key.keyframe_id for key in self._waiting if key.session == session]
        if ids:
            self._next_id[session] = min(ids)


def is_continued(
    before: KeyframePose, after: KeyframePose, max_speed_m_per_s: float = MAX_SPEED_M_PER_S
) -> bool:
    """Whether odometry measured the motion between two successive keyframes.

    It did not when its frame or robot is another one, when it jumped (a front end that lost track
    and started again at its origin), when the loop closure node saw it begin anew and took the
    next session, or when a restarted node missed too much in between.
    """
    elapsed_s = (after.stamp_ns - before.stamp_ns) / 1e9
    frames = {(item.robot_id, item.odom_frame) for item in (before, after)}
    if len(frames) > 1 or elapsed_s <= 0:
        return False
    num_apart = after.key.session - before.key.session
    if num_apart and (abs(num_apart) < _SAME_NODE or elapsed_s > _MAX_LINK_S):
        return False
    return is_plausible_step(
        elapsed_s, before.T_odom_camera, after.T_odom_camera, max_speed_m_per_s
    )
