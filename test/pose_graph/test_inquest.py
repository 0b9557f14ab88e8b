"""Checks that take their time: the graph goes on meanwhile, and what has changed since counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from aliased import Drive, feed, make_drive, rms_m

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.pose_graph.check import Check, CheckResult, LocalChecker
from s3e_gnn_ros.pose_graph.child import ChildDiedError
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

CONFIG = PoseGraphConfig()


class SlowChecker(LocalChecker):
    """Has a result once it is told to, or asked to wait."""

    def __init__(self) -> None:
        super().__init__(CONFIG)
        self.is_ready = False
        self.is_dead = False
        self.checks: list[Check] = []

    def begin(self, check: Check) -> None:
        self.checks.append(check)
        super().begin(check)

    def result(self, *, wait: bool) -> CheckResult | None:
        if self.is_dead:
            self.is_dead = False
            raise ChildDiedError('killed')
        return super().result(wait=wait) if wait or self.is_ready else None


class Robot:
    """Drives on, step by step, while a check may be under way."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.checker = SlowChecker()
        self.graph = PoseGraph(CONFIG, self.checker)
        self._closures = {closure.query_id: closure for closure in drive.closures}

    def step(self) -> None:
        k = len(self.graph)
        self.graph.add_keyframe(KeyframeKey(0, k), k * 10**9, self.drive.odometry[k])
        if k in self._closures:
            self.graph.add_closure(self._closures[k])
        self.graph.update()

    def drive_until_a_check(self) -> None:
        while not self.graph.is_checking:
            self.step()

    def drive_to_the_end(self) -> None:
        while len(self.graph) < len(self.drive.odometry):
            self.step()

    def inside(self) -> set[tuple[KeyframeKey, KeyframeKey]]:
        return {(edge.i, edge.j) for edge in self.graph.closure_edges}


def pair_of(closure: LoopClosure) -> tuple[KeyframeKey, KeyframeKey]:
    return closure.match, closure.query


def right_ones(drive: Drive) -> set[tuple[KeyframeKey, KeyframeKey]]:
    pairs = [pair_of(closure) for closure in drive.closures]
    return {pair for pair, is_wrong in zip(pairs, drive.is_wrong, strict=True) if not is_wrong}


@pytest.fixture
def robot() -> Robot:
    robot = Robot(make_drive(1, wrong=0.3))
    robot.drive_until_a_check()
    return robot


def test_the_graph_goes_on_while_a_check_is_under_way(robot: Robot) -> None:
    number = len(robot.graph)
    for _ in range(20):
        robot.step()
    assert robot.graph.is_checking
    assert len(robot.checker.checks) == 1  # no second one before the first has ended
    assert len(robot.checker.checks[0].poses) == number
    before = robot.graph.poses()
    np.testing.assert_allclose(before[0], np.eye(4), atol=0.02)
    assert np.isfinite(before).all()


def test_what_came_meanwhile_is_offered_again(robot: Robot) -> None:
    for _ in range(30):
        robot.step()
    robot.checker.is_ready = True
    robot.graph.update()
    assert not robot.graph.is_checking or len(robot.checker.checks) == 2
    robot.drive_to_the_end()
    robot.graph.finish()
    assert robot.inside() == right_ones(robot.drive)
    assert rms_m(robot.graph.poses(), robot.drive.truth) < 0.1


def test_late_results_end_where_prompt_ones_do() -> None:
    drive = make_drive(3, wrong=1 / 3)
    robot = Robot(drive)
    while len(robot.graph) < len(drive.odometry):
        robot.step()
        robot.checker.is_ready = len(robot.graph) % 17 == 0
    robot.graph.finish()
    prompt = feed(drive, CONFIG)
    prompt.finish()
    assert robot.inside() == {(edge.i, edge.j) for edge in prompt.closure_edges}
    np.testing.assert_allclose(robot.graph.poses(), prompt.poses(), atol=1e-6)


def test_a_result_that_changes_what_is_in_moves_the_newest_keyframe_too(robot: Robot) -> None:
    """It lies ahead of what was judged, and goes with it by odometry."""
    for _ in range(5):
        robot.step()
    judged = len(robot.checker.checks[0].poses)
    robot.checker.is_ready = True
    robot.graph.update()
    odometry = np.linalg.inv(robot.drive.odometry[judged - 1]) @ robot.drive.odometry[judged + 4]
    apart = np.linalg.inv(robot.graph.poses()[judged - 1]) @ robot.graph.poses()[judged + 4]
    np.testing.assert_allclose(apart, odometry, atol=0.2)


@pytest.mark.parametrize('change', ['remove', 'restore', 'pin', 'replace', 'keyframe'])
def test_a_change_by_hand_voids_the_check(robot: Robot, change: str) -> None:
    first = next(iter(robot.inside()))
    closure = next(each for each in robot.drive.closures if pair_of(each) == first)
    out = [(edge.i, edge.j) for edge in robot.graph.rejected_edges]
    if change == 'remove':
        robot.graph.remove_closure(*first)
    elif change == 'restore':
        robot.graph.restore_closure(*out[0])
    elif change == 'pin':
        robot.graph.pin_closure(*out[0])
    elif change == 'replace':
        robot.graph.replace_closure(dataclasses.replace(closure, covariance=1e-3 * np.eye(6)))
    else:
        robot.graph.remove_keyframe(KeyframeKey(0, 3))
    inside = robot.inside()
    robot.checker.is_ready = True
    robot.graph.update()
    assert inside <= robot.inside()  # let in what agrees now, but took nothing out
    assert not robot.graph.is_checking
    robot.graph.finish()
    removed = {first} if change == 'remove' else set()
    assert removed.isdisjoint(robot.inside())
    assert (out[0] in robot.inside()) == (change == 'pin')


def test_a_lost_check_is_made_again(robot: Robot) -> None:
    robot.checker.is_dead = True
    robot.graph.update()
    assert not robot.graph.is_checking
    assert robot.graph.num_checks == 1
    robot.checker.is_ready = True
    robot.drive_to_the_end()
    robot.graph.finish()
    assert robot.graph.num_checks > 1
    assert robot.inside() == right_ones(robot.drive)


def test_finishing_waits_for_the_check(robot: Robot) -> None:
    robot.graph.finish()
    assert not robot.graph.is_checking
    prompt = feed(
        dataclasses.replace(robot.drive, odometry=robot.drive.odometry[: len(robot.graph)]), CONFIG
    )
    prompt.finish()
    assert robot.inside() == {(edge.i, edge.j) for edge in prompt.closure_edges}
