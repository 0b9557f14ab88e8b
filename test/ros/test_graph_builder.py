"""The pose graph as messages build it up: replaced, removed, edited, fixed; and its correction."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from graph_bench import Bench, S, closure, keyframe, odometry, truth

from s3e_gnn_ros import srv
from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.ros.graph_builder import Effect, GraphBuilder, pair_of
from s3e_gnn_ros.types import KeyframeKey

REQUEST = srv.EditClosure.Request


def test_a_closure_of_a_pair_that_has_one_takes_its_place():
    bench, once = Bench().drive(), Bench().drive()
    for item in (closure(8, 0), closure(9, 1)):
        assert bench.builder.add_closure(item) is Effect.ADDED
    bench.poses()
    refined = closure(8, 0, shift_m=0.02)
    assert bench.builder.add_closure(refined) is Effect.REPLACED
    assert bench.builder.add_closure(refined) is Effect.NONE
    once.builder.add_closure(refined)
    once.builder.add_closure(closure(9, 1))
    np.testing.assert_allclose(bench.poses(), once.poses(), atol=1e-6)
    plain = Bench().drive()
    plain.builder.add_closure(closure(8, 0))
    plain.builder.add_closure(closure(9, 1))
    assert np.abs(plain.poses() - once.poses()).max() > 1e-3  # else nothing was shown


def test_edits_take_effect_and_say_when_they_cannot():
    bench, without = Bench().drive(), Bench().drive()
    for item in (closure(8, 0), closure(9, 1)):
        bench.builder.add_closure(item)
    both = bench.poses()
    pair = pair_of(closure(8, 0))
    bench.builder.edit(REQUEST.REMOVE, pair)
    without.builder.add_closure(closure(9, 1))
    np.testing.assert_allclose(bench.poses(), without.poses(), atol=1e-6)
    assert bench.builder.add_closure(closure(8, 0)) is Effect.NONE  # latched, heard once more
    np.testing.assert_allclose(bench.poses(), without.poses(), atol=1e-6)
    bench.builder.edit(REQUEST.ADD, pair)
    np.testing.assert_allclose(bench.poses(), both, atol=1e-6)
    bench.builder.edit(REQUEST.PIN, pair)
    bench.builder.edit(REQUEST.UNPIN, pair)
    np.testing.assert_allclose(bench.poses(), both, atol=1e-6)
    with pytest.raises(InputError, match='no closure'):
        bench.builder.edit(REQUEST.REMOVE, (KeyframeKey(1, 3), KeyframeKey(1, 7)))
    with pytest.raises(InputError, match='action 9'):
        bench.builder.edit(9, pair)


def test_a_pinned_closure_stays_where_a_check_would_take_it_out():
    wrong = closure(10, 2, shift_m=4.0)
    weights = {}
    for is_pinned in (False, True):
        bench = Bench().drive()
        for item in (closure(8, 0), closure(9, 1), wrong, closure(11, 3)):
            bench.builder.add_closure(item)
        if is_pinned:
            bench.builder.edit(REQUEST.PIN, pair_of(wrong))
        bench.poses()
        found = {(m, q): w for m, q, w in bench.builder.graph.closure_weights()}
        weights[is_pinned] = found[pair_of(wrong)]
    assert weights[False] == 0
    assert weights[True] > 0


def test_removed_keyframes_are_gone_and_unknown_ones_no_matter():
    bench = Bench().drive()
    bench.builder.add_closure(closure(8, 0))
    keys = [KeyframeKey(1, 4), KeyframeKey(1, 5), KeyframeKey(7, 7)]
    assert bench.builder.remove_keyframes(keys) == 2
    assert bench.builder.remove_keyframes(keys) == 0
    poses = bench.poses()
    assert [key.keyframe_id for key in bench.builder.graph.keys] == [
        0,
        1,
        2,
        3,
        6,
        7,
        8,
        9,
        10,
        11,
    ]
    assert np.isfinite(poses).all()
    assert bench.builder.graph.num_pieces == 1
    assert not bench.builder.add_keyframe(keyframe(12))  # odometry goes on


def test_fixed_keyframes_stay_whether_they_are_named_before_or_after_they_come():
    fixed = {
        KeyframeKey(1, i): se3.make_pose(translation=(0, 0, 5.0)) @ truth(i) for i in range(8)
    }
    results = []
    for comes_first in (True, False):
        bench = Bench()
        if comes_first:
            assert not bench.builder.fix(fixed)
        bench.drive(8)
        for i in range(6):
            bench.builder.add_keyframe(keyframe(i, session=2, start_s=900.0))
        bench.builder.add_closure(closure(2, 2, sessions=(2, 1)))
        bench.builder.add_closure(closure(4, 4, sessions=(2, 1)))
        bench.builder.add_closure(closure(3, 3, shift_m=0.03, sessions=(2, 1)))
        bench.builder.edit(REQUEST.REMOVE, pair_of(closure(3, 3, sessions=(2, 1))))
        if not comes_first:
            assert bench.builder.fix(fixed)
        results.append(bench.poses())
        assert bench.drops == []
        assert bench.builder.graph.num_pieces == 1
    for poses in results:
        np.testing.assert_allclose(poses[:8], list(fixed.values()), atol=1e-6)
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)


def test_the_correction_is_that_of_the_newest_live_keyframe():
    bench = Bench().drive(5)
    bench.poses()
    assert bench.builder.correction() is None  # a stored map says nothing of now
    bench.builder.set_live(3)
    bench.builder.add_keyframe(keyframe(0, session=3, start_s=104.5))
    bench.builder.add_keyframe(keyframe(1, session=3, start_s=104.5))
    bench.builder.add_keyframe(keyframe(2, session=4, start_s=105.5))  # of another robot
    bench.poses()
    found = bench.builder.correction()
    assert found.key == KeyframeKey(3, 1)
    assert found.stamp_ns == int(105.5 * S)
    assert found.odom_frame == 'odom'
    np.testing.assert_allclose(found.T_map_camera, bench.builder.graph.pose(found.key))
    np.testing.assert_array_equal(found.T_odom_camera, odometry(1))
    assert found.covariance.shape == (6, 6)
    assert (np.linalg.eigvalsh(found.covariance) > 0).all()


def test_a_session_may_turn_out_live_after_its_keyframes_have_come():
    bench = Bench().drive(5)
    bench.poses()
    bench.builder.set_live(1)
    assert bench.builder.correction().key == KeyframeKey(1, 4)
    bench.builder.remove_keyframes([KeyframeKey(1, 4)])
    bench.poses()
    assert bench.builder.correction().key == KeyframeKey(1, 3)


def test_a_new_piece_is_tied_once_a_loop_leads_to_the_map():
    bench = Bench().drive(5)
    bench.builder.set_live(1)
    bench.builder.set_live(2)
    assert bench.builder.add_keyframe(keyframe(0, session=2, frame='odom2', start_s=200.0))
    bench.poses()
    assert bench.builder.correction().key == KeyframeKey(2, 0)
    assert not bench.builder.correction().is_tied
    bench.builder.add_closure(closure(0, 2, sessions=(2, 1)))
    bench.poses()
    assert bench.builder.correction().is_tied


def test_with_other_parameters_the_graph_is_as_if_it_had_always_had_them():
    config = PoseGraphConfig(odometry_sigma_m_per_m=0.3, robust_threshold=1.0, pcm=False)
    changed, always = Bench().drive(), Bench()
    always.builder = GraphBuilder(config, lambda *drop: always.drops.append(drop))
    always.drive()
    for bench in (changed, always):
        for item in (closure(8, 0), closure(9, 1, shift_m=0.3), closure(10, 2)):
            bench.builder.add_closure(item)
        bench.builder.edit(REQUEST.REMOVE, (KeyframeKey(1, 2), KeyframeKey(1, 10)))
    before = changed.poses()
    changed.builder.set_config(config)
    np.testing.assert_allclose(changed.poses(), always.poses(), atol=1e-6)
    assert not np.allclose(changed.poses(), before, atol=1e-3)
    changed.builder.add_keyframe(keyframe(12))
    always.builder.add_keyframe(keyframe(12))
    np.testing.assert_allclose(changed.poses(), always.poses(), atol=1e-6)
    assert changed.drops == always.drops == []


def test_parameters_may_change_before_the_first_keyframe():
    bench = Bench()
    bench.builder.set_config(PoseGraphConfig(pcm=False))
    assert len(bench.drive().poses()) == 12
    assert not bench.drops


# The graph in a process of its own.


class RemoteBench(Bench):
    def __init__(self):
        self.drops = []
        self.builder = GraphBuilder(
            PoseGraphConfig(), lambda *drop: self.drops.append(drop), RemoteGraph
        )

    def poses(self):
        self.builder.finish()
        return self.builder.columns().T_map_camera

    def kill(self):
        os.kill(self.builder.graph.pid, signal.SIGKILL)


@pytest.fixture
def remote():
    bench = RemoteBench()
    yield bench
    bench.builder.close()


def test_what_dies_is_built_anew(remote):
    here = Bench().drive()
    remote.drive(8)
    remote.kill()
    for i in range(8, 12):
        remote.builder.add_keyframe(keyframe(i))
    for bench in (here, remote):
        assert bench.builder.set_live(1)
        for item in (closure(8, 0), closure(9, 1), closure(10, 2, shift_m=0.1)):
            bench.builder.add_closure(item)
        bench.builder.edit(REQUEST.REMOVE, pair_of(closure(10, 2)))
        bench.builder.edit(REQUEST.PIN, pair_of(closure(9, 1)))
    here.builder.update()
    remote.kill()  # the new graph is solved before it is read
    ours, theirs = remote.builder.correction(), here.builder.correction()
    np.testing.assert_allclose(ours.T_map_odom, theirs.T_map_odom, atol=1e-3)
    np.testing.assert_allclose(remote.poses(), here.poses(), atol=1e-6)
    assert remote.builder.remove_keyframes([KeyframeKey(1, 4)]) == 1
    here.builder.remove_keyframes([KeyframeKey(1, 4)])
    remote.kill()
    # Built without it, odometry past it is one edge, not the sum of two.
    np.testing.assert_allclose(remote.poses(), here.poses(), atol=5e-3)
    assert [reason for reason, _ in remote.drops] == ['solver_died'] * 3
    weights = here.builder.columns().weights
    np.testing.assert_allclose(remote.builder.columns().weights, weights, atol=1e-3)
    assert weights.tolist().count(0.0) == 1


def test_a_base_map_held_fixed_survives_a_death(remote):
    remote.drive(4)
    T = {KeyframeKey(1, 0): se3.make_pose(translation=[7.0, 0, 0])}
    assert remote.builder.fix(T)
    remote.kill()
    assert remote.poses()[0, 0, 3] == pytest.approx(7.0, abs=1e-3)


def test_what_kills_it_again_is_refused_and_the_rest_remembered(remote, monkeypatch):
    remote.drive(5)
    monkeypatch.setattr(
        RemoteGraph, 'add_closure', lambda graph, _closure: (remote.kill(), graph.update())
    )
    with pytest.raises(InputError, match=r'the pose graph cannot do this: .* ended with -9'):
        remote.builder.add_closure(closure(4, 0))
    monkeypatch.undo()
    assert len(remote.poses()) == 5
    assert remote.builder.add_closure(closure(4, 0)) is Effect.ADDED


def test_once_closed_it_is_not_built_anew(remote):
    remote.drive(3)
    remote.builder.close()
    with pytest.raises(InputError, match='the pose graph is closed'):
        remote.builder.update()
