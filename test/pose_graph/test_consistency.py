import dataclasses

import numpy as np
import pytest
from aliased import SIGMAS, chain, columns, make_drive

from s3e_gnn_ros.geometry.se3 import adjoint, expmap, inverse, make_pose
from s3e_gnn_ros.pose_graph.chains import OdometryTrees
from s3e_gnn_ros.pose_graph.consistency import PairTable, measure_rings, oriented
from s3e_gnn_ros.pose_graph.loops import Loops, chi2_threshold

THRESHOLD = chi2_threshold(0.999)
ODOMETRY = np.array([0.005] * 3 + [0.012] * 3)


def table(drive, rows=slice(None)) -> PairTable:
    pairs = PairTable(THRESHOLD)
    pairs.extend(OdometryTrees(*chain(drive.odometry, ODOMETRY)), columns(drive).subset(rows))
    return pairs


def test_rings_of_good_closures_have_the_chi2_they_should():
    """Six degrees of freedom: mean 6, and one in twenty above 12.6."""
    rng = np.random.default_rng(0)
    distances = []
    for seed in range(40):
        drive = make_drive(seed, laps=2, per_lap=12)
        parents, T, C = chain(drive.truth, SIGMAS)
        T = np.array([each @ expmap(rng.normal(0, SIGMAS)) for each in T])
        loops = columns(drive)
        a, b = np.triu_indices(len(loops), 1)
        distances.append(measure_rings(OdometryTrees(parents, T, C), loops, a, b).distances)
    distances = np.concatenate(distances)
    assert distances.mean() == pytest.approx(6.0, rel=0.15)
    assert np.mean(distances > chi2_threshold(0.95)) == pytest.approx(0.05, abs=0.02)


def test_ring_does_not_depend_on_which_comes_first():
    drive = make_drive(3, wrong=0.3)
    trees, loops = OdometryTrees(*chain(drive.odometry)), columns(drive)
    a, b = np.triu_indices(len(loops), 1)
    forth = measure_rings(trees, loops, a, b).distances
    back = measure_rings(trees, loops, b, a).distances
    # Covariances are of first order: where rings close, both ways round agree.
    closed = forth < 50
    np.testing.assert_allclose(forth[closed], back[closed], rtol=0.05, atol=0.1)


def test_wrong_closures_agree_among_themselves_but_not_with_the_right_ones():
    drive = make_drive(1, wrong=0.2)
    pairs = table(drive)
    right, wrong = np.flatnonzero(~drive.is_wrong), np.flatnonzero(drive.is_wrong)
    assert pairs.agrees[np.ix_(right, right)].mean() > 0.9
    assert pairs.agrees[np.ix_(wrong, right)].mean() < 0.2
    assert not (pairs.agrees & pairs.contradicts).any()
    assert not pairs.contradicts[np.ix_(right, right)].any()
    assert pairs.contradicts[np.ix_(wrong, right)].mean() > 0.75
    chosen = pairs.consistent_set()
    assert not chosen[wrong].any()
    assert chosen[right].mean() > 0.8


def test_discord_counts_contradictions():
    pairs = PairTable(THRESHOLD)
    pairs.contradicts = np.array([[0, 0, 0], [0, 0, 1], [0, 1, 0]], bool)
    pairs.has_ring = ~np.eye(3, dtype=bool)
    assert pairs.discord(np.array([True, True, False])) == 0
    assert pairs.discord(np.array([True, True, True])) == 0.5 + 0.5
    assert pairs.discord(np.array([False, True, True])) == 2
    assert pairs.discord(np.zeros(3, bool)) == 0
    assert pairs.discord(np.array([True, False, False])) == 0


def test_right_closures_do_not_contradict_where_odometry_drifts_more_than_it_says():
    """Errors that point one way add up; the covariance of independent ones is too small then."""
    drive = make_drive(1)
    pairs = PairTable(THRESHOLD)
    pairs.extend(OdometryTrees(*chain(drive.odometry, 0.8 * ODOMETRY)), columns(drive))
    assert not pairs.agrees[pairs.has_ring].all()
    assert pairs.discord(np.ones(len(pairs.obeys), bool)) == 0


