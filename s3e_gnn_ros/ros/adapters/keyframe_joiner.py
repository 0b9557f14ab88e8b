"""Poses by the stamp of an image, joined with that image and what else has its stamp."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.adapters.stamped_ring import SAME_STAMP_NS, StampedRing
from s3e_gnn_ros.ros.frame_joiner import Picture

_MAX_NEWER_POSES = 5
"""A keyframe whose parts have not come when this many newer poses have, goes without."""


@dataclass(frozen=True, eq=False)
class JoinedKeyframe:
    """A pose of the host with all that has its stamp.

    Attributes:
        picture: image and depth.
        T_odom_body: pose (4, 4) as the host gave it.
        odom_frame: frame of the pose.
        parts: what came on other topics, by their names; what did not come is missing.
    """

    picture: Picture
    T_odom_body: Pose
    odom_frame: str
    parts: dict[str, Any]


class KeyframeJoiner:
    """Joins pose, picture and parts by equal stamps, as VINS's own loop node does.

    Args:
        capacity: how much is remembered of each; the pose comes about two frames after its image.
        parts: names of what may belong to a keyframe.
        on_drop: called with the reason and a sentence for every keyframe given up.
    """

    def __init__(
        self, capacity: int, parts: Sequence[str], on_drop: Callable[[str, str], None]
    ) -> None:
        self._capacity = capacity
        self._on_drop = on_drop
        self._pictures: StampedRing[Picture] = StampedRing(capacity)
        self._parts: dict[str, StampedRing[Any]] = {name: StampedRing(capacity) for name in parts}
        self._poses: deque[tuple[int, Pose, str]] = deque()
        self._consumed_ns: int | None = None

    def __len__(self) -> int:
        """Return the number of messages that wait."""
        rings = (self._pictures, *self._parts.values())
        return len(self._poses) + sum(len(ring) for ring in rings)

    @property
    def has_pose(self) -> bool:
        """Whether any pose waits."""
        return bool(self._poses)

    def clear(self) -> None:
        """Forget everything."""
        for ring in (self._pictures, *self._parts.values()):
            ring.clear()
        self._poses.clear()
        self._consumed_ns = None

    def add_picture(self, picture: Picture) -> None:
        """Remember a picture, until a keyframe as new as it has been dealt with."""
        if self._is_new(picture.stamp_ns):
            self._pictures.add(picture.stamp_ns, picture)

    def add_part(self, name: str, stamp_ns: int, part: Any) -> None:
        """Remember what belongs to a stamp, as long as its picture."""
        if self._is_new(stamp_ns):
            self._parts[name].add(stamp_ns, part)

    def add_pose(self, stamp_ns: int, T_odom_body: Pose, odom_frame: str) -> None:
        """Queue a keyframe; stamps increase. A queue that nobody empties loses its oldest."""
        if len(self._poses) >= self._capacity:
            oldest_ns = self._poses.popleft()[0]
            self._forget(oldest_ns)
            self._on_drop(
                'no_partner',
                f'no image, camera_info or extrinsic has come for the host pose at {oldest_ns} ns',
            )
        self._poses.append((stamp_ns, T_odom_body, odom_frame))

    def ready(self, wait_for: Collection[str]) -> Iterator[JoinedKeyframe]:
        """Yield the keyframes that are complete by now, in order.

        Args:
            wait_for: names of the parts that somebody publishes.
        """
        while self._poses:
            stamp_ns, T_odom_body, odom_frame = self._poses[0]
            found = self._pictures.find(stamp_ns)
            if found is None:
                if not self._pictures.is_past(stamp_ns):
                    return
                self._poses.popleft()
                self._forget(stamp_ns)
                self._on_drop('no_image', f'no image has the stamp {stamp_ns} ns of a host pose')
                continue
            parts = {name: ring.find(stamp_ns) for name, ring in self._parts.items()}
            is_waiting = any(
                parts[name] is None and not self._parts[name].is_past(stamp_ns)
                for name in wait_for
            )
            if is_waiting and len(self._poses) <= _MAX_NEWER_POSES:
                return
            self._poses.popleft()
            image_ns, picture = found
            self._forget(max(stamp_ns, image_ns))
            known = {name: part[1] for name, part in parts.items() if part is not None}
            yield JoinedKeyframe(picture, T_odom_body, odom_frame, known)

    def _is_new(self, stamp_ns: int) -> bool:
        return self._consumed_ns is None or stamp_ns > self._consumed_ns + SAME_STAMP_NS

    def _forget(self, stamp_ns: int) -> None:
        """Forget all up to a keyframe's stamp: poses come in order of stamps."""
        self._consumed_ns = stamp_ns
        for ring in (self._pictures, *self._parts.values()):
            ring.forget_until(stamp_ns)
