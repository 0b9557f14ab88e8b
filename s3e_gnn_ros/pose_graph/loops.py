"""Loop closures as columns: what the robust checks compute with."""

from __future__ import annotations

from dataclasses import dataclass

import gtsam
import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.pose_graph.twists import logmaps, squared_distances

DIMENSIONS = 6


@dataclass(frozen=True, eq=False)
class Loops:
    """K closures between poses known by index.

    Attributes:
        i: (K,) int64, index of the match.
        j: (K,) int64, index of the query.
        T_i_j: (K, 4, 4) measured pose of j in the frame of i.
        covariances: (K, 6, 6) rotation first, perturbation on the right.
    """

    i: NDArray[np.int64]
    j: NDArray[np.int64]
    T_i_j: NDArray[np.float64]
    covariances: NDArray[np.float64]

    def __len__(self) -> int:
        """Return K."""
        return len(self.i)

    def subset(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Loops:
        """Return those of the given rows, indices or mask."""
        return Loops(self.i[rows], self.j[rows], self.T_i_j[rows], self.covariances[rows])

    def squared_residuals(self, poses: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chi2 (K,) of each closure at poses (N, 4, 4)."""
        twists = logmaps(inverse(self.T_i_j) @ inverse(poses[self.i]) @ poses[self.j])
        return squared_distances(twists, self.covariances)

    def factor(self, row: int, weight: float = 1.0) -> gtsam.BetweenFactorPose3:
        """Return one as a factor, its information multiplied by a weight above zero."""
        noise = gtsam.noiseModel.Gaussian.Covariance(self.covariances[row] / weight)
        T_i_j = gtsam.Pose3(self.T_i_j[row])
        return gtsam.BetweenFactorPose3(int(self.i[row]), int(self.j[row]), T_i_j, noise)


def chi2_threshold(probability: float) -> float:
    """Return what the chi2 of a right closure (six degrees of freedom) stays below so often."""
    # The quantile of chi2; scipy.stats, which has it by name, takes half a second to import.
    return float(2 * gammaincinv(DIMENSIONS / 2, probability))