def test_closures_that_come_later_give_the_same_table():
    drive = make_drive(2, wrong=0.2)
    trees, loops = OdometryTrees(*chain(drive.odometry, ODOMETRY)), columns(drive)
    grown = PairTable(THRESHOLD)
    for count in (0, 1, 30, 31, len(loops)):
        grown.extend(trees, loops.subset(np.arange(count)))
    whole = table(drive)
    np.testing.assert_array_equal(grown.agrees, whole.agrees)
    np.testing.assert_array_equal(grown.contradicts, whole.contradicts)
    np.testing.assert_array_equal(grown.has_ring, whole.has_ring)
    np.testing.assert_array_equal(grown.supports, whole.supports)
    np.testing.assert_array_equal(grown.obeys, whole.obeys)


def test_two_sessions_in_either_direction_make_rings():
    """Closures from the first session to the second and back are compared with one another."""
    drive = make_drive(4, laps=2)
    parents, T, C = chain(drive.odometry, ODOMETRY)
    parents[40] = -1
    loops = columns(drive)
    turn = np.arange(len(loops)) % 2 == 0
    T_j_i = inverse(loops.T_i_j)
    A = np.array([adjoint(each) for each in loops.T_i_j])
    mixed = Loops(
        np.where(turn, loops.j, loops.i),
        np.where(turn, loops.i, loops.j),
        np.where(turn[:, None, None], T_j_i, loops.T_i_j),
        np.where(
            turn[:, None, None], A @ loops.covariances @ A.transpose(0, 2, 1), loops.covariances
        ),
    )
    trees = OdometryTrees(parents, T, C)
    straight, both = PairTable(THRESHOLD), PairTable(THRESHOLD)
    straight.extend(trees, loops)
    both.extend(trees, mixed)
    assert len(np.unique(both.groups)) == 1
    assert both.obeys.all()  # odometry has no opinion between two sessions
    np.testing.assert_array_equal(both.agrees, straight.agrees)
    np.testing.assert_allclose(oriented(trees, mixed).covariances, loops.covariances, atol=1e-12)


def test_a_closure_against_odometry_disobeys():
    drive = make_drive(5)
    loops = columns(drive)
    loops.T_i_j[3] = loops.T_i_j[3] @ make_pose(translation=[20.0, 0, 0])
    pairs = PairTable(THRESHOLD)
    pairs.extend(OdometryTrees(*chain(drive.truth, ODOMETRY)), loops)
    assert not pairs.obeys[3]
    assert not pairs.consistent_set()[3]
    assert pairs.obeys.sum() == len(loops) - 1


def test_neighbours_that_say_the_same_support_each_other() -> None:
    """Over a step or two of odometry; not over a lap, and not what is wrong at random."""
    drive = make_drive(4, laps=2)
    rng = np.random.default_rng(0)
    wrong = [5, 20, 33]
    for k in wrong:
        closure = drive.closures[k]
        T = closure.T_match_query @ expmap(rng.normal(0, 1, 6))
        drive.closures[k] = dataclasses.replace(closure, T_match_query=T)
    pairs = PairTable(THRESHOLD)
    pairs.extend(OdometryTrees(*chain(drive.odometry, SIGMAS)), columns(drive))
    supporters = pairs.supports.sum(axis=1)
    assert (supporters[wrong] == 0).all()
    right = np.delete(np.arange(len(supporters)), wrong)
    assert (supporters[right] > 0).mean() > 0.9
    assert supporters.max() < 20  # of 40 closures that nearly all agree
    # Where odometry is much less sure than the closures, agreement with a neighbour says little.
    blunt = PairTable(THRESHOLD)
    blunt.extend(OdometryTrees(*chain(drive.odometry, 20 * SIGMAS)), columns(drive))
    assert not blunt.supports.any()
    assert blunt.agrees.sum() > 0
