"""The tree of TF: who moves in whom, and how at a moment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros.odometry_buffer import Lookup, OdometryBuffer

CAPACITY_S = 10.0
"""As long as tf2 remembers."""
_CAPACITY = 2_000
_MAX_DEPTH = 100
_NEW_START_NS = 1_000_000_000
"""Transforms further back than this begin anew: a recording has started again."""


@dataclass(eq=False)
class _Edge:
    """A frame in its parent: poses by stamp, or one that holds for ever."""

    parent: str
    moving: OdometryBuffer | None
    fixed: Pose | None


class TransformTree:
    """Keeps the last ten seconds of every transform.

    Args:
        max_gap_s: transforms further apart than this are not interpolated between [s].
    """

    def __init__(self, max_gap_s: float) -> None:
        self._max_gap_s = max_gap_s
        self._edges: dict[str, _Edge] = {}

    def add(self, parent: str, child: str, stamp_ns: int, T_parent_child: Pose) -> None:
        """Take the pose (4, 4) of a frame in its parent at a stamp."""
        parent, child = clean_frame(parent), clean_frame(child)
        edge = self._edges.get(child)
        if edge is None or edge.moving is None or edge.parent != parent:
            buffer = OdometryBuffer(self._max_gap_s, CAPACITY_S, _CAPACITY)
            edge = self._edges[child] = _Edge(parent, buffer, None)
        assert edge.moving is not None  # made above where it was not
        newest_ns = edge.moving.newest_ns
        if newest_ns is not None and stamp_ns < newest_ns - _NEW_START_NS:
            edge.moving.clear()
        edge.moving.add(stamp_ns, T_parent_child)

    def add_fixed(self, parent: str, child: str, T_parent_child: Pose) -> None:
        """Take the pose (4, 4) of a frame in its parent that never changes."""
        self._edges[clean_frame(child)] = _Edge(clean_frame(parent), None, T_parent_child)

    def newest_ns(self, frame_a: str, frame_b: str) -> int | None:
        """Return the newest stamp at which all between two frames is known.

        None when they are not connected, or nothing between them moves.
        """
        chains = self._chains(frame_a, frame_b)
        if chains is None:
            return None
        moving = [e.moving.newest_ns for chain in chains for e in chain if e.moving is not None]
        stamps = [stamp for stamp in moving if stamp is not None]
        return min(stamps) if stamps else None

    def at(self, frame_a: str, frame_b: str, stamp_ns: int) -> Pose | Lookup | None:
        """Return T_a_b (4, 4) at a stamp, why it is not known then, or None without a chain."""
        chains = self._chains(frame_a, frame_b)
        if chains is None:
            return None
        poses: list[Pose] = []
        for chain in chains:
            T = np.eye(4)  # pose of the frame the chain begins with in the common ancestor
            for edge in chain:
                step = edge.fixed
                if edge.moving is not None:
                    found = edge.moving.at(stamp_ns, np.eye(4))
                    if isinstance(found, Lookup):
                        return found
                    step = found
                assert step is not None  # an edge has one or the other
                T = step @ T
            poses.append(T)
        return se3.inverse(poses[0]) @ poses[1]

    def newest(self, frame_a: str, frame_b: str) -> Pose | None:
        """Return T_a_b (4, 4) as last known, or None."""
        stamp_ns = self.newest_ns(frame_a, frame_b)
        found = self.at(frame_a, frame_b, 0 if stamp_ns is None else stamp_ns)
        return None if isinstance(found, Lookup) else found

    def _chains(self, frame_a: str, frame_b: str) -> tuple[list[_Edge], list[_Edge]] | None:
        """Return the edges from each frame up to their nearest common ancestor."""
        ancestors_a, ancestors_b = self._ancestors(frame_a), self._ancestors(frame_b)
        for depth_a, frame in enumerate(ancestors_a):
            if frame in ancestors_b:
                depth_b = ancestors_b.index(frame)
                return (
                    [self._edges[name] for name in ancestors_a[:depth_a]],
                    [self._edges[name] for name in ancestors_b[:depth_b]],
                )
        return None

    def _ancestors(self, frame: str) -> list[str]:
        """Return a frame and all above it; a circle, which TF must not have, is cut."""
        names = [clean_frame(frame)]
        while names[-1] in self._edges and len(names) < _MAX_DEPTH:
            names.append(self._edges[names[-1]].parent)
        return names
