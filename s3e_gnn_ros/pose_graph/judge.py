"""Decides which loop closures are in the graph, all of them weighed against one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.pose_graph.batch import escaped, minimise, poses_of
from s3e_gnn_ros.pose_graph.consistency import PairTable
from s3e_gnn_ros.pose_graph.gnc import gnc, weighted
from s3e_gnn_ros.pose_graph.loops import Loops, chi2_threshold

_MAX_ROUNDS = 10
_LONELY_CHI2 = chi2_threshold(0.95)
"""A closure without a neighbour that agrees earns as if good ones stayed below this quantile."""
_MEDIAN_CHI2 = chi2_threshold(0.5)
_FAR_TOO_GOOD = 1e-3
"""Closures that agree so well have standard deviations thirty times too large: they excuse all.

Ten times too large is usual where closures share errors that their covariances have to cover.
"""


@dataclass(frozen=True, eq=False)
class Verdict:
    """Which closures are believed, and the graph they make.

    Attributes:
        is_in: (K,) mask of the closures that belong to the graph.
        values: gtsam.Values optimised with them, and with them alone.
        error: half chi2 of odometry, anchors and the closures that are in.
        discord: share of the others that a closure which is in contradicts, summed over these.
        residuals: (K,) chi2 of each closure, in or out.
    """

    is_in: NDArray[np.bool_]
    values: Any
    error: float
    discord: float
    residuals: NDArray[np.float64]


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

    Args:
        case: the graph and its closures.
        use_gnc: whether GNC makes proposals.
        threshold: chi2 beyond which a closure does not agree with the poses.

    Raises:
        RuntimeError: gtsam cannot solve the graph.
    """
    present = _settled(case, case.is_in | case.pinned, case.values, threshold)
    others = [propose() for propose in proposals(case, use_gnc, threshold).values()]
    return decide(case, [present, *others], threshold)


def decide(case: Case, verdicts: Sequence[Verdict], threshold: float) -> Verdict:
    """Return the verdict of lowest cost, doubted once.

    A false closure that odometry bends to meet may be in all proposals: what odometry says of it
    has been spent on agreeing with it. So the best is solved anew without the closures that none
    inside supports; those that agree with what the others say of them come back.

    Args:
        case: the graph and its closures.
        verdicts: at least one.
        threshold: chi2 beyond which a closure does not agree with the poses.
    """
    best = cheapest(case, verdicts, threshold)
    supported = _supported(case, best.is_in)
    doubtful = best.is_in & ~supported & ~case.pinned
    if not doubtful.any() or not _is_usual(best, supported):
        return best
    others = _settled(case, best.is_in & ~doubtful, best.values, threshold)
    return cheapest(case, [*verdicts, others], threshold)


def cheapest(case: Case, verdicts: Sequence[Verdict], threshold: float) -> Verdict:
    """Return the verdict of lowest cost.

    The cost is the truncated one of GNC: half chi2 of odometry and of the closures that are in,
    and half the threshold for each that is out. It can be deceived in two ways. Closures that are
    wrong in the same way, and let odometry bend a little, cost less than leaving them all out.
    Pair by pair they contradict the right ones, so a closure that is in also pays for the share of
    the others that it contradicts, and one that contradicts half of them as much as if it were
    out. And of many that are wrong at random some are near enough for odometry to bend to them.
    They have no neighbour that says the same and is in, too: where most of those that are in have
    one, a closure without one earns less by being in; less still where those with neighbours
    agree far better than their covariances say, so that this one has no excuse.

    Args:
        case: the graph and its closures.
        verdicts: at least one.
        threshold: chi2 beyond which a closure does not agree with the poses.
    """
    stakes = np.full(len(case.loops), threshold)
    likeliest = min(verdicts, key=lambda verdict: _cost(verdict, stakes, threshold))
    supported = _supported(case, likeliest.is_in)
    if not _is_usual(likeliest, supported):
        return likeliest
    share = min(1.0, _agreement(case, verdicts) / _FAR_TOO_GOOD)
    stakes[~supported] = min(threshold, share * _LONELY_CHI2)
    return min(verdicts, key=lambda verdict: _cost(verdict, stakes, threshold))


