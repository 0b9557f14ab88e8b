"""The keyframes of a pose graph and the odometry that ties them together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose, inverse
from s3e_gnn_ros.pose_graph.chains import NO_PARENT, OdometryTrees
from s3e_gnn_ros.pose_graph.edge import Edge, strung, turned
from s3e_gnn_ros.types import KeyframeKey

_FIXED_COVARIANCE = 1e-12 * np.eye(6)
"""Between two keyframes of a base map held fixed."""


@dataclass(eq=False)
class Node:
    """One keyframe.

    Attributes:
        key: session and id.
        stamp_ns: its stamp.
        T_odom_camera: (4, 4) drifting pose of the optical frame.
        edge: the odometry that leads to it; None where a piece of odometry begins.
        T_fixed: (4, 4) pose in the map that nothing may move; None for one that is free.
        up: (3,) direction in its axes that points up, for good; None where it may tilt.
    """

    key: KeyframeKey
    stamp_ns: int
    T_odom_camera: Pose
    edge: Edge | None = None
    T_fixed: Pose | None = None
    up: NDArray[np.float64] | None = None

    @property
    def T(self) -> Pose:
        """The pose it came with (4, 4): in the map where it is fixed, else by odometry."""
        return self.T_odom_camera if self.T_fixed is None else self.T_fixed


@dataclass(frozen=True, eq=False)
class OdometryColumns:
    """What odometry, and a fixed base map, say of N keyframes.

    Attributes:
        parents: (N,) the row each is tied to, or ``NO_PARENT``; those held fixed are tied to one
            another.
        T_parent_child: (N, 4, 4) measured; the identity for a root.
        covariances: (N, 6, 6) of these measurements.
        is_fixed: (N,) which are held fixed.
        ups: (N, 3) directions that point up for good; NaN where a pose may tilt.
    """

    parents: NDArray[np.int64]
    T_parent_child: NDArray[np.float64]
    covariances: NDArray[np.float64]
    is_fixed: NDArray[np.bool_]
    ups: NDArray[np.float64]

    def trees(self) -> OdometryTrees:
        """Return what this says of the way between any two."""
        return OdometryTrees(self.parents, self.T_parent_child, self.covariances)


class KeyframeTable:
    """Keyframes in order of arrival, each tied by odometry to an earlier one or to none.

    Attributes:
        nodes: the keyframes.
        index: row of each by key.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.nodes: list[Node] = []
        self.index: dict[KeyframeKey, int] = {}
        self._last: dict[int, KeyframeKey | None] = {}  # per session; None: its last are removed

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self.nodes)

    def row(self, key: KeyframeKey) -> int:
        """Return the row of a keyframe.

        Raises:
            InputError: there is none.
        """
        if key not in self.index:
            raise InputError(f'{name_of(KeyframeKey(*key))} is not in the pose graph')
        return self.index[key]

    def before(self, key: KeyframeKey, stamp_ns: int) -> Node | None:
        """Return the keyframe that a new one goes on from, if any.

        Raises:
            InputError: the key is known, or time goes backwards.
        """
        if key in self.index:
            raise InputError(f'{name_of(key)} is there already')
        if key.session not in self._last:
            return self.nodes[-1] if self.nodes else None
        last = self._last[key.session]
        if last is None:
            return None
        node = self.nodes[self.index[last]]
        if stamp_ns <= node.stamp_ns:
            raise InputError(
                f'{name_of(key)} has stamp {stamp_ns} ns, not after {node.stamp_ns} ns'
            )
        return node

    def add(self, node: Node) -> int:
        """Add a keyframe that :meth:`before` has accepted; returns its row."""
        self.index[node.key] = len(self.nodes)
        self.nodes.append(node)
        self._last[node.key.session] = node.key
        return len(self.nodes) - 1

    def remove(self, key: KeyframeKey) -> Edge | None:
        """Take a keyframe out; odometry on its two sides becomes one edge.

        Returns:
            Odometry from a neighbour that stays to the keyframe; None where it has no neighbour.

        Raises:
            InputError: there is no such keyframe.
        """
        row = self.row(key)
        node = self.nodes[row]
        children = [n for n in self.nodes if n.edge is not None and n.edge.i == key]
        neighbour = node.edge
        if neighbour is None and children:
            eldest = children.pop(0)
            assert eldest.edge is not None
            neighbour, eldest.edge = turned(eldest.edge), None
        for child in children:
            assert child.edge is not None
            assert neighbour is not None
            child.edge = strung(neighbour, child.edge)
        del self.nodes[row]
        self.index = {n.key: k for k, n in enumerate(self.nodes)}
        if self._last[key.session] == key:
            mates = (n.key for n in reversed(self.nodes) if n.key.session == key.session)
            self._last[key.session] = next(mates, None)
        return neighbour

    def edges(self) -> list[Edge]:
        """Return all odometry."""
        return [node.edge for node in self.nodes if node.edge is not None]

    def parents(self) -> NDArray[np.int64]:
        """Return (N,) the row each keyframe is tied to, or ``NO_PARENT``.

        Those that are held fixed are tied to one another.
        """
        out = np.full(len(self), NO_PARENT)
        last_fixed = NO_PARENT
        for row, node in enumerate(self.nodes):
            if node.edge is not None:
                out[row] = self.index[node.edge.i]
            if node.T_fixed is not None:
                out[row], last_fixed = last_fixed, row
        return out

    def columns(self) -> OdometryColumns:
        """Return what odometry, and a fixed base map, say of all keyframes."""
        parents = self.parents()
        T = np.tile(np.eye(4), (len(self), 1, 1))
        covariances = np.tile(_FIXED_COVARIANCE, (len(self), 1, 1))
        for row, (node, parent) in enumerate(zip(self.nodes, parents.tolist(), strict=True)):
            if node.edge is not None:
                T[row], covariances[row] = node.edge.T_i_j, node.edge.covariance
            elif node.T_fixed is not None and parent != NO_PARENT:
                before = self.nodes[parent].T_fixed
                assert before is not None
                T[row] = inverse(before) @ node.T_fixed
        is_fixed = np.array([node.T_fixed is not None for node in self.nodes], dtype=bool)
        ups = np.full((len(self), 3), np.nan)
        for row, node in enumerate(self.nodes):
            if node.up is not None:
                ups[row] = node.up
        return OdometryColumns(parents, T, covariances, is_fixed, ups)

    def continued(
        self, poses: NDArray[np.float64], present: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return poses of all keyframes (N, 4, 4) from those of the first M, by odometry.

        Args:
            poses: (M, 4, 4).
            present: (N, 4, 4) where a piece that begins among the others is.
        """
        out = np.concatenate([poses, present[len(poses) :]])
        for row in range(len(poses), len(self)):
            edge = self.nodes[row].edge
            if edge is not None:
                out[row] = out[self.index[edge.i]] @ edge.T_i_j
        return out


def name_of(key: KeyframeKey) -> str:
    """Return a keyframe's name for messages."""
    return f'keyframe {key.keyframe_id} of session {key.session}'
