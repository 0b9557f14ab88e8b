"""What is chosen among verdicts, by hand."""

from __future__ import annotations

import dataclasses

import gtsam
import numpy as np
import pytest

from s3e_gnn_ros.geometry.se3 import make_pose
from s3e_gnn_ros.pose_graph.consistency import PairTable
from s3e_gnn_ros.pose_graph.judge import _MEDIAN_CHI2, Case, Verdict, _settled, cheapest, decide
from s3e_gnn_ros.pose_graph.loops import Loops, chi2_threshold
from s3e_gnn_ros.pose_graph.reduction import values_of

THRESHOLD = chi2_threshold(0.9999)
NUM = 10


def case_of(supporters: list[int] | None) -> Case:
    """Ten closures, some of which have neighbours that agree."""
    rows = np.arange(NUM)
    T, covariances = np.tile(np.eye(4), (NUM, 1, 1)), np.tile(np.eye(6), (NUM, 1, 1))
    pairs = None
    if supporters is not None:
        pairs = PairTable(THRESHOLD)
        has_some = np.array(supporters) > 0
        pairs.supports = np.logical_and.outer(has_some, has_some)
    nothing, values = np.zeros(NUM, bool), gtsam.Values()
    loops = Loops(rows, rows + 1, T, covariances)
    return Case(gtsam.NonlinearFactorGraph(), loops, pairs, nothing, nothing, values, values)


def verdict(out: list[int], error: float, discord: float = 0.0) -> Verdict:
    is_in = np.ones(NUM, bool)
    is_in[out] = False
    return Verdict(is_in, None, error, discord, np.full(NUM, _MEDIAN_CHI2))


@pytest.mark.parametrize('supporters', [None, [0] * NUM, [3] * NUM])
def test_leaving_one_out_costs_half_the_threshold(supporters: list[int] | None) -> None:
    case = case_of(supporters)
    all_in = verdict([], 100.0)
    cheap, dear = verdict([4], 99.0 - THRESHOLD / 2), verdict([4], 101.0 - THRESHOLD / 2)
    assert cheapest(case, [all_in, cheap], THRESHOLD) is cheap
    assert cheapest(case, [all_in, dear], THRESHOLD) is all_in


def test_contradicting_half_of_the_others_costs_as_much_as_being_out() -> None:
    case = case_of([0] * NUM)
    torn, clean = verdict([], 100.0, discord=0.6), verdict([4], 100.0)
    assert cheapest(case, [torn, clean], THRESHOLD) is clean


def test_one_without_neighbours_earns_less_where_the_others_have_them() -> None:
    """Odometry that bends by ten to meet two closures: worth it, unless they stand alone."""
    bent, straight = verdict([], 120.0), verdict([4, 5], 105.0)
    assert cheapest(case_of([2] * NUM), [bent, straight], THRESHOLD) is bent
    lonely = [2, 2, 2, 2, 0, 0, 2, 2, 2, 2]
    assert cheapest(case_of(lonely), [bent, straight], THRESHOLD) is straight
    few = [2, 2, 2, 0, 0, 0, 0, 0, 0, 0]
    assert cheapest(case_of(few), [bent, straight], THRESHOLD) is bent


def bent_case(offset_m: float) -> Case:
    """A straight drive of twelve steps; loops over two steps, and two from its end to its start.

    The last but one is off by 1.5 m, which odometry can just be bent to meet, the last by
    ``offset_m``; the two are each other's only neighbours.
    """
    step, noise = gtsam.Pose3(make_pose(translation=[1, 0, 0])), 0.1
    base = gtsam.NonlinearFactorGraph()
    base.add(gtsam.PriorFactorPose3(0, gtsam.Pose3(), gtsam.noiseModel.Isotropic.Sigma(6, 1e-3)))
    sigmas = gtsam.noiseModel.Diagonal.Sigmas([1e-3] * 3 + [noise] * 3)
    for k in range(12):
        base.add(gtsam.BetweenFactorPose3(k, k + 1, step, sigmas))
    i, j = np.append(np.arange(10), [0, 0]), np.append(np.arange(10) + 2, [12, 12])
    T = np.tile(make_pose(translation=[2, 0, 0]), (12, 1, 1))
    T[10], T[11] = (make_pose(translation=[12, off, 0]) for off in (1.5, offset_m))
    loops = Loops(i, j, T, np.tile(np.diag([1e-3**2] * 3 + [noise**2] * 3), (12, 1, 1)))
    pairs = PairTable(THRESHOLD)
    pairs.supports = np.zeros((12, 12), bool)
    pairs.supports[:10, :10] = ~np.eye(10, dtype=bool)
    pairs.supports[10, 11] = pairs.supports[11, 10] = True
    pairs.contradicts, pairs.has_ring = np.zeros((12, 12), bool), np.ones((12, 12), bool)
    straight = values_of(np.array([make_pose(translation=[k, 0, 0]) for k in range(13)]))
    nothing = np.zeros(12, bool)
    return Case(base, loops, pairs, nothing, nothing, straight, straight)


@pytest.mark.parametrize(('offset_m', 'stays'), [(1.5, True), (30.0, False)])
def test_what_all_proposals_hold_is_doubted_where_nothing_inside_supports_it(
    offset_m: float, stays: bool
) -> None:
    """Odometry has been bent to agree with it, so that no residual betrays it."""
    case = bent_case(offset_m)
    start = np.ones(12, bool)
    start[11] = stays
    bent = _settled(case, start, case.values, THRESHOLD)
    assert bent.is_in[10]
    assert bent.is_in[11] == stays
    chosen = decide(case, [bent], THRESHOLD)
    assert chosen.is_in[10] == stays
    assert chosen.is_in[:10].all()


def test_what_is_pinned_is_not_doubted() -> None:
    case = bent_case(30.0)
    pinned = np.arange(12) == 10
    case = dataclasses.replace(case, pinned=pinned)
    bent = _settled(case, np.arange(12) < 11, case.values, THRESHOLD)
    assert decide(case, [bent], THRESHOLD).is_in[10]


def test_one_without_neighbours_has_no_excuse_where_the_others_agree_to_a_hair() -> None:
    """Covariances far too wide: a false loop is within them, right ones are within a hundredth."""
    lonely = case_of([2, 2, 2, 2, 0, 0, 2, 2, 2, 2])
    bent, straight = verdict([], 110.0), verdict([4, 5], 105.0)
    assert cheapest(lonely, [bent, straight], THRESHOLD) is bent
    for agreement, is_bent_better in ((0.01, True), (1e-5, False)):  # usual, to a hair
        chi2 = np.full(NUM, agreement * _MEDIAN_CHI2)
        sets = [dataclasses.replace(each, residuals=chi2) for each in (bent, straight)]
        assert (cheapest(lonely, sets, THRESHOLD) is sets[0]) == is_bent_better
