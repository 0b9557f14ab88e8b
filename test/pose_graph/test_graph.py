"""The pose graph as a robot feeds it: keyframes, closures, sessions."""

from __future__ import annotations

from itertools import pairwise

import gtsam
import numpy as np
import pytest
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import (
    Pose,
    expmap,
    inverse,
    logmap,
    make_pose,
    rotation_angle_deg,
    translation_m,
)
from s3e_gnn_ros.pose_graph import graph as graph_module
from s3e_gnn_ros.pose_graph.g2o import read_g2o, write_g2o
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

KERNELS = ('huber', 'cauchy', 'dcs', 'geman_mcclure')
COVARIANCE = np.diag([0.01**2] * 3 + [0.02**2] * 3)
PLAIN = PoseGraphConfig(robust_kernel='none', pcm=False, gnc=False)


def make_closure(
    match: tuple[int, int],
    query: tuple[int, int],
    T_match_query: Pose,
    covariance: NDArray[np.float64] = COVARIANCE,
) -> LoopClosure:
    return LoopClosure(
        query_id=query[1],
        match_id=match[1],
        query_session=query[0],
        match_session=match[0],
        query_stamp_ns=0,
        match_stamp_ns=0,
        T_match_query=T_match_query,
        covariance=covariance,
        similarity=0.5,
        num_inliers=50,
        inlier_ratio=0.8,
    )


def square_drive(side: int = 6) -> list[Pose]:
    """Round a square, one metre a step, and two steps beyond its start."""
    step, turn = make_pose(translation=[1.0, 0, 0]), expmap([0, 0, np.pi / 2, 0, 0, 0])
    poses = [np.eye(4)]
    for k in range(1, 4 * side + 3):
        poses.append(poses[-1] @ (turn @ step if k % side == 0 else step))
    return poses


def drifted(poses: list[Pose]) -> list[Pose]:
    """Each motion disturbed by noise, and a little longer than it was."""
    rng = np.random.default_rng(0)
    out = [poses[0]]
    for before, after in pairwise(poses):
        noise = expmap(rng.normal([0, 0, 0, 0.01, 0, 0], 0.01))
        out.append(out[-1] @ inverse(before) @ after @ noise)
    return out


def add_all(graph: PoseGraph, poses: list[Pose], session: int = 0, continues: bool = True) -> None:
    for k, T in enumerate(poses):
        graph.add_keyframe(KeyframeKey(session, k), k * 10**9, T, continues or k > 0)


def batch_poses(graph: PoseGraph, kernel: gtsam.noiseModel.Base | None = None) -> np.ndarray:
    """Solve the edges anew with gtsam alone."""
    index = {key: k for k, key in enumerate(graph.keys)}
    factors, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    values.insert(0, gtsam.Pose3(graph.pose(graph.keys[0])))
    prior = gtsam.noiseModel.Isotropic.Sigma(6, 1e-4)
    factors.add(gtsam.PriorFactorPose3(0, values.atPose3(0), prior))
    for edge in graph.odometry_edges + graph.closure_edges:
        i, j = index[edge.i], index[edge.j]
        noise = gtsam.noiseModel.Gaussian.Covariance(edge.covariance)
        factors.add(gtsam.BetweenFactorPose3(i, j, gtsam.Pose3(edge.T_i_j), noise))
        if not values.exists(j):
            values.insert(j, values.atPose3(i).compose(gtsam.Pose3(edge.T_i_j)))
    result = gtsam.LevenbergMarquardtOptimizer(factors, values).optimize()
    return np.array([result.atPose3(k).matrix() for k in range(len(index))])


def rms_m(poses: np.ndarray, truth: list[Pose]) -> float:
    return float(np.sqrt(np.mean((poses[:, :3, 3] - np.array(truth)[:, :3, 3]) ** 2)))


@pytest.fixture
def truth() -> list[Pose]:
    return square_drive()


@pytest.fixture
def odometry(truth: list[Pose]) -> list[Pose]:
    return drifted(truth)


def test_empty_graph() -> None:
    graph = PoseGraph(PLAIN)
    graph.update()
    graph.finish()
    assert graph.poses().shape == (0, 4, 4)
    assert len(graph) == graph.num_pieces == 0
    assert graph.error() == 0.0
    np.testing.assert_array_equal(graph.latest_correction(), np.eye(4))


