"""The back end's part of a story, from a map."""

import numpy as np
import pytest
from made_up_map import make_closure, make_keyframe

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.pair_story import Closures, back_end
from s3e_gnn_ros.types import KeyframeKey


@pytest.fixture
def rows(store):
    for number in range(4):
        store.add(make_keyframe(number))
    T_map_camera = np.array([se3.make_pose(None, [0.1 * k, 0, 0]) for k in range(3)])
    store.set_poses([KeyframeKey(1, k) for k in range(3)], T_map_camera)
    return store.rows()


def ask(rows, closures, query, match, *, weights=None):
    found = Closures(closures, [], weights or {})
    keys = KeyframeKey(1, query), KeyframeKey(1, match)
    return back_end(rows, found, Config(), *keys, solve=False)


def test_a_pair_without_closure(rows):
    assert ask(rows, [make_closure(2, 0)], 2, 1) is None


@pytest.mark.parametrize('ends', [(2, 0), (0, 2)])
def test_either_way_round_without_solving(rows, ends):
    closure = make_closure(2, 0)
    weights = {(KeyframeKey(1, 0), KeyframeKey(1, 2)): 0.25}
    found = ask(rows, [make_closure(2, 1), closure], *ends, weights=weights)
    assert found.closure is closure
    assert found.weight == 0.25
    assert found.report is None
    twist = se3.logmap(se3.inverse(closure.T_match_query) @ se3.make_pose(None, [0.2, 0, 0]))
    assert found.chi2 == pytest.approx(twist @ np.linalg.inv(closure.covariance) @ twist)


def test_where_the_poses_are_not_known(rows):
    found = ask(rows, [make_closure(3, 0)], 3, 0)
    assert found.chi2 is None
    assert found.weight is None
