"""What a pose graph's tables look like to the solver: pieces, anchors, and factors by row."""

from __future__ import annotations

import gtsam
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import Pose, inverse, orthonormalised
from s3e_gnn_ros.pose_graph.chains import NO_PARENT
from s3e_gnn_ros.pose_graph.closure_table import Closure, ClosureTable
from s3e_gnn_ros.pose_graph.edge import Edge
from s3e_gnn_ros.pose_graph.gravity import level_move, rigid_move
from s3e_gnn_ros.pose_graph.keyframe_table import KeyframeTable, Node
from s3e_gnn_ros.pose_graph.noise import robust_noise
from s3e_gnn_ros.pose_graph.solver import FIXED_SIGMAS, IncrementalSolver


class Skeleton:
    """Keeps an incremental solver in step with the keyframes and the closures that are in.

    What is added goes straight to the solver. Where something is taken away, the solver is built
    anew when it is next used: once, however much has gone.

    Args:
        keyframes: of the graph.
        closures: of the graph.
        config: noise and solver.
    """

    def __init__(
        self, keyframes: KeyframeTable, closures: ClosureTable, config: PoseGraphConfig
    ) -> None:
        self._keyframes = keyframes
        self._closures = closures
        self._config = config
        self._solver = IncrementalSolver(config.relinearize_threshold)
        self._piece: list[int] = []  # per keyframe: row of the anchored keyframe it hangs on
        self._first_fixed: int | None = None
        self._has_new_loop = False
        self._stale: NDArray[np.float64] | None = None  # poses from which to build anew
        self._num_past_recoveries = 0

    @property
    def num_pieces(self) -> int:
        """Parts of the map that nothing ties together."""
        self.settle()
        return len(set(self._piece))

    @property
    def num_recoveries(self) -> int:
        """How often the batch solver had to help."""
        return self._num_past_recoveries + self._solver.num_recoveries

    def are_joined(self, i: int, j: int) -> bool:
        """Whether two keyframes hang on the same anchor."""
        self.settle()
        return self._piece[i] == self._piece[j]

    def is_tied(self, row: int) -> bool:
        """Whether a keyframe hangs together with the base map, or else with the first keyframe."""
        return self.are_joined(row, 0 if self._first_fixed is None else self._first_fixed)

    def add(self, node: Node) -> None:
        """Take in a keyframe that the table has taken in last."""
        if node.T_fixed is not None:
            index = self._solver.add_pose(node.T_fixed)
            self._solver.add_anchor(index, node.T_fixed, FIXED_SIGMAS)
            self._first_fixed = index if self._first_fixed is None else self._first_fixed
            self._piece.append(self._first_fixed)
        elif node.edge is None:
            index = self._solver.add_pose(node.T_odom_camera)
            self._solver.add_anchor(index, node.T_odom_camera)
            self._piece.append(index)
        else:
            i = self._keyframes.index[node.edge.i]
            j = self._solver.add_pose(self._solver.pose(i) @ node.edge.T_i_j)
            self._add_odometry(i, j, node.edge)
            self._piece.append(self._piece[i])
        self._hold_tilt(len(self._piece) - 1, node)

    def put_in(self, closure: Closure) -> None:
        """Add a closure's factor, and join the two pieces it is the first to tie together."""
        self.settle()
        edge = closure.edge
        i, j = self._keyframes.index[edge.i], self._keyframes.index[edge.j]
        if self._piece[i] != self._piece[j]:
            self._join(i, j, edge.T_i_j)
        self._add_loop(i, j, edge)
        closure.is_in = True

    def rebuild_from(self, poses: NDArray[np.float64]) -> None:
        """Build the solver anew from poses (N, 4, 4): the closures that are in have changed."""
        self._stale = poses
        self._has_new_loop = True

    def take_out(self, closure: Closure) -> None:
        """Take a closure's factor away."""
        if closure.is_in:
            self.rebuild_from(self._present())
        closure.is_in = False

    def forget(self, row: int) -> None:
        """Let go of the pose of a keyframe that the table is about to remove."""
        self.rebuild_from(np.delete(self._present(), row, axis=0))

    def update(self) -> bool:
        """Fold in what is new; returns whether loops were among it, or anything taken away.

        Raises:
            InputError: the graph cannot be solved; the next update tries again.
        """
        self.settle()
        self._solver.update(self._config.extra_iterations)
        had_loop, self._has_new_loop = self._has_new_loop, False
        return had_loop

    def finish(self) -> None:
        """Optimise everything at once.

        Raises:
            InputError: the graph cannot be solved.
        """
        self.settle()
        self._solver.finish()

    def poses(self) -> NDArray[np.float64]:
        """Return the present estimates (N, 4, 4)."""
        self.settle()
        return self._solver.poses()

    def pose(self, row: int) -> Pose:
        """Return the present estimate (4, 4) of one keyframe."""
        self.settle()
        return self._solver.pose(row)

    def marginal_covariance(self, row: int) -> NDArray[np.float64]:
        """Return the (6, 6) covariance of one pose, rotation first, perturbation on the right."""
        self.settle()
        return self._solver.marginal_covariance(row)

    def error(self) -> float:
        """Return half the sum of squared whitened residuals, robust kernels applied."""
        self.settle()
        return self._solver.error()

    def settle(self) -> None:
        """Build the solver anew where something has been taken away."""
        if self._stale is None:
            return
        poses, self._stale = orthonormalised(self._stale), None
        self._num_past_recoveries += self._solver.num_recoveries
        self._solver = IncrementalSolver(self._config.relinearize_threshold)
        self._piece = self._pieces()
        for row, (node, T) in enumerate(zip(self._keyframes.nodes, poses, strict=True)):
            root = self._piece[row]
            if root != self._first_fixed:
                # A piece that has come loose goes back to where its odometry began.
                home = self._keyframes.nodes[root].T_odom_camera
                T = home @ inverse(poses[root]) @ T
            self._solver.add_pose(T)
            if node.T_fixed is not None:
                self._solver.add_anchor(row, node.T_fixed, FIXED_SIGMAS)
            elif row == root:
                self._solver.add_anchor(row, node.T_odom_camera)
            if node.edge is not None:
                self._add_odometry(self._keyframes.index[node.edge.i], row, node.edge)
            self._hold_tilt(row, node)
        for closure in self._closures.inside():
            edge = closure.edge
            self._add_loop(self._keyframes.index[edge.i], self._keyframes.index[edge.j], edge)

    def _present(self) -> NDArray[np.float64]:
        return self._solver.poses() if self._stale is None else self._stale

    def _pieces(self) -> list[int]:
        """Return for each keyframe the row of the one its piece is anchored at."""
        nodes, index = self._keyframes.nodes, self._keyframes.index
        fixed = [row for row, node in enumerate(nodes) if node.T_fixed is not None]
        self._first_fixed = fixed[0] if fixed else None
        parents = self._keyframes.parents()
        ends = [(row, parents[row]) for row in np.flatnonzero(parents != NO_PARENT).tolist()]
        ends += [(index[c.edge.i], index[c.edge.j]) for c in self._closures.inside()]
        ij = np.array(ends, dtype=np.int64).reshape(-1, 2).T
        graph = coo_matrix((np.ones(len(ends)), ij), shape=(len(nodes), len(nodes)))
        labels = connected_components(graph, directed=False)[1]
        _, firsts, numbers = np.unique(labels, return_index=True, return_inverse=True)
        if self._first_fixed is not None:
            firsts[numbers[self._first_fixed]] = self._first_fixed
        return [int(row) for row in firsts[numbers]]

    def _hold_tilt(self, row: int, node: Node) -> None:
        if node.up is not None:
            self._solver.hold_tilt(row, node.up)

    def _add_odometry(self, i: int, j: int, edge: Edge) -> None:
        noise = gtsam.noiseModel.Gaussian.Covariance(edge.covariance)
        self._solver.add_between(i, j, edge.T_i_j, noise)

    def _add_loop(self, i: int, j: int, edge: Edge) -> None:
        noise = gtsam.noiseModel.Gaussian.Covariance(edge.covariance)
        kernel, threshold = self._config.robust_kernel, self._config.robust_threshold
        noise = robust_noise(noise, kernel, threshold)
        self._solver.add_between(i, j, edge.T_i_j, noise, is_loop=True)
        self._has_new_loop = True

    def _join(self, i: int, j: int, T_i_j: Pose) -> None:
        """Lay the younger of two pieces onto the older, so that the edge holds exactly.

        A piece held fixed is never the one that moves. One that knows gravity stays upright.
        """
        j_is_younger = self._piece[i] < self._piece[j]
        if self._piece[i] != self._first_fixed and (
            not j_is_younger or self._piece[j] == self._first_fixed
        ):
            i, j, T_i_j = j, i, inverse(T_i_j)
        stays, moves = self._piece[i], self._piece[j]
        move = rigid_move if self._keyframes.nodes[moves].up is None else level_move
        T_new_old = move(self._solver.pose(i) @ T_i_j, self._solver.pose(j))
        indices = np.flatnonzero(np.array(self._piece) == moves)
        self._solver.release(moves, indices, T_new_old)
        for index in indices.tolist():
            self._piece[index] = stays
