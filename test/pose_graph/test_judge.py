"""What is chosen among verdicts, by hand."""

from __future__ import annotations

import gtsam
import numpy as np
import pytest

from s3e_gnn_ros.pose_graph.consistency import PairTable
from s3e_gnn_ros.pose_graph.judge import Case, Verdict, cheapest
from s3e_gnn_ros.pose_graph.loops import Loops, chi2_threshold

THRESHOLD = chi2_threshold(0.9999)
NUM = 10


def case_of(supporters: list[int] | None) -> Case:
    """Ten closures, some of which have neighbours that agree."""
    rows = np.arange(NUM)
    T, covariances = np.tile(np.eye(4), (NUM, 1, 1)), np.tile(np.eye(6), (NUM, 1, 1))
    pairs = None
    if supporters is not None:
        pairs = PairTable(THRESHOLD)
        pairs.supporters = np.array(supporters)
    nothing, values = np.zeros(NUM, bool), gtsam.Values()
    loops = Loops(rows, rows + 1, T, covariances)
    return Case(gtsam.NonlinearFactorGraph(), loops, pairs, nothing, nothing, values, values)


def verdict(out: list[int], error: float, discord: float = 0.0) -> Verdict:
    is_in = np.ones(NUM, bool)
    is_in[out] = False
    return Verdict(is_in, None, error, discord)


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
