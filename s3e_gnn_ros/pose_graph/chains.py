"""What odometry alone says of the way between any two keyframes, and how surely.

Odometry ties keyframes into trees: chains, where a session may branch off another. With the pose
``P_k`` of keyframe k by odometry in the frame of its root, and the covariance ``C_e`` of the edge
that leads to keyframe e (perturbation on the right), an edge's noise moves to the root's frame by
the adjoint of ``P_e``. Summed along the way from the root,

    S_k = sum over e up to k of Ad(P_e) C_e Ad(P_e)^T

and for any two keyframes, with m the last keyframe that both ways from the root share,

    T_a_b = P_a^-1 P_b,    C_a_b = Ad(P_b^-1) (S_a + S_b - 2 S_m) Ad(P_b^-1)^T
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.pose_graph.twists import adjoints

NO_PARENT = -1


class OdometryTrees:
    """Poses and covariances between keyframes along odometry, from prefix sums.

    Attributes:
        parents: (N,) as given.
        roots: (N,) the root of each keyframe's tree.
        poses_in_root: (N, 4, 4) P, by odometry.

    Args:
        parents: (N,) the keyframe each is tied to by odometry, ``NO_PARENT`` for a root. A parent
            comes before its children.
        T_parent_child: (N, 4, 4) measured; those of the roots do not matter.
        covariances: (N, 6, 6) of these measurements; likewise.
    """

    def __init__(
        self,
        parents: NDArray[np.int64],
        T_parent_child: NDArray[np.float64],
        covariances: NDArray[np.float64],
    ) -> None:
        self.parents = parents
        self.poses_in_root = np.tile(np.eye(4), (len(parents), 1, 1))
        self.roots = np.arange(len(parents))
        self._branches = np.arange(len(parents))  # the first keyframe of each unforked run
        has_child = np.zeros(len(parents), bool)
        for k, parent in enumerate(parents.tolist()):
            if parent == NO_PARENT:
                continue
            self.poses_in_root[k] = self.poses_in_root[parent] @ T_parent_child[k]
            self.roots[k] = self.roots[parent]
            if not has_child[parent]:
                self._branches[k] = self._branches[parent]
                has_child[parent] = True
        self._sums = self._prefix_sums(covariances)

    def _prefix_sums(self, covariances: NDArray[np.float64]) -> NDArray[np.float64]:
        is_root = self.parents == NO_PARENT
        A = adjoints(self.poses_in_root)
        sums = A @ np.where(is_root[:, None, None], 0.0, covariances) @ A.transpose(0, 2, 1)
        for k, parent in enumerate(self.parents.tolist()):
            if parent != NO_PARENT:
                sums[k] += sums[parent]
        return sums

    def are_tied(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell (K,) whether odometry leads from each keyframe a (K,) to b (K,)."""
        return np.asarray(self.roots[a] == self.roots[b])

    def poses(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return T_a_b (K, 4, 4); without meaning where the two are not tied."""
        return np.asarray(inverse(self.poses_in_root[a]) @ self.poses_in_root[b])

    def covariances(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the covariances (K, 6, 6) of T_a_b, perturbation on the right."""
        A = adjoints(inverse(self.poses_in_root[b]))
        return np.asarray(A @ self.spreads(a, b) @ A.transpose(0, 2, 1))

    def spreads(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the same (K, 6, 6), of a perturbation in the frame of the root."""
        m = self._meetings(a, b)
        return np.asarray(self._sums[a] + self._sums[b] - 2 * self._sums[m])

    def poses_from(self, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return poses (N, 4, 4) by odometry alone, each tree's root where ``poses`` has it."""
        return np.asarray(poses[self.roots] @ self.poses_in_root)

    def _meetings(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return (K,) the last keyframe that the ways from the root to a and to b share."""
        m = np.minimum(a, b)
        apart = np.flatnonzero((self._branches[a] != self._branches[b]) & self.are_tied(a, b))
        for k in apart.tolist():
            m[k] = self._meeting(int(a[k]), int(b[k]))
        return m

    def _meeting(self, a: int, b: int) -> int:
        while self._branches[a] != self._branches[b]:
            # The run that began later cannot hold the meeting: step off it to where it forked.
            if self._branches[a] > self._branches[b]:
                a = int(self.parents[self._branches[a]])
            else:
                b = int(self.parents[self._branches[b]])
        return min(a, b)