@pytest.mark.parametrize('start', [np.eye(4), expmap([0.3, -2.0, 0.5, 5, -3, 1])])
def test_odometry_alone_is_kept(odometry: list[Pose], start: Pose) -> None:
    graph = PoseGraph(PLAIN)
    odometry = [start @ T for T in odometry]
    add_all(graph, odometry)
    np.testing.assert_allclose(graph.poses(), odometry, atol=1e-9)
    graph.update()
    np.testing.assert_allclose(graph.poses(), odometry, atol=1e-6)
    np.testing.assert_allclose(graph.latest_correction(), np.eye(4), atol=1e-6)
    assert graph.error() == pytest.approx(0.0, abs=1e-9)
    assert len(graph.odometry_edges) == len(odometry) - 1


def test_square_loop_reaches_the_optimum(truth: list[Pose], odometry: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, odometry[:-3])
    graph.update()
    for k in range(len(odometry) - 3, len(odometry)):
        graph.add_keyframe(KeyframeKey(0, k), k * 10**9, odometry[k])
        assert graph.add_closure(
            make_closure((0, k - 24), (0, k), inverse(truth[k - 24]) @ truth[k])
        )
        graph.update()
    np.testing.assert_allclose(graph.poses(), batch_poses(graph), atol=2e-3)
    graph.finish()
    np.testing.assert_allclose(graph.poses(), batch_poses(graph), atol=1e-5)
    assert rms_m(graph.poses(), truth) < 0.5 * rms_m(np.array(odometry), truth)


def test_latest_correction_maps_odometry_onto_the_map(
    truth: list[Pose], odometry: list[Pose]
) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, odometry)
    graph.add_closure(make_closure((0, 1), (0, 25), inverse(truth[1]) @ truth[25]))
    graph.update()
    T_map_odom = graph.latest_correction()
    assert translation_m(T_map_odom) > 0.05
    np.testing.assert_allclose(T_map_odom @ odometry[-1], graph.pose(graph.keys[-1]), atol=1e-9)


def test_covariance_is_rotation_first() -> None:
    """A closure sure of rotation alone decides rotation; odometry keeps the translation."""
    graph = PoseGraph(PLAIN)
    add_all(graph, [np.eye(4), make_pose(translation=[1.0, 0, 0])])
    measured = expmap([0, 0, 0.2, 0, 0, 0])
    measured[:3, 3] = [2.0, 0, 0]
    sure_of_rotation = np.diag([1e-8] * 3 + [1e2] * 3)
    graph.add_closure(make_closure((0, 0), (0, 1), measured, sure_of_rotation))
    graph.finish()
    T = graph.pose(KeyframeKey(0, 1))
    assert rotation_angle_deg(inverse(measured) @ T) < 0.01
    assert T[0, 3] == pytest.approx(1.0, abs=0.01)


def test_perturbation_is_on_the_right() -> None:
    """The marginal of the second pose is the covariance of its only edge, in its own axes."""
    graph = PoseGraph(PLAIN)
    graph.add_keyframe(KeyframeKey(0, 0), 0, np.eye(4))
    graph.add_keyframe(KeyframeKey(1, 0), 0, np.eye(4), odom_frame_continues=False)
    covariance = np.diag([1e-6, 2e-6, 3e-6, 4.0, 5.0, 6.0])
    graph.add_closure(make_closure((0, 0), (1, 0), expmap([0, 0, np.pi / 2, 3, 0, 0]), covariance))
    marginal = graph.marginal_covariance(KeyframeKey(1, 0))
    np.testing.assert_allclose(np.diag(marginal)[3:], [4.0, 5.0, 6.0], rtol=0.01)


def test_closure_waits_for_its_keyframe(truth: list[Pose], odometry: list[Pose]) -> None:
    closures = [
        make_closure((0, k), (0, 24 + k), inverse(truth[k]) @ truth[24 + k]) for k in (0, 2)
    ]
    early, late = PoseGraph(PLAIN), PoseGraph(PLAIN)
    assert [early.add_closure(closure) for closure in closures] == [False, False]
    assert early.num_pending == 2
    add_all(early, odometry)
    assert early.num_pending == 0
    add_all(late, odometry)
    assert all(late.add_closure(closure) for closure in closures)
    early.finish()
    late.finish()
    assert len(early.closure_edges) == 2
    np.testing.assert_allclose(early.poses(), late.poses(), atol=1e-6)


def test_waiting_closures_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, 'MAX_PENDING', 3)
    graph = PoseGraph(PLAIN)
    for k in range(1, 6):
        graph.add_closure(make_closure((0, 0), (0, k), np.eye(4)))
    assert (graph.num_pending, graph.num_dropped) == (3, 2)
    add_all(graph, [np.eye(4)] * 6)
    assert [edge.j.keyframe_id for edge in graph.closure_edges] == [3, 4, 5]


