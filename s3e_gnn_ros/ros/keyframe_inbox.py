"""Brings keyframes into order, and notices when some are missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.continuity import is_plausible_step
from s3e_gnn_ros.types import KeyframeKey

_MAX_LINK_S = 10.0


@dataclass(frozen=True, eq=False)
class KeyframePose:
    """What the pose graph needs of a keyframe.

    Attributes:
        key: session and id.
        stamp_ns: its stamp.
        T_odom_camera: (4, 4) drifting pose of the optical frame.
        odom_frame: name of the odometry frame.
    """

    key: KeyframeKey
    stamp_ns: int
    T_odom_camera: Pose
    odom_frame: str


class KeyframeInbox:
    """Hands on keyframes by session and id without gaps; a gap waits until it is filled.

    A back end that starts late, or a message lost on the way, leaves a gap: the owner asks the
    loop closure node for what :meth:`missing` says, or gives it up.
    """

    def __init__(self) -> None:
        self._next_id: dict[int, int] = {}
        self._waiting: dict[KeyframeKey, KeyframePose] = {}

    def push(self, keyframe: KeyframePose) -> bool:
        """Take a keyframe; returns False, and ignores it, when it is known already."""
        key = keyframe.key
        if key in self._waiting or key.keyframe_id < self._next_id.get(key.session, 0):
            return False
        self._waiting[key] = keyframe
        return True

    def pop_ready(self) -> Iterator[KeyframePose]:
        """Yield, in order, every keyframe that has no gap before it."""
        for key in sorted(self._waiting):
            if key.keyframe_id == self._next_id.get(key.session, 0):
                self._next_id[key.session] = key.keyframe_id + 1
                yield self._waiting.pop(key)

    def missing(self) -> KeyframeKey | None:
        """Return the first keyframe that others wait for, or None."""
        if not self._waiting:
            return None
        session = min(self._waiting).session
        return KeyframeKey(session, self._next_id.get(session, 0))

    def give_up(self, session: int) -> None:
        """Go on without what is missing before the first waiting keyframe of a session."""
        ids = [key.keyframe_id for key in self._waiting if key.session == session]
        if ids:
            self._next_id[session] = min(ids)


def is_continued(before: KeyframePose, after: KeyframePose) -> bool:
    """Whether odometry measured the motion between two successive keyframes.

    It did not when its frame is another one, when it jumped (a front end that lost track and
    started again at its origin), or when a restarted node missed too much in between.
    """
    elapsed_s = (after.stamp_ns - before.stamp_ns) / 1e9
    if before.odom_frame != after.odom_frame or elapsed_s <= 0:
        return False
    if before.key.session != after.key.session and elapsed_s > _MAX_LINK_S:
        return False
    return is_plausible_step(elapsed_s, before.T_odom_camera, after.T_odom_camera)
