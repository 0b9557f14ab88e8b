"""What a pose graph shows of itself: arrays, which also pass from one process to another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.g2o import G2oGraph


@dataclass(frozen=True, eq=False)
class Standing:
    """Where a keyframe is.

    Attributes:
        T_map_camera: (4, 4) pose of the optical frame.
        is_tied: whether it hangs together with the map, so that the pose means something.
        covariance: (6, 6) of the pose, rotation [rad] first, perturbation on the right; None when
            the graph cannot tell.
    """

    T_map_camera: Pose
    is_tied: bool
    covariance: NDArray[np.float64] | None


@dataclass(frozen=True, eq=False)
class GraphColumns:
    """A pose graph of N keyframes, E edges in it, and M closures known.

    Attributes:
        keys: (N, 2) int64, session and id, in the order they came.
        stamps_ns: (N,) int64.
        T_map_camera: (N, 4, 4).
        is_tied: (N,) which hang together with the map.
        edges: (E, 2) rows of the ends of each edge, those of odometry first.
        edge_poses: (E, 4, 4) T_i_j.
        edge_covariances: (E, 6, 6) rotation first, perturbation on the right.
        num_odometry: edges of odometry.
        closures: (M, 2) rows of match and query.
        weights: (M,) float32, how far each closure is believed: 1 as measured, 0 taken out.
    """

    keys: NDArray[np.int64]
    stamps_ns: NDArray[np.int64]
    T_map_camera: NDArray[np.float64]
    is_tied: NDArray[np.bool_]
    edges: NDArray[np.int64]
    edge_poses: NDArray[np.float64]
    edge_covariances: NDArray[np.float64]
    num_odometry: int
    closures: NDArray[np.int64]
    weights: NDArray[np.float32]

    def g2o(self) -> G2oGraph:
        """Return poses and edges as g2o knows them; ids count the keyframes in order."""
        return G2oGraph(
            ids=np.arange(len(self.keys)),
            poses=self.T_map_camera,
            edge_ids=self.edges,
            edge_poses=self.edge_poses,
            information=np.asarray(np.linalg.inv(self.edge_covariances), dtype=np.float64),
        )