def _cost(verdict: Verdict, stakes: NDArray[np.float64], threshold: float) -> float:
    out = float(stakes[~verdict.is_in].sum())
    return verdict.error + out / 2 + threshold * verdict.discord


def _supported(case: Case, is_in: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask (K,) of the closures that a neighbour agrees with.

    Those that are in need a neighbour that is in; those that are out may all be wrong together,
    or right together.
    """
    if case.pairs is None:
        return np.zeros(len(case.loops), bool)
    supports = case.pairs.supports
    return np.asarray(np.where(is_in, supports[:, is_in].any(axis=1), supports.any(axis=1)))


def _agreement(case: Case, verdicts: Sequence[Verdict]) -> float:
    """Return the median chi2 of those with neighbours where they agree best, over a good one's."""
    assert case.pairs is not None  # else nothing has neighbours
    supported = case.pairs.supports.any(axis=1)
    chosen = (each.residuals[each.is_in & supported] for each in verdicts)
    medians = [float(np.median(residuals)) for residuals in chosen if len(residuals)]
    return min(medians, default=_MEDIAN_CHI2) / _MEDIAN_CHI2


def _is_usual(verdict: Verdict, supported: NDArray[np.bool_]) -> bool:
    """Whether most closures that are in have a neighbour that agrees."""
    return bool(2 * np.count_nonzero(verdict.is_in & supported) > verdict.is_in.sum())


def proposals(case: Case, use_gnc: bool, threshold: float) -> dict[str, Callable[[], Verdict]]:
    """Return what finds out what each method makes of the closures, by the method's name.

    All start from odometry, not from the estimate that wrong loops have bent: ``growth`` from
    odometry alone, ``clusters`` from the closures that a neighbour agrees with, ``PCM`` from a
    consistent set, ``GNC`` from all closures, ``GNC in clusters`` and ``GNC in PCM`` from those
    sets. Each set takes in what agrees with the poses it leads to, and loses what does not, until
    it stays as it is. They raise RuntimeError where gtsam cannot solve the graph.

    Args:
        case: the graph and its closures.
        use_gnc: whether GNC makes proposals.
        threshold: chi2 beyond which a closure does not agree with the poses.
    """
    starts: dict[str, NDArray[np.bool_]] = {}
    supported = _supported(case, np.zeros(len(case.loops), bool))
    if supported.any():
        starts['clusters'] = supported | case.pinned
    if case.pairs is not None:
        starts['PCM'] = case.pairs.consistent_set() | case.pinned
    out = {'growth': partial(_settled, case, case.pinned, case.unbent, threshold)}
    for name, start in starts.items():
        out[name] = partial(_settled, case, start, case.unbent, threshold)
    if use_gnc:
        out['GNC'] = partial(_by_gnc, case, np.ones(len(case.loops), bool), threshold)
        for name, start in starts.items():
            out[f'GNC in {name}'] = partial(_by_gnc, case, start, threshold)
    return dict(out)


def _by_gnc(case: Case, start: NDArray[np.bool_], threshold: float) -> Verdict:
    """Let GNC judge some of the closures, the others being out."""
    loops, pinned = case.loops.subset(start), case.pinned[start]
    result = gnc(case.base, loops, case.unbent, threshold, pinned)
    is_in = start.copy()
    is_in[start] = result.weights > 0
    return _settled(case, is_in, result.values, threshold)


def _settled(case: Case, is_in: NDArray[np.bool_], values: Any, threshold: float) -> Verdict:
    """Optimise with a set of closures, and change the set as the result asks for."""
    for number in range(_MAX_ROUNDS):
        graph = weighted(case.base, case.loops, is_in.astype(np.float64))
        values = minimise(graph, values)
        values = values if number else escaped(graph, values)
        residuals = case.loops.squared_residuals(poses_of(values))
        agree = case.pinned | (residuals <= threshold)
        if (agree == is_in).all():
            break
        is_in = agree
    discord = 0.0 if case.pairs is None else case.pairs.discord(is_in)
    error = case.base.error(values) + residuals[is_in].sum() / 2
    return Verdict(is_in, values, float(error), discord, residuals)
