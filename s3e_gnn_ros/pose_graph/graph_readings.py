"""What can be read from a pose graph."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose, inverse
from s3e_gnn_ros.pose_graph.check import Checker
from s3e_gnn_ros.pose_graph.closure_report import ClosureReport, report_closure
from s3e_gnn_ros.pose_graph.closure_table import ClosureTable, Pair, loops_of
from s3e_gnn_ros.pose_graph.edge import Edge
from s3e_gnn_ros.pose_graph.g2o import G2oGraph
from s3e_gnn_ros.pose_graph.gate import Gate
from s3e_gnn_ros.pose_graph.graph_columns import GraphColumns, Standing
from s3e_gnn_ros.pose_graph.keyframe_table import KeyframeTable
from s3e_gnn_ros.pose_graph.noise import robust_weights
from s3e_gnn_ros.pose_graph.skeleton import Skeleton
from s3e_gnn_ros.types import KeyframeKey, LoopClosure


class GraphReadings:
    """The tables of a pose graph, and all that can be asked of it without changing it.

    Args:
        config: noise, solver and checks.
        checker: judges all closures together; on the spot when None.
    """

    def __init__(self, config: PoseGraphConfig, checker: Checker | None = None) -> None:
        self._config = config
        self._keyframes = KeyframeTable()
        self._closures = ClosureTable()
        self._skeleton = Skeleton(self._keyframes, self._closures, config)
        tables = self._keyframes, self._closures
        self._gate = Gate(*tables, self._skeleton, config, checker)
        self._pending: dict[Pair, LoopClosure] = {}

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self._keyframes)

    @property
    def keys(self) -> list[KeyframeKey]:
        """All keyframes in the order they came; rows of :meth:`poses` are in this order."""
        return list(self._keyframes.index)

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamps (N,) of all keyframes."""
        return np.array([node.stamp_ns for node in self._keyframes.nodes], dtype=np.int64)

    @property
    def odometry_edges(self) -> list[Edge]:
        """Constraints between successive keyframes."""
        return self._keyframes.edges()

    @property
    def closure_edges(self) -> list[Edge]:
        """Loop closures that are in the graph, from match to query."""
        return [closure.edge for closure in self._closures.inside()]

    @property
    def rejected_edges(self) -> list[Edge]:
        """Loop closures that are known, but not in the graph: by a check, or by hand."""
        return [closure.edge for closure in self._closures.all() if not closure.is_in]

    @property
    def num_closures(self) -> int:
        """Loop closures known, in the graph or not."""
        return len(self._closures)

    @property
    def num_pending(self) -> int:
        """Closures that wait for a keyframe."""
        return len(self._pending)

    @property
    def num_pieces(self) -> int:
        """Parts of the map that nothing ties together yet."""
        return self._skeleton.num_pieces

    @property
    def num_recoveries(self) -> int:
        """How often iSAM2 had to be helped by the batch solver."""
        return self._skeleton.num_recoveries

    @property
    def num_checks(self) -> int:
        """How often all closures were judged."""
        return self._gate.num_checks

    @property
    def is_checking(self) -> bool:
        """Whether a check is under way elsewhere; an update after its end takes its result in."""
        return self._gate.is_checking

    def closure_weights(self) -> list[tuple[KeyframeKey, KeyframeKey, float]]:
        """Return match, query and weight of all closures known.

        The weight is what the robust kernel leaves of a closure's information, 1 as measured; 0
        for one that is not in the graph.
        """
        closures = self._closures.all()
        if not closures:
            return []
        residuals = loops_of(closures, self._keyframes.index).squared_residuals(self.poses())
        kernel, threshold = self._config.robust_kernel, self._config.robust_threshold
        weights = robust_weights(np.sqrt(residuals), kernel, threshold)
        return [
            (closure.edge.i, closure.edge.j, float(weight) if closure.is_in else 0.0)
            for closure, weight in zip(closures, weights, strict=True)
        ]

    def report(self, match: KeyframeKey, query: KeyframeKey) -> ClosureReport:
        """Return what speaks for and against a closure.

        Raises:
            InputError: the pair has no closure.
        """
        pair = KeyframeKey(*match), KeyframeKey(*query)
        tables = self._keyframes, self._closures
        return report_closure(*tables, self.poses(), pair, self._config)

    def poses(self) -> NDArray[np.float64]:
        """Return T_map_camera (N, 4, 4) of all keyframes, in the order of :attr:`keys`."""
        return self._skeleton.poses()

    def pose(self, key: KeyframeKey) -> Pose:
        """Return T_map_camera (4, 4) of one keyframe.

        Raises:
            InputError: there is no such keyframe.
        """
        return self._skeleton.pose(self._keyframes.row(key))

    def standing(self, key: KeyframeKey) -> Standing:
        """Return where a keyframe stands in the map, and how surely.

        Raises:
            InputError: there is no such keyframe.
        """
        T_map_camera, is_tied = self.pose(key), self.is_tied(key)
        try:
            covariance = self.marginal_covariance(key)
        except InputError:
            covariance = None
        return Standing(T_map_camera, is_tied, covariance)

    def columns(self) -> GraphColumns:
        """Return everything there is to show, as columns."""
        closures, edges = self.closure_weights(), self.odometry_edges + self.closure_edges
        index = self._keyframes.index
        keys = self.keys
        return GraphColumns(
            keys=np.array(keys, dtype=np.int64).reshape(-1, 2),
            stamps_ns=self.stamps_ns,
            T_map_camera=self.poses(),
            is_tied=np.array([self.is_tied(key) for key in keys], dtype=bool),
            edges=_rows([(index[edge.i], index[edge.j]) for edge in edges]),
            edge_poses=np.array([edge.T_i_j for edge in edges]).reshape(-1, 4, 4),
            edge_covariances=np.array([edge.covariance for edge in edges]).reshape(-1, 6, 6),
            num_odometry=len(self.odometry_edges),
            closures=_rows([(index[match], index[query]) for match, query, _ in closures]),
            weights=np.array([weight for _, _, weight in closures], dtype=np.float32),
        )

    def is_tied(self, key: KeyframeKey) -> bool:
        """Return whether a keyframe hangs together with the map, so that its pose means something.

        The map is what is held fixed, or else the piece of the keyframe that came first.

        Raises:
            InputError: there is no such keyframe.
        """
        return self._skeleton.is_tied(self._keyframes.row(key))

    def latest_correction(self) -> Pose:
        """Return T_map_odom (4, 4) by the keyframe that came last; the identity before the first.

        It is ``T_map_camera @ inverse(T_odom_camera)``.
        """
        if not len(self):
            return np.eye(4)
        return self._skeleton.pose(len(self) - 1) @ inverse(
            self._keyframes.nodes[-1].T_odom_camera
        )

    def marginal_covariance(self, key: KeyframeKey) -> NDArray[np.float64]:
        """Return the covariance (6, 6) of T_map_camera, relative to the anchor of its piece.

        Rotation [rad] first, then translation [m], perturbation on the right.

        Raises:
            InputError: there is no such keyframe.
        """
        return self._skeleton.marginal_covariance(self._keyframes.row(key))

    def error(self) -> float:
        """Return half the sum of squared whitened residuals, robust kernels applied."""
        return self._skeleton.error()

    def to_g2o(self) -> G2oGraph:
        """Return poses and edges as g2o knows them; ids count the keyframes in order."""
        return self.columns().g2o()


def _rows(pairs: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)
