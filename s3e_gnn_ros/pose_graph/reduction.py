"""The keyframes that decide about closures: those at their ends, and where odometry forks.

Between two of them odometry is one edge, whose covariance the trees know exactly. Where loops are
few the graph to judge is much smaller than the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.pose_graph.chains import NO_PARENT, OdometryTrees
from s3e_gnn_ros.pose_graph.loops import Loops


@dataclass(frozen=True, eq=False)
class Reduction:
    """A choice of keyframes.

    Attributes:
        rows: (M,) the keyframes chosen, in order; roots of odometry among them.
        nearest: (N,) for each keyframe, the row of the chosen one that odometry reaches it from,
            itself where it is chosen.
        numbers: (N,) place of each keyframe in ``rows``; without meaning where it is not chosen.
        trees: odometry of all keyframes.
    """

    rows: NDArray[np.int64]
    nearest: NDArray[np.int64]
    numbers: NDArray[np.int64]
    trees: OdometryTrees

    def loops(self, loops: Loops) -> Loops:
        """Return closures between the chosen ones, by their places."""
        return Loops(self.numbers[loops.i], self.numbers[loops.j], loops.T_i_j, loops.covariances)

    def add_odometry(self, graph: gtsam.NonlinearFactorGraph) -> None:
        """Add an edge from each chosen keyframe to the one before it in its tree."""
        parents = self.trees.parents[self.rows]
        ends = self.rows[parents != NO_PARENT]
        starts = self.nearest[parents[parents != NO_PARENT]]
        poses, covariances = self.trees.poses(starts, ends), self.trees.covariances(starts, ends)
        i, j = self.numbers[starts].tolist(), self.numbers[ends].tolist()
        for k in range(len(ends)):
            noise = gtsam.noiseModel.Gaussian.Covariance(covariances[k])
            graph.add(gtsam.BetweenFactorPose3(i[k], j[k], gtsam.Pose3(poses[k]), noise))

    def spread(self, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return poses of all keyframes (N, 4, 4), by odometry from the chosen ones (M, 4, 4)."""
        everyone = np.arange(len(self.nearest))
        T = self.trees.poses(self.nearest, everyone)
        return np.asarray(poses[self.numbers[self.nearest]] @ T)


def reduce(trees: OdometryTrees, loops: Loops) -> Reduction:
    """Choose the keyframes that closures, roots and forks of odometry need."""
    parents = trees.parents
    num_children = np.bincount(parents[parents != NO_PARENT], minlength=len(parents))
    chosen = (parents == NO_PARENT) | (num_children > 1)
    chosen[loops.i] = chosen[loops.j] = True
    nearest = np.arange(len(parents))
    for row in np.flatnonzero(~chosen).tolist():
        nearest[row] = nearest[parents[row]]
    return Reduction(np.flatnonzero(chosen), nearest, np.cumsum(chosen) - 1, trees)


def values_of(poses: NDArray[np.float64]) -> Any:
    """Return poses (N, 4, 4) as gtsam.Values of keys 0 to N - 1."""
    values = gtsam.Values()
    for row, T in enumerate(poses):
        values.insert(row, gtsam.Pose3(T))
    return values
