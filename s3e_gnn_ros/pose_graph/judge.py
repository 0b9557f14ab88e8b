"""Decides which loop closures are in the graph, all of them weighed against one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.pose_graph.batch import levenberg_marquardt, poses_of
from s3e_gnn_ros.pose_graph.consistency import PairTable
from s3e_gnn_ros.pose_graph.gnc import gnc, weighted
from s3e_gnn_ros.pose_graph.loops import Loops

_MAX_ROUNDS = 10


@dataclass(frozen=True, eq=False)
class Verdict:
    """Which closures are believed, and the graph they make.

    Attributes:
        is_in: (K,) mask of the closures that belong to the graph.
        values: gtsam.Values optimised with them, and with them alone.
        cost: what the verdict is chosen by, lowest first.
    """

    is_in: NDArray[np.bool_]
    values: Any
    cost: float


@dataclass(frozen=True, eq=False)
class Case:
    """What there is to judge.

    Attributes:
        base: gtsam.NonlinearFactorGraph of odometry and anchors, believed without question.
        loops: K closures.
        pairs: which of them are consistent with each other; None without pairwise consistency.
        pinned: (K,) closures that are in, whatever speaks against them.
        is_in: (K,) the closures in the graph at present.
        values: gtsam.Values, the present estimate.
        unbent: gtsam.Values by odometry alone.
    """

    base: Any
    loops: Loops
    pairs: PairTable | None
    pinned: NDArray[np.bool_]
    is_in: NDArray[np.bool_]
    values: Any
    unbent: Any


def judge(case: Case, use_gnc: bool, threshold: float) -> Verdict:
    """Weigh all closures against one another.

    Pairwise consistency proposes a set of closures, GNC another, and what GNC leaves of the first
    is a third; so is the graph as it is. Each set takes in what agrees with the poses it leads to,
    and loses what does not, until it stays as it is. The one of lowest cost wins.

    The cost is the truncated one of GNC: half chi2 of odometry and of the closures that are in,
    and half the threshold for each that is out. It can be deceived: closures that are wrong in the
    same way, and let odometry bend a little, cost less than leaving them all out. Pair by pair
    they contradict the right ones, so a closure that is in also pays for the share of the others
    that it contradicts, and one that contradicts half of them as much as if it were out.

    Args:
        case: the graph and its closures.
        use_gnc: whether GNC makes a proposal.
        threshold: chi2 beyond which a closure does not agree with the poses.

    Raises:
        RuntimeError: gtsam cannot solve the graph.
    """
    verdicts = [_settled(case, case.is_in | case.pinned, case.values, threshold)]
    # The estimate that wrong loops have bent is no place to start from: odometry is.
    starts = [np.ones(len(case.loops), bool)] if use_gnc else []
    if case.pairs is not None:
        agree = case.pairs.consistent_set() | case.pinned
        verdicts.append(_settled(case, agree, case.unbent, threshold))
        starts += [agree] if use_gnc else []
    for start in starts:
        result = gnc(
            case.base, case.loops.subset(start), case.unbent, threshold, case.pinned[start]
        )
        start = start.copy()
        start[start] = result.weights > 0
        verdicts.append(_settled(case, start, result.values, threshold))
    return min(verdicts, key=lambda verdict: verdict.cost)


def _settled(case: Case, is_in: NDArray[np.bool_], values: Any, threshold: float) -> Verdict:
    """Optimise with a set of closures, and change the set as the result asks for."""
    for _ in range(_MAX_ROUNDS):
        values = levenberg_marquardt(
            weighted(case.base, case.loops, is_in.astype(np.float64)), values
        )
        residuals = case.loops.squared_residuals(poses_of(values))
        agree = case.pinned | (residuals <= threshold)
        if (agree == is_in).all():
            break
        is_in = agree
    discord = 0.0 if case.pairs is None else case.pairs.discord(is_in)
    truncated = threshold * (np.count_nonzero(~is_in) + 2 * discord)
    cost = case.base.error(values) + (residuals[is_in].sum() + truncated) / 2
    return Verdict(is_in, values, float(cost))
