"""Pairwise consistency: which loop closures agree with one another through odometry alone.

Source: Mangelson, Dominic, Eustice, Vasudevan, "Pairwise Consistent Measurement Set Maximization
for Robust Multi-robot Map Merging", ICRA 2018. Two closures a and b between the same two odometry
trees make a ring, a_i -> b_i -> b_j -> a_j -> a_i, of two closures and two ways of odometry. Where
the ring does not come back to its start, beyond what the covariances allow, they are inconsistent,
and at least one is wrong. The largest set of which every two are consistent is believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.pose_graph.chains import OdometryTrees
from s3e_gnn_ros.pose_graph.clique import large_clique
from s3e_gnn_ros.pose_graph.loops import DIMENSIONS, Loops
from s3e_gnn_ros.pose_graph.twists import adjoints, logmaps, squared_distances

_CHUNK = 20_000
"""Pairs at once: a few 10 MB of covariances."""


_SHARP = 4.0
"""Up to it a ring says as much of its closures as of odometry: twice as unsure as they are."""

_CONTRADICTION = 2.0
"""Times the threshold from which two closures contradict each other. Odometry's errors are not as
independent from step to step as its covariance says: rings of right closures are often a little
further from closing than it allows, those with a wrong one far."""


@dataclass(frozen=True, eq=False)
class Rings:
    """M rings of two closures.

    Attributes:
        distances: (M,) squared Mahalanobis distance of each ring's residual.
        blurs: (M,) covariance of the residual over that of the closures alone, in the mean over
            the six degrees of freedom; 1 where odometry adds nothing.
    """

    distances: NDArray[np.float64]
    blurs: NDArray[np.float64]


def measure_rings(
    trees: OdometryTrees, loops: Loops, a: NDArray[np.int64], b: NDArray[np.int64]
) -> Rings:
    """Return how far (chi2, six degrees of freedom) rings of two closures are from closing.

    All noise is moved to the frame of the root of the queries as if the ring closed, which holds
    to first order where it nearly does; where it does not, the distance is large either way.

    Args:
        trees: odometry of all keyframes.
        loops: K closures.
        a: (M,) rows of ``loops``.
        b: (M,) rows; odometry must tie ``i`` of a with ``i`` of b, and ``j`` with ``j``.
    """
    P_i, P_j = trees.poses_in_root[loops.i], trees.poses_in_root[loops.j]
    # A perturbation at a query, and one at the root of its match, seen from the query's root.
    from_query, from_match_root = adjoints(P_j), adjoints(P_j @ inverse(P_i @ loops.T_i_j))
    noise = _moved(loops.covariances, from_query)
    way = _moved(trees.spreads(loops.i[a], loops.i[b]), from_match_root[a])
    own = noise[a] + noise[b]
    covariance = own + way + trees.spreads(loops.j[a], loops.j[b])
    T_aj_bj = inverse(loops.T_i_j)[a] @ trees.poses(loops.i[a], loops.i[b]) @ loops.T_i_j[b]
    twists = logmaps(T_aj_bj @ trees.poses(loops.j[b], loops.j[a]))
    distances = squared_distances((from_query[a] @ twists[..., None])[..., 0], covariance)
    blurs = np.trace(np.linalg.solve(own, covariance), axis1=1, axis2=2) / DIMENSIONS
    return Rings(distances, np.asarray(blurs))


class PairTable:
    """Which pairs of closures are consistent, kept current as closures come.

    Attributes:
        agrees: (K, K) symmetric: the ring of two closures closes.
        contradicts: (K, K) symmetric: their ring is far from closing.
        has_ring: (K, K) symmetric: odometry makes a ring of two different closures.
        supports: (K, K) symmetric: two closures agree by a ring in which odometry is so short that
            agreement by chance is unlikely.
        obeys: (K,) the closure agrees with odometry itself, or odometry does not lead from its
            one end to the other.
        groups: (K,) number of the pair of odometry trees that the closure ties together.

    Args:
        threshold: chi2 up to which a ring counts as closed.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self.clear()

    def clear(self) -> None:
        """Forget everything: closures or odometry have changed."""
        self.agrees = np.zeros((0, 0), bool)
        self.contradicts = np.zeros((0, 0), bool)
        self.has_ring = np.zeros((0, 0), bool)
        self.supports = np.zeros((0, 0), bool)
        self.obeys = np.zeros(0, bool)
        self.groups = np.zeros(0, np.int64)

    def extend(self, trees: OdometryTrees, loops: Loops) -> None:
        """Take in what has come since.

        Args:
            trees: odometry of all keyframes.
            loops: K closures, of which the first are those of the last time.
        """
        K, known = len(loops), len(self.obeys)
        loops = oriented(trees, loops)
        pairs = np.stack([trees.roots[loops.i], trees.roots[loops.j]], axis=1)
        self.groups = np.unique(pairs, axis=0, return_inverse=True)[1].reshape(-1)
        self.agrees, self.contradicts = _grown(self.agrees, K), _grown(self.contradicts, K)
        self.has_ring, self.supports = _grown(self.has_ring, K), _grown(self.supports, K)
        a, b = np.nonzero(np.tri(K, K, -1, dtype=bool)[known:])
        a += known
        is_ring = self.groups[a] == self.groups[b]
        a, b = a[is_ring], b[is_ring]
        self.has_ring[a, b] = self.has_ring[b, a] = True
        for start in range(0, len(a), _CHUNK):
            rows, columns = a[start : start + _CHUNK], b[start : start + _CHUNK]
            rings = measure_rings(trees, loops, rows, columns)
            closes = rings.distances <= self._threshold
            self.agrees[rows, columns] = self.agrees[columns, rows] = closes
            is_far = rings.distances > _CONTRADICTION * self._threshold
            self.contradicts[rows, columns] = self.contradicts[columns, rows] = is_far
            is_sharp = closes & (rings.blurs <= _SHARP)
            self.supports[rows, columns] = self.supports[columns, rows] = is_sharp
        new = odometry_distances(trees, loops.subset(np.arange(known, K))) <= self._threshold
        self.obeys = np.concatenate([self.obeys, new])

    def consistent_set(self) -> NDArray[np.bool_]:
        """Return the mask (K,) of a largest consistent set of each group, taken together."""
        chosen = np.zeros(len(self.obeys), bool)
        for group in np.unique(self.groups):
            rows = np.flatnonzero((self.groups == group) & self.obeys)
            chosen[rows[large_clique(self.agrees[np.ix_(rows, rows)])]] = True
        return chosen

    def discord(self, chosen: NDArray[np.bool_]) -> float:
        """Return the share of the others that each closure chosen (K,) contradicts, summed up."""
        pairs = np.ix_(chosen, chosen)
        num_rings = self.has_ring[pairs].sum(axis=1)
        num_contradicting = self.contradicts[pairs].sum(axis=1)
        return float((num_contradicting / np.maximum(num_rings, 1)).sum())