def test_duplicates_are_ignored(truth: list[Pose], odometry: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    closure = make_closure((0, 0), (0, 24), inverse(truth[0]) @ truth[24])
    assert not graph.add_closure(closure)
    assert not graph.add_closure(closure)  # while it waits
    add_all(graph, odometry)
    assert not graph.add_closure(closure)  # once it is in
    assert graph.num_duplicates == 2
    assert len(graph.closure_edges) == 1


def test_second_session_snaps_to_the_map(truth: list[Pose]) -> None:
    """It moves as a rigid body, whatever its odometry frame was, and no prior pulls at it."""
    graph = PoseGraph(PoseGraphConfig())
    add_all(graph, truth)
    elsewhere = expmap([0.4, 2.5, -1.0, 300, -70, 20])
    add_all(graph, [elsewhere @ T for T in truth], session=1, continues=False)
    graph.update()
    assert graph.num_pieces == 2
    np.testing.assert_allclose(graph.poses()[-1], elsewhere @ truth[-1], atol=1e-4)
    assert graph.add_closure(make_closure((0, 3), (1, 7), inverse(truth[3]) @ truth[7]))
    graph.update()
    assert graph.num_pieces == 1
    np.testing.assert_allclose(graph.poses()[len(truth) :], truth, atol=1e-5)
    np.testing.assert_allclose(graph.latest_correction(), inverse(elsewhere), atol=1e-3)
    assert graph.error() == pytest.approx(0.0, abs=1e-6)
    assert graph.num_recoveries == 0


def test_older_session_stays_when_it_is_the_query(truth: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, truth[:5])
    add_all(graph, [expmap([0, 0, 1, 50, 0, 0]) @ T for T in truth[:5]], 1, continues=False)
    graph.add_closure(make_closure((1, 4), (0, 1), inverse(truth[4]) @ truth[1]))
    graph.update()
    np.testing.assert_allclose(graph.poses(), truth[:5] * 2, atol=1e-5)


def test_three_pieces_join_in_any_order(truth: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    for session in range(3):
        frame = expmap([0, 0, session, 40.0 * session, 0, 0])
        add_all(graph, [frame @ T for T in truth[:4]], session, continues=False)
    graph.update()
    graph.add_closure(make_closure((1, 0), (2, 3), inverse(truth[0]) @ truth[3]))
    graph.add_closure(make_closure((0, 2), (2, 1), inverse(truth[2]) @ truth[1]))
    graph.update()
    np.testing.assert_allclose(graph.poses(), truth[:4] * 3, atol=1e-5)


def test_second_session_goes_on_in_the_same_odometry_frame(truth: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, truth[:3])
    for k, T in enumerate(truth[3:6]):
        graph.add_keyframe(KeyframeKey(1, k), k, T)
    assert graph.num_pieces == 1
    edge = graph.odometry_edges[2]
    assert (edge.i, edge.j) == ((0, 2), (1, 0))
    np.testing.assert_allclose(edge.T_i_j, inverse(truth[2]) @ truth[3], atol=1e-12)


def test_interleaved_sessions_keep_their_own_odometry(truth: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    for k in range(3):
        for session in range(2):
            graph.add_keyframe(KeyframeKey(session, k), k, truth[k], k > 0)
    assert all(edge.i.session == edge.j.session for edge in graph.odometry_edges)
    assert len(graph.odometry_edges) == 4


@pytest.mark.parametrize('kernel', KERNELS)
def test_robust_kernel_beats_a_false_loop(
    truth: list[Pose], odometry: list[Pose], kernel: str
) -> None:
    def run(config: PoseGraphConfig) -> float:
        graph = PoseGraph(config)
        add_all(graph, odometry)
        for k in range(3):
            true = inverse(truth[k]) @ truth[24 + k]
            graph.add_closure(make_closure((0, k), (0, 24 + k), true))
        graph.add_closure(make_closure((0, 5), (0, 15), np.eye(4)))
        graph.update()
        return rms_m(graph.poses(), truth)

    robust = run(PoseGraphConfig(robust_kernel=kernel))
    assert robust < 0.5 * run(PLAIN)


def test_loop_far_off_closes() -> None:
    """A circle whose odometry turned 40 % too little still ends where it began."""
    num = 60
    odometry = [np.eye(4)]
    for _ in range(num):
        odometry.append(odometry[-1] @ expmap([0, 0, 1.2 * np.pi / num, 1.0, 0, 0]))
    graph = PoseGraph(PLAIN)
    add_all(graph, odometry)
    graph.update()
    graph.add_closure(make_closure((0, 0), (0, num), np.eye(4)))
    graph.update()
    np.testing.assert_allclose(graph.poses()[-1], np.eye(4), atol=0.1)
    online = graph.error()
    graph.finish()
    assert online < 1.05 * graph.error()


@pytest.mark.parametrize(
    ('covariance', 'words'),
    [
        (np.diag([1.0, 1, 1, 1, 1, 0]), 'positive definite'),
        (np.diag([1.0, 1, 1, 1, 1, -1]), 'eigenvalues reach from -1 to 1'),
        (np.diag([1e-8, 1, 1, 1, 1, 1e8]), 'positive definite'),
        (np.full((6, 6), np.nan), 'not finite'),
        (np.eye(6) + np.triu(np.ones((6, 6)), 1), 'not symmetric'),
        (np.eye(3), r'shape \(3, 3\)'),
    ],
)
def test_bad_covariance_is_refused(covariance: np.ndarray, words: str) -> None:
    graph = PoseGraph(PLAIN)
    with pytest.raises(InputError, match=words):
        graph.add_closure(make_closure((0, 0), (0, 1), np.eye(4), covariance))
    assert graph.num_pending == 0


def test_bad_input_is_refused_and_changes_nothing(truth: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, truth[:3])
    with pytest.raises(InputError, match='keyframe 2 of session 0 is there already'):
        graph.add_keyframe(KeyframeKey(0, 2), 9 * 10**9, truth[3])
    with pytest.raises(InputError, match='not after 2000000000 ns'):
        graph.add_keyframe(KeyframeKey(0, 3), 2 * 10**9, truth[3])
    with pytest.raises(InputError, match='keyframe 3 of session 0 is not finite'):
        graph.add_keyframe(KeyframeKey(0, 3), 3 * 10**9, np.full((4, 4), np.nan))
    with pytest.raises(InputError, match='with itself'):
        graph.add_closure(make_closure((0, 1), (0, 1), np.eye(4)))
    with pytest.raises(InputError, match='closure of keyframe 0 of session 0'):
        graph.add_closure(make_closure((0, 0), (0, 1), 2 * np.eye(4)))
    with pytest.raises(InputError, match='keyframe 7 of session 1 is not in'):
        graph.pose(KeyframeKey(1, 7))
    graph.update()
    np.testing.assert_allclose(graph.poses(), truth[:3], atol=1e-6)


def test_marginal_covariance_grows_along_odometry_and_shrinks_by_a_loop(
    truth: list[Pose],
) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, truth)
    traces = [np.trace(graph.marginal_covariance(KeyframeKey(0, k))) for k in (1, 10, 24)]
    assert traces == sorted(traces)
    graph.add_closure(make_closure((0, 0), (0, 24), inverse(truth[0]) @ truth[24]))
    assert np.trace(graph.marginal_covariance(KeyframeKey(0, 24))) < 0.5 * traces[2]


def test_to_g2o_keeps_the_error(tmp_path, truth: list[Pose], odometry: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, odometry)
    graph.add_closure(make_closure((0, 0), (0, 24), inverse(truth[0]) @ truth[24]))
    graph.finish()
    path = tmp_path / 'pose_graph.g2o'
    write_g2o(path, graph.to_g2o())
    np.testing.assert_allclose(read_g2o(path).poses, graph.poses(), atol=1e-12)
    factors, values = gtsam.readG2o(str(path), True)
    # The anchor holds the first pose, so that it adds next to nothing.
    assert factors.error(values) == pytest.approx(graph.error(), rel=1e-6)


def test_edges_lead_from_match_to_query(truth: list[Pose]) -> None:
    graph = PoseGraph(PLAIN)
    add_all(graph, truth)
    measured = inverse(truth[2]) @ truth[20]
    graph.add_closure(make_closure((0, 2), (0, 20), measured))
    (edge,) = graph.closure_edges
    assert (edge.i, edge.j) == (KeyframeKey(0, 2), KeyframeKey(0, 20))
    np.testing.assert_allclose(logmap(inverse(edge.T_i_j) @ measured), np.zeros(6), atol=1e-12)


def test_a_graph_that_is_pruned_for_ever_keeps_its_poses():
    graph, steps = PoseGraph(PLAIN), 300
    step = expmap([0.0, 0.02, 0.01, 0.1, 0.0, 0.05])
    T = expmap([0.4, 0.3, -0.2, 5.0, 1.0, 0.0])
    for number in range(steps):
        graph.add_keyframe(KeyframeKey(1, number), number * 10**9, T)
        T = T @ step
        if number >= 20:
            graph.remove_keyframe(KeyframeKey(1, number - 15))
        graph.update()
    poses = graph.poses()
    R = poses[:, :3, :3]
    np.testing.assert_allclose(
        R @ R.transpose(0, 2, 1), np.tile(np.eye(3), (len(R), 1, 1)), atol=1e-9
    )
    assert translation_m(inverse(poses[-1]) @ T @ inverse(step)) < 1e-6
