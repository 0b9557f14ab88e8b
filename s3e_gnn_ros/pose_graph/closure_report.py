"""What a pose graph thinks of one loop closure: the case for and against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.pose_graph.batch import is_indeterminate
from s3e_gnn_ros.pose_graph.chains import OdometryTrees
from s3e_gnn_ros.pose_graph.check import believed_graph
from s3e_gnn_ros.pose_graph.closure_table import Closure, ClosureTable, Pair, loops_of
from s3e_gnn_ros.pose_graph.consistency import measure_rings, odometry_distances, oriented
from s3e_gnn_ros.pose_graph.gnc import gnc
from s3e_gnn_ros.pose_graph.keyframe_table import KeyframeTable, OdometryColumns
from s3e_gnn_ros.pose_graph.loops import Loops, chi2_threshold
from s3e_gnn_ros.pose_graph.noise import robust_weights
from s3e_gnn_ros.pose_graph.reduction import reduce, values_of


@dataclass(frozen=True)
class ClosureReport:
    """One closure in the pose graph.

    Attributes:
        is_in: it is part of the graph.
        is_pinned: it was pinned by hand.
        is_removed: it was taken out by hand.
        weight: what the robust kernel leaves of its information; 0 for one that is not in.
        chi2: of its residual at the present poses, six degrees of freedom.
        max_chi2: beyond it a closure is called wrong.
        odometry_chi2: of the same by odometry alone; None where odometry does not tie its ends.
        num_rings: other closures that make a ring of odometry with it.
        num_consistent: those of them whose ring closes (PCM).
        max_pair_chi2: beyond it odometry contradicts, and a ring does not close.
        gnc_weight: 1 where GNC over all closures believes it, 0 where not; None: it has no
            answer.
    """

    is_in: bool
    is_pinned: bool
    is_removed: bool
    weight: float
    chi2: float
    max_chi2: float
    odometry_chi2: float | None
    num_rings: int
    num_consistent: int
    max_pair_chi2: float
    gnc_weight: float | None


def report_closure(
    keyframes: KeyframeTable,
    closures: ClosureTable,
    poses: NDArray[np.float64],
    pair: Pair,
    config: PoseGraphConfig,
) -> ClosureReport:
    """Weigh a closure against all others, whether or not the checks are switched on.

    One that was taken out by hand is weighed as if it were put back.

    Args:
        keyframes: of the graph.
        closures: of the graph.
        poses: (N, 4, 4) the present estimate.
        pair: match and query.
        config: probabilities, and the robust kernel.

    Raises:
        InputError: the pair has no closure.
    """
    closure = closures.get(pair)
    judged = [each for each in closures.all() if each is closure or not each.is_removed]
    row = next(k for k, each in enumerate(judged) if each is closure)
    loops, odometry = loops_of(judged, keyframes.index), keyframes.columns()
    trees = odometry.trees()
    chi2 = float(loops.subset(np.array([row])).squared_residuals(poses)[0])
    kernel = robust_weights(np.sqrt([chi2]), config.robust_kernel, config.robust_threshold)
    max_chi2, max_pair_chi2 = map(
        chi2_threshold, (config.inlier_probability, config.pcm_probability)
    )
    num_rings, num_consistent = _count_rings(trees, loops, row, max_pair_chi2)
    return ClosureReport(
        is_in=closure.is_in,
        is_pinned=closure.is_pinned,
        is_removed=closure.is_removed,
        weight=float(kernel[0]) if closure.is_in else 0.0,
        chi2=chi2,
        max_chi2=max_chi2,
        odometry_chi2=_odometry_chi2(trees, loops, row),
        num_rings=num_rings,
        num_consistent=num_consistent,
        max_pair_chi2=max_pair_chi2,
        gnc_weight=_gnc_weight(odometry, trees, loops, judged, row, poses, max_chi2),
    )


def _count_rings(
    trees: OdometryTrees, loops: Loops, row: int, threshold: float
) -> tuple[int, int]:
    """Return how many other closures make a ring with one, and how many of the rings close."""
    loops = oriented(trees, loops)
    trees_of = np.stack([trees.roots[loops.i], trees.roots[loops.j]])
    is_ring = (trees_of == trees_of[:, row, None]).all(axis=0)
    is_ring[row] = False
    others = np.flatnonzero(is_ring)
    distances = measure_rings(trees, loops, np.full(len(others), row), others).distances
    return len(others), int((distances <= threshold).sum())


def _odometry_chi2(trees: OdometryTrees, loops: Loops, row: int) -> float | None:
    one = loops.subset(np.array([row]))
    if not trees.are_tied(one.i, one.j)[0]:
        return None
    return float(odometry_distances(trees, one)[0])


def _gnc_weight(
    odometry: OdometryColumns,
    trees: OdometryTrees,
    loops: Loops,
    closures: Sequence[Closure],
    row: int,
    poses: NDArray[np.float64],
    threshold: float,
) -> float | None:
    few = reduce(trees, loops)
    # Pinned or not: what is asked is whether the others believe it.
    pinned = np.array([each.is_pinned and k != row for k, each in enumerate(closures)])
    try:
        result = gnc(
            believed_graph(odometry, few, poses),
            few.loops(loops),
            values_of(trees.poses_from(poses)[few.rows]),
            threshold,
            pinned,
        )
    except RuntimeError as err:
        if not is_indeterminate(err):
            raise
        return None
    return float(result.weights[row])
