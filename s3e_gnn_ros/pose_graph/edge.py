"""One constraint of the graph, turned round and strung together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import Pose, adjoint, inverse, orthonormalised
from s3e_gnn_ros.types import KeyframeKey


@dataclass(frozen=True, eq=False)
class Edge:
    """One constraint of the graph.

    Attributes:
        i: the keyframe it starts from.
        j: the keyframe it leads to.
        T_i_j: (4, 4) measured pose of j in the frame of i.
        covariance: (6, 6) rotation [rad] first, then translation [m], perturbation on the right.
    """

    i: KeyframeKey
    j: KeyframeKey
    T_i_j: Pose
    covariance: NDArray[np.float64]


def turned(edge: Edge) -> Edge:
    """Return the same constraint from j to i."""
    A = adjoint(edge.T_i_j)
    return Edge(edge.j, edge.i, inverse(edge.T_i_j), A @ edge.covariance @ A.T)


def strung(first: Edge, second: Edge) -> Edge:
    """Return the constraint from the start of one edge to the end of one that goes on from it.

    The noise of the first is moved to the end of the second by the adjoint.
    """
    assert first.j == second.i
    A = adjoint(inverse(second.T_i_j))
    covariance = A @ first.covariance @ A.T + second.covariance
    T_i_j = orthonormalised(first.T_i_j @ second.T_i_j)
    return Edge(first.i, second.j, T_i_j, (covariance + covariance.T) / 2)
