"""The incremental solver: poses, edges and anchors by index, on GTSAM's iSAM2.

It recovers where plain iSAM2 would give up or run away: a badly conditioned system, or a loop so
far off that its Gauss-Newton steps increase the error, is solved once by Levenberg-Marquardt, and
iSAM2 goes on from there.
"""

from __future__ import annotations

from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.batch import (
    is_indeterminate,
    minimise,
    optimise_batch,
    poses_of,
)
from s3e_gnn_ros.pose_graph.gravity import levelled, tilt_factor

ANCHOR_SIGMAS = np.array([1e-3] * 3 + [1e-2] * 3)
"""Standard deviations (6,) of a prior on a first pose, [rad] and [m]: it only fixes the gauge."""

FIXED_SIGMAS = np.full(6, 1e-4)
"""Standard deviations (6,) of a prior on a pose that nothing may move, [rad] and [m]."""

SURPRISE = 50.0
"""A loop whose error (half chi2) is larger before it is folded in may make iSAM2 run away."""


class IncrementalSolver:
    """Poses 0 to N - 1 and what ties them together.

    What is added takes effect at the next :meth:`update`. Not thread-safe: one thread owns it.

    Attributes:
        num_recoveries: how often the batch solver had to help.
    """

    def __init__(self, relinearize_threshold: float) -> None:
        """Start empty.

        Args:
            relinearize_threshold: a pose that moved by more [rad, m] is linearised again.
        """
        self.num_recoveries = 0
        self._relinearize_threshold = relinearize_threshold
        self._factorization = 'CHOLESKY'
        self._graph = gtsam.NonlinearFactorGraph()
        self._anchors: dict[int, Any] = {}
        self._ups: dict[int, NDArray[np.float64]] = {}
        self._num_poses = 0
        self._has_new_loop = False
        self._new_loop_error = 0.0
        self._start(gtsam.NonlinearFactorGraph(), gtsam.Values())

    def __len__(self) -> int:
        """Return the number of poses."""
        return self._num_poses

    @property
    def num_factors(self) -> int:
        """Number of edges, anchors and held tilts."""
        return int(self._graph.size()) + len(self._anchors)

    def add_pose(self, T_guess: Pose) -> int:
        """Add a pose (4, 4) by its initial guess; returns its index.

        An anchor or an edge must tie it down before the next update.
        """
        self._new_values.insert(self._num_poses, gtsam.Pose3(T_guess))
        self._num_poses += 1
        return self._num_poses - 1

    def add_anchor(self, index: int, T: Pose, sigmas: NDArray[np.float64] = ANCHOR_SIGMAS) -> None:
        """Tie a pose to a place (4, 4), which fixes the gauge of all that hangs on it.

        Args:
            index: of the pose.
            T: (4, 4) the place.
            sigmas: (6,) standard deviations, rotation [rad] first, then translation [m].
        """
        noise = gtsam.noiseModel.Diagonal.Sigmas(sigmas)
        anchor = gtsam.PriorFactorPose3(index, gtsam.Pose3(T), noise)
        self._anchors[index] = anchor
        self._new_factors.add(anchor)

    def hold_tilt(self, index: int, up: NDArray[np.float64]) -> None:
        """Hold roll and pitch of a pose: the direction (3,) in its axes points up for good."""
        self._ups[index] = up
        factor = tilt_factor(index, up)
        self._graph.add(factor)
        self._new_factors.add(factor)

    def add_between(self, i: int, j: int, T_i_j: Pose, noise: Any, is_loop: bool = False) -> None:
        """Add an edge.

        Args:
            i: index of the first pose.
            j: index of the second pose.
            T_i_j: (4, 4) measured pose of j in the frame of i.
            noise: gtsam noise model of six dimensions, rotation first, perturbation on the right.
            is_loop: it ties together what was already tied.
        """
        factor = gtsam.BetweenFactorPose3(i, j, gtsam.Pose3(T_i_j), noise)
        self._graph.add(factor)
        self._new_factors.add(factor)
        if is_loop:
            self._has_new_loop = True
            self._new_loop_error += factor.error(self._values_of(i, j))

    def release(self, anchor: int, indices: NDArray[np.int64], T_new_old: Pose) -> None:
        """Take an anchor away and move the poses that hung on it as one rigid body.

        Args:
            anchor: index of the anchored pose.
            indices: (K,) the poses to move.
            T_new_old: (4, 4) what each is multiplied with on the left.
        """
        values = self._values()
        move = gtsam.Pose3(T_new_old)
        for index in indices.tolist():
            values.update(index, move.compose(values.atPose3(index)))
        del self._anchors[anchor]
        self._start(self._full_graph(), values)

    def update(self, extra_iterations: int = 0) -> None:
        """Fold in everything new.

        Args:
            extra_iterations: at most so many further steps when a loop was among it.

        Raises:
            InputError: the graph is so badly conditioned that not even the batch solver helps.
        """
        if self._new_factors.size() == 0 and self._new_values.size() == 0:
            return
        # The check costs a pass over the whole graph: only where a loop brings news.
        before = self._values() if self._new_loop_error > SURPRISE else None
        try:
            self._step(extra_iterations if self._has_new_loop else 0)
        except RuntimeError as err:
            if not is_indeterminate(err):
                raise
            # QR needs the square root of Cholesky's condition number, and twice its time.
            self._factorization = 'QR'
            self._recover(self._salvage() if before is None else before)
        else:
            if before is not None and self._ran_away(before):
                self._recover(before)
        self._has_new_loop = False
        self._new_loop_error = 0.0

    def finish(self) -> None:
        """Optimise everything at once from the present estimate, and go on from the result.

        Raises:
            InputError: see :meth:`update`.
        """
        self.update()
        if self._num_poses == 0:
            return
        graph, values = self._full_graph(), self._values()
        best = optimise_batch(graph, values, self._upright)
        if graph.error(best) < graph.error(values):
            self._seed(best)

    def pose(self, index: int) -> Pose:
        """Return the present estimate (4, 4) of one pose."""
        if self._new_values.exists(index):
            return np.asarray(self._new_values.atPose3(index).matrix())
        if self._cache is not None:
            return np.asarray(self._cache.atPose3(index).matrix())
        return np.asarray(self._isam.calculateEstimatePose3(index).matrix())

    def poses(self) -> NDArray[np.float64]:
        """Return the present estimates (N, 4, 4) of all poses."""
        return poses_of(self._values())

    def error(self) -> float:
        """Return half the sum of squared whitened residuals, robust kernels applied."""
        return float(self._full_graph().error(self._values()))

    def marginal_covariance(self, index: int) -> NDArray[np.float64]:
        """Return the (6, 6) covariance of one pose, rotation first, perturbation on the right."""
        self.update()
        return np.asarray(self._isam.marginalCovariance(index))

    def _start(self, factors: Any, values: Any) -> None:
        """Begin a new iSAM2 that takes in these factors and values at the next update."""
        params = gtsam.ISAM2Params()
        params.setRelinearizeThreshold(self._relinearize_threshold)
        params.relinearizeSkip = 1
        params.setFactorization(self._factorization)
        self._isam = gtsam.ISAM2(params)
        self._new_factors, self._new_values = factors, values
        self._cache: Any | None = None

    def _step(self, extra_iterations: int) -> None:
        self._cache = None
        self._isam.update(self._new_factors, self._new_values)
        self._new_factors, self._new_values = gtsam.NonlinearFactorGraph(), gtsam.Values()
        for _ in range(extra_iterations):
            if self._isam.update().getVariablesRelinearized() == 0:
                break

    def _recover(self, values: Any) -> None:
        self.num_recoveries += 1
        graph = self._full_graph()
        try:
            self._seed(minimise(graph, values))
        except RuntimeError as err:
            self._start(graph, values)
            raise InputError(f'pose graph cannot be solved: {_first_line(err)}') from err

    def _seed(self, values: Any) -> None:
        """Let a new iSAM2 take in the whole graph with these values."""
        graph = self._full_graph()
        for factorization in ('CHOLESKY', 'QR') if self._factorization != 'QR' else ('QR',):
            self._factorization = factorization
            self._start(graph, values)
            try:
                self._step(0)
                return
            except RuntimeError as err:
                if not is_indeterminate(err):
                    raise
                reason = _first_line(err)
        self._start(graph, values)  # the next update tries again
        raise InputError(f'pose graph cannot be solved: {reason}')

    def _ran_away(self, before: Any) -> bool:
        """Whether the steps after a loop increased the error far beyond rounding."""
        graph = self._full_graph()
        self._cache = self._isam.calculateEstimate()
        after = graph.error(self._cache)
        return not after <= 2.0 * graph.error(before) + 1.0  # NaN ran away too

    def _full_graph(self) -> Any:
        graph = gtsam.NonlinearFactorGraph(self._graph)
        for anchor in self._anchors.values():
            graph.add(anchor)
        return graph

    def _values(self) -> Any:
        """Return a copy of the estimates of all poses, the new ones included."""
        if self._cache is None and self._isam.getLinearizationPoint().size() > 0:
            self._cache = self._estimate()
        values = gtsam.Values() if self._cache is None else gtsam.Values(self._cache)
        values.insert(self._new_values)
        return values

    def _upright(self, values: Any) -> Any:
        """Return gtsam.Values with the poses whose tilt is held made upright."""
        for index, up in self._ups.items():
            T = levelled(values.atPose3(index).matrix(), up)
            values.update(index, gtsam.Pose3(T))
        return values

    def _estimate(self) -> Any:
        """Return the solution; GTSAM may find only here that a system is badly conditioned."""
        try:
            return self._isam.calculateEstimate()
        except RuntimeError as err:
            if not is_indeterminate(err):
                raise
            self._factorization = 'QR'
            self._recover(self._salvage())
            return self._isam.calculateEstimate()

    def _values_of(self, *indices: int) -> Any:
        values = gtsam.Values()
        for index in indices:
            values.insert(index, gtsam.Pose3(self.pose(index)))
        return values

    def _salvage(self) -> Any:
        """Return values of all poses after a failed update, which may have taken the new ones."""
        values = self._isam.getLinearizationPoint()
        for index in self._new_values.keys():  # noqa: SIM118 (gtsam.Values is no mapping)
            if not values.exists(index):
                values.insert(index, self._new_values.atPose3(index))
        return values


def _first_line(err: RuntimeError) -> str:
    return ' '.join(str(err).split('.')[0].split())
