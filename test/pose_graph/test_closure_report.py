"""What the pose graph says of single closures, right ones and wrong ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from aliased import feed, make_drive

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.closure_report import ClosureReport
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

CONFIG = PoseGraphConfig()


@pytest.fixture(scope='module')
def drive():
    return make_drive(1, wrong=0.1)


@pytest.fixture
def graph(drive) -> PoseGraph:
    graph = feed(drive, CONFIG)
    graph.finish()
    return graph


def ends(closure: LoopClosure) -> tuple[KeyframeKey, KeyframeKey]:
    return (
        KeyframeKey(closure.match_session, closure.match_id),
        KeyframeKey(closure.query_session, closure.query_id),
    )


def first(drive, *, wrong: bool) -> LoopClosure:
    return drive.closures[int(np.flatnonzero(drive.is_wrong == wrong)[0])]


def test_right_and_wrong_ones(drive, graph: PoseGraph) -> None:
    num, num_wrong = len(drive.closures), int(drive.is_wrong.sum())
    weights = {(match, query): weight for match, query, weight in graph.closure_weights()}
    some = [*np.flatnonzero(drive.is_wrong)[:3], *np.flatnonzero(~drive.is_wrong)[:3]]
    for row in some:
        closure, is_wrong = drive.closures[row], drive.is_wrong[row]
        report = graph.report(*ends(closure))
        assert report.is_in == (not is_wrong)
        assert report.weight == weights[ends(closure)]
        assert report.gnc_weight == float(not is_wrong)
        assert (report.chi2 > report.max_chi2) == is_wrong
        assert report.num_rings == num - 1
        assert (report.is_pinned, report.is_removed) == (False, False)
    right = graph.report(*ends(first(drive, wrong=False)))
    wrong = graph.report(*ends(first(drive, wrong=True)))
    assert right.num_consistent > 0.9 * (num - num_wrong - 1)
    assert wrong.num_consistent < 0.5 * num


def test_chi2_is_that_of_the_residual(drive, graph: PoseGraph) -> None:
    closure = first(drive, wrong=False)
    match, query = ends(closure)
    T = se3.inverse(graph.pose(match)) @ graph.pose(query)
    twist = se3.logmap(se3.inverse(closure.T_match_query) @ T)
    expected = twist @ np.linalg.solve(closure.covariance, twist)
    assert graph.report(match, query).chi2 == pytest.approx(expected, rel=1e-6)


def test_what_was_done_by_hand(drive, graph: PoseGraph) -> None:
    pair = ends(first(drive, wrong=False))
    before = graph.report(*pair)
    graph.remove_closure(*pair)
    graph.update()
    report = graph.report(*pair)
    assert report.is_removed
    assert (report.is_in, report.weight) == (False, 0.0)
    # Weighed all the same, as if it were put back.
    assert report.num_consistent == before.num_consistent
    assert report.gnc_weight == 1.0
    wrong = ends(first(drive, wrong=True))
    graph.pin_closure(*wrong)
    graph.update()
    report = graph.report(*wrong)
    assert report.is_pinned
    assert report.is_in
    assert report.gnc_weight == 0.0  # pinned or not, the others do not believe it


def test_between_trees_odometry_says_nothing() -> None:
    graph = PoseGraph(CONFIG)
    keys = [KeyframeKey(session, number) for session in (1, 2) for number in range(3)]
    for key in keys:
        T = se3.make_pose(None, [float(key.keyframe_id), 0.0, 0.0])
        stamp_ns = (10 * key.session + key.keyframe_id) * 10**9
        graph.add_keyframe(key, stamp_ns, T, key.keyframe_id > 0)
    closures = [between(keys[0], keys[3]), between(keys[2], keys[5])]
    for closure in closures:
        graph.add_closure(closure)
    graph.finish()
    report = graph.report(*ends(closures[0]))
    assert report.odometry_chi2 is None
    assert (report.num_rings, report.num_consistent) == (1, 1)
    off = dataclasses.replace(
        between(keys[1], keys[4]), T_match_query=se3.make_pose(None, [0.0, 9.0, 0.0])
    )
    graph.add_closure(off)
    graph.finish()
    report: ClosureReport = graph.report(*ends(off))
    assert (report.num_rings, report.num_consistent, report.is_in) == (2, 0, False)


def between(match: KeyframeKey, query: KeyframeKey) -> LoopClosure:
    return LoopClosure(
        query_id=query.keyframe_id,
        match_id=match.keyframe_id,
        query_session=query.session,
        match_session=match.session,
        query_stamp_ns=0,
        match_stamp_ns=0,
        T_match_query=np.eye(4),
        covariance=1e-4 * np.eye(6),
        similarity=0.5,
        num_inliers=50,
        inlier_ratio=0.5,
    )


def test_no_such_closure(graph: PoseGraph) -> None:
    with pytest.raises(InputError, match='there is no closure of keyframe 7'):
        graph.report(KeyframeKey(0, 7), KeyframeKey(0, 8))
