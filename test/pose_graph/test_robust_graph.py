"""The pose graph against wrong closures, and what is done to it by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from aliased import SIGMAS, feed, make_closure, make_drive, rms_m

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import expmap, inverse, make_pose
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

CONFIG = PoseGraphConfig()
OFF = PoseGraphConfig(robust_kernel='none', pcm=False, gnc=False)
METHODS = {'pcm': (True, False), 'gnc': (False, True), 'both': (True, True)}


def pair_of(closure: LoopClosure) -> tuple[KeyframeKey, KeyframeKey]:
    return (
        KeyframeKey(closure.match_session, closure.match_id),
        KeyframeKey(closure.query_session, closure.query_id),
    )


def are_in(graph: PoseGraph, closures: list[LoopClosure]) -> np.ndarray:
    inside = {(edge.i, edge.j) for edge in graph.closure_edges}
    return np.array([pair_of(closure) in inside for closure in closures])


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('seed', [1, 2])
def test_aliased_rooms_are_told_apart(seed: int, method: str) -> None:
    """A tenth of the closures take one room for another, in runs that agree with themselves."""
    drive = make_drive(seed, wrong=0.1)
    pcm, gnc = METHODS[method]
    graph = feed(drive, dataclasses.replace(CONFIG, pcm=pcm, gnc=gnc))
    graph.finish()
    np.testing.assert_array_equal(are_in(graph, drive.closures), ~drive.is_wrong)
    assert rms_m(graph.poses(), drive.truth) < 0.1
    assert len(graph.rejected_edges) == drive.is_wrong.sum()


@pytest.mark.parametrize('seed', [3, 4])
def test_a_third_wrong_costs_little(seed: int) -> None:
    """ATE within 1.2 times that of the graph without the wrong ones."""
    drive = make_drive(seed, wrong=1 / 3)
    graph = feed(drive, CONFIG)
    graph.finish()
    right = [c for c, is_wrong in zip(drive.closures, drive.is_wrong, strict=True) if not is_wrong]
    clean = feed(dataclasses.replace(drive, closures=right), CONFIG)
    clean.finish()
    assert not are_in(graph, drive.closures)[drive.is_wrong].any()
    assert rms_m(graph.poses(), drive.truth) <= 1.2 * rms_m(clean.poses(), drive.truth)
    huber = feed(drive, PoseGraphConfig(pcm=False, gnc=False))
    huber.finish()
    assert rms_m(huber.poses(), drive.truth) > 10 * rms_m(graph.poses(), drive.truth)


def test_wrong_ones_that_come_first_are_found_out_later() -> None:
    """With nothing to say against them they enter; the right ones that follow take them out."""
    drive = make_drive(5)
    twin = make_pose(translation=[0.5, 0.3, 0])
    for k in range(6):
        closure = drive.closures[k]
        T = inverse(drive.truth[closure.match_id]) @ twin @ drive.truth[closure.query_id]
        drive.closures[k] = dataclasses.replace(closure, T_match_query=T)
        drive.is_wrong[k] = True
    early = feed(
        dataclasses.replace(drive, odometry=drive.odometry[:46], closures=drive.closures[:6]),
        CONFIG,
    )
    assert are_in(early, drive.closures[:6]).all()
    graph = feed(drive, CONFIG)  # not finished: found while driving
    np.testing.assert_array_equal(are_in(graph, drive.closures), ~drive.is_wrong)
    assert graph.num_checks >= 1


def test_good_closures_cause_no_check_while_driving() -> None:
    drive = make_drive(6)
    graph = feed(drive, CONFIG)
    assert graph.num_checks == 0
    assert graph.rejected_edges == []
    graph.finish()
    assert graph.num_checks == 1
    graph.finish()
    assert graph.num_checks == 1  # nothing new


def test_checks_keep_their_distance() -> None:
    drive = make_drive(2, wrong=0.3)
    often = feed(drive, dataclasses.replace(CONFIG, check_interval=1, check_growth=0.0))
    seldom = feed(drive, dataclasses.replace(CONFIG, check_interval=40))
    grown = feed(drive, dataclasses.replace(CONFIG, check_interval=1, check_growth=0.5))
    assert often.num_checks > 5
    assert 1 <= seldom.num_checks <= 3
    assert 1 <= grown.num_checks <= 4


def test_weights_tell_what_is_believed() -> None:
    drive = make_drive(1, wrong=0.1)
    graph = feed(drive, CONFIG)
    graph.finish()
    weights = {(match, query): weight for match, query, weight in graph.closure_weights()}
    assert len(weights) == graph.num_closures == len(drive.closures)
    for closure, is_wrong in zip(drive.closures, drive.is_wrong, strict=True):
        assert (weights[pair_of(closure)] == 0.0) == is_wrong
    assert np.median([w for w in weights.values() if w > 0]) == 1.0


def test_similarity_scales_information() -> None:
    config = dataclasses.replace(OFF, scale_by_similarity=True)
    drive = make_drive(0)
    graph = feed(drive, config)
    np.testing.assert_allclose(graph.closure_edges[0].covariance, 2 * np.diag(SIGMAS**2))
    unknown = dataclasses.replace(drive.closures[0], match_id=7, similarity=0.0)
    with pytest.raises(InputError, match=r'similarity of the closure .* is 0'):
        graph.add_closure(unknown)


# By hand.


@pytest.mark.parametrize('config', [OFF, CONFIG], ids=['plain', 'robust'])
@pytest.mark.parametrize('num_further', [1, 10, 100])
def test_undo_equals_never_having_had_it(num_further: int, config: PoseGraphConfig) -> None:
    drive = make_drive(11, laps=4)
    undone = drive.closures[-num_further]
    rest = [closure for closure in drive.closures if closure is not undone]
    never = feed(dataclasses.replace(drive, closures=rest), config)
    graph = feed(drive, config)
    graph.remove_closure(*pair_of(undone))
    assert len(graph.closure_edges) == len(rest)
    graph.update()
    never.finish()
    graph.finish()
    np.testing.assert_allclose(graph.poses(), never.poses(), atol=1e-6)
    assert graph.error() == pytest.approx(never.error(), abs=1e-6)
    # And once more the other way round.
    graph.restore_closure(*pair_of(undone))
    graph.finish()
    always = feed(drive, config)
    always.finish()
    np.testing.assert_allclose(graph.poses(), always.poses(), atol=1e-6)


def two_sessions(closures: bool = True) -> PoseGraph:
    """Two straight drives side by side, each in its own odometry frame."""
    graph = PoseGraph(CONFIG)
    for session in (1, 2):
        for k in range(5):
            T = make_pose(translation=[0.5 * k, 0, 0])
            graph.add_keyframe(KeyframeKey(session, k), k * 10**9, T, k > 0)
    for k in (1, 3) if closures else ():
        graph.add_closure(between(k))
    graph.update()
    return graph


def between(k: int) -> LoopClosure:
    closure = make_closure(np.tile(np.eye(4), (5, 1, 1)), k, k, np.random.default_rng(k))
    T = make_pose(translation=[0, 1.0, 0])
    return dataclasses.replace(closure, match_session=1, query_session=2, T_match_query=T)


def test_undo_of_all_that_joined_two_pieces_parts_them_again() -> None:
    graph, never = two_sessions(), two_sessions(closures=False)
    assert (graph.num_pieces, never.num_pieces) == (1, 2)
    assert graph.pose(KeyframeKey(2, 0))[1, 3] == pytest.approx(1.0, abs=1e-6)
    graph.remove_closure(*pair_of(between(1)))
    assert graph.num_pieces == 1
    graph.remove_closure(*pair_of(between(3)))
    assert graph.num_pieces == 2
    graph.finish()
    never.finish()
    np.testing.assert_allclose(graph.poses(), never.poses(), atol=1e-6)
    graph.restore_closure(*pair_of(between(3)))
    graph.finish()
    assert graph.num_pieces == 1
    assert graph.pose(KeyframeKey(2, 0))[1, 3] == pytest.approx(1.0, abs=1e-6)


def test_what_was_removed_by_hand_stays_out() -> None:
    drive = make_drive(6)
    graph = feed(drive, CONFIG)
    pair = pair_of(drive.closures[10])
    graph.remove_closure(*pair)
    graph.finish()
    assert pair not in {(edge.i, edge.j) for edge in graph.closure_edges}
    assert not graph.add_closure(drive.closures[10])  # known already
    assert (*pair, 0.0) in graph.closure_weights()


def test_a_pinned_closure_stays_in_whatever_speaks_against_it() -> None:
    drive = make_drive(1, wrong=0.1)
    graph = feed(drive, CONFIG)
    graph.finish()
    pair = pair_of(drive.closures[int(np.argmax(drive.is_wrong))])
    graph.pin_closure(*pair, True)
    graph.finish()
    assert pair in {(edge.i, edge.j) for edge in graph.closure_edges}
    graph.pin_closure(*pair, False)
    graph.finish()
    np.testing.assert_array_equal(are_in(graph, drive.closures), ~drive.is_wrong)


def test_what_was_restored_by_hand_can_be_taken_out_again() -> None:
    drive = make_drive(1, wrong=0.1)
    graph = feed(drive, CONFIG)
    graph.finish()
    pair = pair_of(drive.closures[int(np.argmax(drive.is_wrong))])
    graph.restore_closure(*pair)
    assert pair in {(edge.i, edge.j) for edge in graph.closure_edges}
    graph.finish()
    assert pair not in {(edge.i, edge.j) for edge in graph.closure_edges}


def test_replacing_equals_having_measured_so_at_first() -> None:
    drive = make_drive(12)
    graph = feed(drive, OFF)
    T_better = drive.closures[7].T_match_query @ expmap([0, 0, 0.01, 0.03, 0, 0])
    better = dataclasses.replace(drive.closures[7], T_match_query=T_better)
    assert graph.replace_closure(better)
    graph.finish()
    drive.closures[7] = better
    other = feed(drive, OFF)
    other.finish()
    np.testing.assert_allclose(graph.poses(), other.poses(), atol=1e-6)
    assert graph.num_closures == len(drive.closures)


def test_replacing_an_unknown_closure_adds_it() -> None:
    drive = make_drive(12)
    graph = feed(dataclasses.replace(drive, closures=drive.closures[1:]), CONFIG)
    assert graph.replace_closure(drive.closures[0])
    assert graph.num_closures == len(drive.closures)


def test_a_wrong_replacement_waits_outside() -> None:
    drive = make_drive(12)
    graph = feed(drive, CONFIG)
    T_wrong = drive.closures[7].T_match_query @ make_pose(translation=[2.0, 0, 0])
    assert not graph.replace_closure(dataclasses.replace(drive.closures[7], T_match_query=T_wrong))
    graph.finish()
    assert [edge.j.keyframe_id for edge in graph.rejected_edges] == [drive.closures[7].query_id]


@pytest.mark.parametrize('rows', [[60], [0], [119], [40, 41, 42], list(range(1, 119, 2))])
def test_a_keyframe_that_goes_leaves_the_rest_as_it_was(rows: list[int]) -> None:
    drive = make_drive(13)
    graph = feed(drive, CONFIG)
    graph.finish()
    before = graph.poses()
    for row in rows:
        graph.remove_keyframe(KeyframeKey(0, row))
    graph.finish()
    kept = np.delete(np.arange(120), rows)
    assert [key.keyframe_id for key in graph.keys] == kept.tolist()
    assert len(graph.odometry_edges) == len(kept) - 1
    # What the closures of the lost ones knew is now known a little less surely.
    apart = inverse(graph.poses()[0]) @ graph.poses() if 0 in rows else graph.poses()
    expected = inverse(before[kept[0]]) @ before[kept] if 0 in rows else before[kept]
    np.testing.assert_allclose(apart[:, :3, 3], expected[:, :3, 3], atol=0.05)
    assert rms_m(graph.poses(), drive.truth[kept]) < 0.1
    graph.add_keyframe(KeyframeKey(0, 120), 120 * 10**9, drive.odometry[-1])
    assert graph.num_pieces == 1


def test_odometry_across_a_gap_keeps_its_uncertainty() -> None:
    drive = make_drive(14, laps=1)
    graph, whole = feed(drive, OFF), feed(drive, OFF)
    for row in (10, 11, 12):
        graph.remove_keyframe(KeyframeKey(0, row))
    for key in (KeyframeKey(0, 9), KeyframeKey(0, 13), KeyframeKey(0, 39)):
        np.testing.assert_allclose(
            graph.marginal_covariance(key), whole.marginal_covariance(key), rtol=1e-3, atol=1e-9
        )


def test_a_session_whose_keyframes_are_gone_begins_a_new_piece() -> None:
    graph = two_sessions(closures=False)
    for k in range(5):
        graph.remove_keyframe(KeyframeKey(2, k))
    graph.add_keyframe(KeyframeKey(2, 5), 5 * 10**9, make_pose(translation=[2.5, 0, 0]))
    assert graph.num_pieces == 2
    assert len(graph) == 6


def test_a_base_map_held_fixed_does_not_move() -> None:
    """The robot's own piece comes first, and yet it is what moves."""
    rng = np.random.default_rng(0)
    T_map_odom = make_pose(expmap([0, 0, 1.0, 0, 0, 0])[:3, :3], [5.0, 2.0, 0])
    truth = np.array([make_pose(translation=[0.5 * k, 0, 0]) for k in range(6)])
    bent = [T @ expmap(rng.normal(0, 0.02, 6)) for T in truth]
    graph = PoseGraph(CONFIG)
    for k in range(6):
        graph.add_keyframe(KeyframeKey(5, k), k * 10**9, inverse(T_map_odom) @ truth[k], k > 0)
    for k in range(6):
        graph.add_keyframe(
            KeyframeKey(1, k), k * 10**9, np.eye(4), False, T_map_camera_fixed=bent[k]
        )
    assert graph.num_pieces == 2
    for k in range(6):
        closure = make_closure(truth, k, k, rng)
        graph.add_closure(dataclasses.replace(closure, match_session=1, query_session=5))
    graph.finish()
    assert graph.num_pieces == 1
    for k in range(6):
        np.testing.assert_allclose(graph.pose(KeyframeKey(1, k)), bent[k], atol=1e-4)
        apart = inverse(truth[k]) @ graph.pose(KeyframeKey(5, k))
        assert np.linalg.norm(apart[:3, 3]) < 0.08
    graph.remove_keyframe(KeyframeKey(1, 0))
    graph.finish()
    for k in range(1, 6):
        np.testing.assert_allclose(graph.pose(KeyframeKey(1, k)), bent[k], atol=1e-4)


def test_words_of_what_is_not_there() -> None:
    graph = feed(make_drive(0, laps=2), CONFIG)
    nobody = KeyframeKey(9, 9)
    for call in (graph.remove_closure, graph.restore_closure, graph.pin_closure):
        with pytest.raises(InputError, match='no closure of keyframe 9 of session 9'):
            call(nobody, KeyframeKey(0, 1))
    with pytest.raises(InputError, match='keyframe 9 of session 9 is not in the pose graph'):
        graph.remove_keyframe(nobody)
    with pytest.raises(InputError, match='fixed pose of keyframe 9'):
        graph.add_keyframe(nobody, 1, np.eye(4), False, T_map_camera_fixed=np.zeros((4, 4)))
    assert len(graph) == 80
