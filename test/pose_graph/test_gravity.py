"""Four degrees of freedom: what loops move, and what gravity keeps."""

from __future__ import annotations

import dataclasses
import functools

import gtsam
import numpy as np
import pytest

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.geometry.se3 import Pose, expmap, inverse, make_pose, rotation_angle_deg
from s3e_gnn_ros.pose_graph.edge import Edge
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.gravity import (
    level_covariance,
    level_move,
    levelled,
    loosened,
    tilt_factor,
    up_in,
)
from s3e_gnn_ros.pose_graph.gravity_study import VioDrive, errors, feed, make_drive
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

FOUR = PoseGraphConfig(degrees_of_freedom=4)
SIX = PoseGraphConfig()
PLAIN_FOUR = dataclasses.replace(FOUR, robust_kernel='none', pcm=False, gnc=False)
A_POSE = expmap([0.3, -0.5, 0.9, 1, 2, 3])


def yawed(yaw: float, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Pose:
    return make_pose(expmap([0, 0, yaw, 0, 0, 0])[:3, :3], [x, y, z])


def max_tilt_rad(poses: np.ndarray, odometry: np.ndarray) -> float:
    """How far the vertical of any pose is from that of its odometry."""
    ups = poses[:, 2, :3], odometry[:, 2, :3]
    return float(np.linalg.norm(np.cross(*ups), axis=1).max())


def pair_of(closure: LoopClosure) -> tuple[KeyframeKey, KeyframeKey]:
    return closure.match, closure.query


# The parts.


def test_five_degrees_of_freedom_mean_nothing() -> None:
    with pytest.raises(ConfigError, match='degrees_of_freedom is 5 instead of one of 6, 4'):
        PoseGraphConfig(degrees_of_freedom=5)


def test_tilt_costs_and_yaw_does_not() -> None:
    factor = tilt_factor(0, up_in(A_POSE))

    def error(T: Pose) -> float:
        values = gtsam.Values()
        values.insert(0, gtsam.Pose3(T))
        return float(factor.error(values))

    assert error(yawed(2.5, 1, 2, 3) @ A_POSE) == pytest.approx(0.0, abs=1e-9)
    assert error(expmap([1e-3, 0, 0, 0, 0, 0]) @ A_POSE) == pytest.approx(5000.0, rel=1e-3)


def test_odometry_is_unsure_of_yaw_alone() -> None:
    up = up_in(A_POSE)
    covariance = level_covariance(np.array([0.1] * 3 + [0.2] * 3), up)
    assert up @ covariance[:3, :3] @ up == pytest.approx(0.01)
    level = np.cross(up, [1.0, 0, 0])
    assert level @ covariance[:3, :3] @ level < 1e-9
    np.testing.assert_allclose(covariance[3:, 3:], 0.04 * np.eye(3))


def test_a_closure_is_less_sure_of_roll_and_pitch_by_what_odometry_may_be_off() -> None:
    up = np.array([0.0, -1.0, 0.0])
    edge = Edge(KeyframeKey(0, 0), KeyframeKey(0, 1), np.eye(4), 1e-6 * np.eye(6))
    loose = loosened(edge, up, up, 0.01)
    np.testing.assert_allclose(np.diag(loose.covariance)[:3], [2.01e-4, 1e-6, 2.01e-4])
    np.testing.assert_allclose(np.diag(loose.covariance)[3:], 1e-6)
    # A match that leans puts the query, two metres ahead, elsewhere: that counts as well.
    ahead = dataclasses.replace(edge, T_i_j=make_pose(translation=[0, 0, 2.0]))
    assert loosened(ahead, up, up, 0.01).covariance[4, 4] == pytest.approx(1e-6 + 4e-4)


@pytest.mark.parametrize('yaw', [0.0, 0.7, -2.0, 3.1])
def test_a_move_about_the_vertical_is_found(yaw: float) -> None:
    move = yawed(yaw, 4, -5, 6)
    np.testing.assert_allclose(level_move(move @ A_POSE, A_POSE), move, atol=1e-12)
    bent = move @ A_POSE @ expmap([0.02, 0.03, -0.01, 0, 0, 0])
    found = level_move(bent, A_POSE)
    np.testing.assert_allclose(found[2, :3], [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose((found @ A_POSE)[:3, 3], bent[:3, 3], atol=1e-12)


@pytest.mark.parametrize('turn', [np.zeros(3), [0.3, 0.1, 0.0], [np.pi, 0, 0]])
def test_levelled_is_the_least_turn_that_makes_it_upright(turn: np.ndarray) -> None:
    T = make_pose(expmap([*turn, 0, 0, 0])[:3, :3]) @ A_POSE
    upright = levelled(T, up_in(A_POSE))
    np.testing.assert_allclose(up_in(upright), up_in(A_POSE), atol=1e-9)
    apart = np.degrees(np.linalg.norm(turn))
    assert rotation_angle_deg(inverse(T) @ upright) == pytest.approx(apart, abs=1e-6)
    np.testing.assert_array_equal(upright[:3, 3], T[:3, 3])


# The graph.


@functools.cache
def drive_of(seed: int) -> VioDrive:
    return make_drive(seed, laps=3)


@pytest.mark.parametrize('config', [PLAIN_FOUR, FOUR], ids=['plain', 'robust'])
def test_noisy_loops_bend_neither_roll_nor_pitch(config: PoseGraphConfig) -> None:
    drive = drive_of(0)
    graph = feed(drive, config)
    assert np.linalg.norm(graph.poses()[:, :3, 3] - drive.odometry[:, :3, 3], axis=1).max() > 0.5
    assert max_tilt_rad(graph.poses(), drive.odometry) < 1e-4
    assert max_tilt_rad(feed(drive, SIX).poses(), drive.odometry) > 1e-2
    assert max_tilt_rad(graph.latest_correction()[None], np.eye(4)[None]) < 1e-4


def test_nor_do_they_while_driving() -> None:
    drive, graph = drive_of(1), PoseGraph(FOUR)
    closures = {closure.query_id: closure for closure in drive.closures}
    for k, T in enumerate(drive.odometry):
        graph.add_keyframe(KeyframeKey(0, k), k * 10**9, T)
        if k in closures:
            graph.add_closure(closures[k])
        graph.update()
    assert len(graph.closure_edges) == len(drive.closures)
    assert max_tilt_rad(graph.poses(), drive.odometry) < 1e-4
    online = graph.poses()
    graph.finish()
    np.testing.assert_allclose(online, graph.poses(), atol=0.02)


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_position_is_nearer_the_truth_than_with_six(seed: int) -> None:
    drive = drive_of(seed)
    four = errors(feed(drive, FOUR).poses(), drive.truth)
    six = errors(feed(drive, SIX).poses(), drive.truth)
    assert four.position_m < six.position_m
    assert four.yaw_deg < 1.1 * six.yaw_deg
    assert four.tilt_deg < 0.01 < six.tilt_deg


def test_consistent_data_give_what_six_give() -> None:
    drive = make_drive(3, laps=2)
    exact = [
        dataclasses.replace(
            closure,
            T_match_query=inverse(drive.truth[closure.match_id]) @ drive.truth[closure.query_id],
        )
        for closure in drive.closures
    ]
    drive = VioDrive(drive.truth, drive.truth, exact)
    four, six = feed(drive, FOUR), feed(drive, SIX)
    np.testing.assert_allclose(four.poses(), six.poses(), atol=1e-6)
    np.testing.assert_allclose(four.poses(), drive.truth, atol=1e-6)


@pytest.mark.parametrize('num_further', [1, 10])
def test_undo_equals_never_having_had_it(num_further: int) -> None:
    drive = drive_of(2)
    undone = drive.closures[-num_further]
    rest = [closure for closure in drive.closures if closure is not undone]
    never, graph = feed(dataclasses.replace(drive, closures=rest), FOUR), feed(drive, FOUR)
    graph.remove_closure(*pair_of(undone))
    graph.finish()
    np.testing.assert_allclose(graph.poses(), never.poses(), atol=1e-6)
    graph.restore_closure(*pair_of(undone))
    graph.finish()
    np.testing.assert_allclose(graph.poses(), feed(drive, FOUR).poses(), atol=1e-6)


def twin_rooms(drive: VioDrive) -> tuple[VioDrive, np.ndarray]:
    """Take one room for another in two runs of closures, each off by one motion of the world."""
    closures, is_wrong = list(drive.closures), np.zeros(len(drive.closures), bool)
    for start, twin in ((4, yawed(0, 3, 1)), (20, yawed(np.pi, -2, 3))):
        for k in range(start, start + 5):
            T_world_match = drive.truth[closures[k].match_id]
            T = inverse(T_world_match) @ twin @ T_world_match @ closures[k].T_match_query
            closures[k] = dataclasses.replace(closures[k], T_match_query=T)
            is_wrong[k] = True
    return dataclasses.replace(drive, closures=closures), is_wrong


@pytest.mark.parametrize('seed', [0, 1])
def test_twin_rooms_are_told_apart(seed: int) -> None:
    drive, is_wrong = twin_rooms(drive_of(seed))
    graph = feed(drive, FOUR)
    inside = {(edge.i, edge.j) for edge in graph.closure_edges}
    is_in = np.array([pair_of(closure) in inside for closure in drive.closures])
    np.testing.assert_array_equal(is_in, ~is_wrong)
    assert max_tilt_rad(graph.poses(), drive.odometry) < 1e-4


def test_a_closure_that_defies_gravity_is_taken_out() -> None:
    """Yaw and position fit, but it says that one of the two stood on a slope."""
    drive = drive_of(0)
    closures = list(drive.closures)
    lean = expmap([np.radians(12), 0, 0, 0, 0, 0])
    closures[9] = dataclasses.replace(closures[9], T_match_query=closures[9].T_match_query @ lean)
    graph = feed(dataclasses.replace(drive, closures=closures), FOUR)
    assert [(edge.i, edge.j) for edge in graph.rejected_edges] == [pair_of(closures[9])]


def two_sessions(fixed: bool = False) -> tuple[PoseGraph, VioDrive, Pose]:
    """Two sessions of one drive, the second in an odometry frame of its own, z up as well."""
    drive, elsewhere = drive_of(0), yawed(2.0, 30, -20, 5)
    graph, half = PoseGraph(FOUR), len(drive.truth) // 3
    for k in range(half):
        T = drive.truth[k]
        graph.add_keyframe(
            KeyframeKey(0, k), k * 10**9, T, k > 0, T_map_camera_fixed=T if fixed else None
        )
    for k in range(half, 2 * half):
        graph.add_keyframe(KeyframeKey(1, k), k * 10**9, elsewhere @ drive.odometry[k], k > half)
    graph.update()
    for closure in drive.closures:
        if closure.query_id < 2 * half:
            graph.add_closure(dataclasses.replace(closure, query_session=1))
    return graph, drive, elsewhere


@pytest.mark.parametrize('fixed', [False, True], ids=['free', 'fixed'])
def test_pieces_that_join_stay_upright(fixed: bool) -> None:
    graph, drive, elsewhere = two_sessions(fixed)
    half = len(drive.truth) // 3
    assert graph.num_pieces == 1
    before_update = graph.poses()
    graph.update()
    graph.finish()
    odometry = np.concatenate([drive.truth[:half], elsewhere @ drive.odometry[half : 2 * half]])
    for poses in (before_update, graph.poses()):
        assert max_tilt_rad(poses, odometry) < 1e-4
    assert errors(graph.poses(), drive.truth[: 2 * half]).position_m < 0.3
    assert errors(graph.poses(), drive.truth[: 2 * half]).yaw_deg < 2.0


def test_pieces_that_part_stay_upright() -> None:
    graph, drive, elsewhere = two_sessions()
    for edge in graph.closure_edges + graph.rejected_edges:
        graph.remove_closure(edge.i, edge.j)
    graph.finish()
    half = len(drive.truth) // 3
    assert graph.num_pieces == 2
    expected = elsewhere @ drive.odometry[half : 2 * half]
    np.testing.assert_allclose(graph.poses()[half:], expected, atol=1e-6)


def test_a_keyframe_that_goes_leaves_the_others_upright() -> None:
    drive = drive_of(1)
    graph = feed(drive, FOUR)
    before = graph.poses()
    gone = [0, 50, 120, 121, len(drive.truth) - 1]
    for k in gone:
        graph.remove_keyframe(KeyframeKey(0, k))
    graph.finish()
    kept = np.delete(np.arange(len(drive.truth)), gone)
    assert max_tilt_rad(graph.poses(), drive.odometry[kept]) < 1e-4
    apart = inverse(graph.poses()[0]) @ graph.poses()
    np.testing.assert_allclose(apart, inverse(before[1]) @ before[kept], atol=0.1)


def test_a_long_drive_far_away_is_solved() -> None:
    """Ten kilometres off, and unsure by hundreds of metres before the loop."""
    graph = PoseGraph(FOUR)
    step = yawed(0.0, 20.0) @ expmap([0, 0, 2 * np.pi / 500, 0, 0, 0])
    T = yawed(0, 1e4, -1e4) @ A_POSE
    odometry = [T]
    for _ in range(499):
        odometry.append(yawed(0, 1e4, -1e4) @ step @ yawed(0, -1e4, 1e4) @ odometry[-1])
    for k, pose in enumerate(odometry):
        graph.add_keyframe(KeyframeKey(0, k), k * 10**10, pose)
    graph.update()
    covariance = np.diag([0.01**2] * 3 + [0.05**2] * 3)
    back = expmap([0.01, 0.01, 0.01, 0.05, 0.05, 0.05])
    graph.add_closure(
        LoopClosure(499, 0, 0, 0, 0, 0, back, covariance, 1.0, num_inliers=50, inlier_ratio=0.8)
    )
    graph.finish()
    assert len(graph.closure_edges) == 1
    assert max_tilt_rad(graph.poses(), np.array(odometry)) < 1e-4