def odometry_distances(trees: OdometryTrees, loops: Loops) -> NDArray[np.float64]:
    """Return how far (chi2) each closure (K,) is from odometry; 0 where odometry says nothing."""
    off = logmaps(inverse(loops.T_i_j) @ trees.poses(loops.i, loops.j))
    covariance = loops.covariances + trees.covariances(loops.i, loops.j)
    is_tied = trees.are_tied(loops.i, loops.j)
    out = np.zeros(len(loops))
    out[is_tied] = squared_distances(off[is_tied], covariance[is_tied])
    return out


def oriented(trees: OdometryTrees, loops: Loops) -> Loops:
    """Return the same closures, those between two trees all from the lower root to the other."""
    turn = trees.roots[loops.i] > trees.roots[loops.j]
    T_i_j, covariances = loops.T_i_j.copy(), loops.covariances.copy()
    T_i_j[turn] = inverse(loops.T_i_j[turn])
    covariances[turn] = _moved(covariances[turn], adjoints(loops.T_i_j[turn]))
    return Loops(
        np.where(turn, loops.j, loops.i), np.where(turn, loops.i, loops.j), T_i_j, covariances
    )


def _moved(covariances: NDArray[np.float64], A: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(A @ covariances @ A.transpose(0, 2, 1))


def _grown(matrix: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    out = np.zeros((size, size), bool)
    out[: len(matrix), : len(matrix)] = matrix
    return out
