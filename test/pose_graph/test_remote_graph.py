"""The pose graph in another process: the same answers, and what becomes of its death."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator

import numpy as np
import pytest
from aliased import Drive, make_drive

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.pose_graph.child import ChildDiedError
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

CONFIG = PoseGraphConfig()


def feed(graph: PoseGraph | RemoteGraph, drive: Drive) -> None:
    by_query = {closure.query_id: closure for closure in drive.closures}
    for k, T in enumerate(drive.odometry):
        graph.add_keyframe(KeyframeKey(3, k), k * 10**9, T)
        if k in by_query:
            graph.add_closure(of_session(by_query[k]))
        graph.update()


def of_session(closure: LoopClosure) -> LoopClosure:
    return dataclasses.replace(closure, query_session=3, match_session=3)


def settle(graph: RemoteGraph, limit_s: float = 30.0) -> None:
    """Update until the check under way has been taken in."""
    end_s = time.monotonic() + limit_s
    while graph.is_checking:
        assert time.monotonic() < end_s
        time.sleep(0.02)
        graph.update()


@pytest.fixture
def graph() -> Iterator[RemoteGraph]:
    graph = RemoteGraph(CONFIG)
    yield graph
    graph.close()


def test_it_says_what_one_in_this_process_says(graph: RemoteGraph) -> None:
    drive, here = make_drive(1, wrong=0.3), PoseGraph(CONFIG)
    for each in (here, graph):
        feed(each, drive)
        each.finish()
    pair = [KeyframeKey(3, drive.closures[4].match_id), KeyframeKey(3, drive.closures[4].query_id)]
    for each in (here, graph):
        each.remove_closure(*pair)
        each.remove_keyframe(KeyframeKey(3, 60))
        each.finish()
        each.restore_closure(*pair)
        each.pin_closure(*pair)
        each.pin_closure(*pair, False)
        each.replace_closure(of_session(drive.closures[5]))
        each.add_keyframe(
            KeyframeKey(9, 0), 0, np.eye(4), False, T_map_camera_fixed=drive.truth[0]
        )
        each.finish()
    assert len(graph) == len(here) == len(drive.odometry)
    ours, theirs = graph.columns(), here.columns()
    for field in dataclasses.fields(ours):
        name = field.name
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=1e-9)
    assert (ours.weights == 0).sum() > 0
    mine, yours = (each.standing(KeyframeKey(3, 7)) for each in (graph, here))
    np.testing.assert_allclose(mine.T_map_camera, yours.T_map_camera, atol=1e-9)
    np.testing.assert_allclose(mine.covariance, yours.covariance, rtol=1e-6, atol=1e-15)
    assert mine.is_tied is yours.is_tied is False  # the map is the fixed keyframe


def test_it_judges_while_it_goes_on(graph: RemoteGraph) -> None:
    drive = make_drive(2, wrong=0.3)
    feed(graph, drive)
    settle(graph)
    graph.finish()
    assert ((graph.columns().weights == 0) == drive.is_wrong).all()


def test_what_it_refuses_is_refused_here(graph: RemoteGraph) -> None:
    graph.add_keyframe(KeyframeKey(0, 0), 0, np.eye(4))
    with pytest.raises(InputError, match='keyframe 0 of session 0 is there already'):
        graph.add_keyframe(KeyframeKey(0, 0), 0, np.eye(4))
    with pytest.raises(InputError, match='there is no closure of keyframe 0'):
        graph.remove_closure(KeyframeKey(0, 0), KeyframeKey(0, 1))
    with pytest.raises(RuntimeError, match='add_keyframe of the pose graph: TypeError'):
        graph.add_keyframe(KeyframeKey(0, 1), 'soon', np.eye(4))  # type: ignore[arg-type]
    assert len(graph) == 1


def test_its_death_is_told(graph: RemoteGraph) -> None:
    assert graph.pid is None
    graph.add_keyframe(KeyframeKey(0, 0), 0, np.eye(4))
    assert graph.pid is not None
    os.kill(graph.pid, signal.SIGKILL)
    with pytest.raises(ChildDiedError):
        graph.update()
