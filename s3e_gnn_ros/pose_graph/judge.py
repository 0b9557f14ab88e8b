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

    The graph as it is, and :func:`proposals`, are solved; the one of lowest cost wins.

    The cost is the truncated one of GNC: half chi2 of odometry and of the closures that are in,
    and half the threshold for each that is out. It can be deceived: closures that are wrong in the
    same way, and let odometry bend a little, cost less than leaving them all out. Pair by pair
    they contradict the right ones, so a closure that is in also pays for the share of the others
    that it contradicts, and one that contradicts half of them as much as if it were out.

    Args:
        case: the graph and its closures.
        use_gnc: whether GNC makes proposals.
        threshold: chi2 beyond which a closure does not agree with the poses.

    Raises:
        RuntimeError: gtsam cannot solve the graph.
    """
    present = _settled(case, case.is_in | case.pinned, case.values, threshold)
    others = proposals(case, use_gnc, threshold).values()
    return min([present, *others], key=lambda verdict: verdict.cost)


def proposals(case: Case, use_gnc: bool, threshold: float) -> dict[str, Verdict]:
    """Return what each method makes of the closures, by its name.

    All start from odometry, not from the estimate that wrong loops have bent: ``growth`` from
    odometry alone, ``PCM`` from a consistent set, ``GNC`` from all closures, and ``GNC in PCM``
    from the consistent set. Each set takes in what agrees with the poses it leads to, and loses
    what does not, until it stays as it is.

    Args:
        case: the graph and its closures.
        use_gnc: whether GNC makes proposals.
        threshold: chi2 beyond which a closure does not agree with the poses.

    Raises:
        RuntimeError: gtsam cannot solve the graph.
    """
    out = {'growth': _settled(case, case.pinned, case.unbent, threshold)}
    agree = None if case.pairs is None else case.pairs.consistent_set() | case.pinned
    if agree is not None:
        out['PCM'] = _settled(case, agree, case.unbent, threshold)
    if use_gnc:
        out['GNC'] = _by_gnc(case, np.ones(len(case.loops), bool), threshold)
    if use_gnc and agree is not None:
        out['GNC in PCM'] = _by_gnc(case, agree, threshold)
    return out


def _by_gnc(case: Case, start: NDArray[np.bool_], threshold: float) -> Verdict:
    """Let GNC judge some of the closures, the others being out."""
    loops, pinned = case.loops.subset(start), case.pinned[start]
    result = gnc(case.base, loops, case.unbent, threshold, pinned)
    is_in = start.copy()
    is_in[start] = result.weights > 0
    return _settled(case, is_in, result.values, threshold)


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
