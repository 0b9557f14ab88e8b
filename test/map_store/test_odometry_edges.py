"""Which keyframes of a map odometry ties together."""

import dataclasses

import numpy as np
import pytest
from made_up_map import make_keyframe

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.odometry_edges import OdometryEdges
from s3e_gnn_ros.map_store.records import EdgeKind
from s3e_gnn_ros.types import KeyframeKey


def keyframe(number, x_m, session=1, **changes):
    made = dataclasses.replace(make_keyframe(number, session), odom_frame='odom', **changes)
    return dataclasses.replace(made, T_odom_camera=se3.make_pose(None, [x_m, 0.0, 0.0]))


def test_successive_keyframes_are_tied_by_their_motion(store):
    edges = OdometryEdges()
    stored = set()
    for number, x_m in enumerate([0.0, 0.3, 0.7]):
        made = keyframe(number, x_m)
        store.add(made, edges=edges.edge_to(made, stored))
        stored.add(made.key)
    first, second = store.edges(EdgeKind.ODOMETRY)
    assert (first.i, first.j) == (KeyframeKey(1, 0), KeyframeKey(1, 1))
    assert (second.i, second.j) == (KeyframeKey(1, 1), KeyframeKey(1, 2))
    np.testing.assert_allclose(second.T_i_j[:3, 3], [0.4, 0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    'after',
    [
        keyframe(1, 900.0),  # a jump
        keyframe(1, 0.1, session=2),
        dataclasses.replace(keyframe(1, 0.1), odom_frame='other'),
        dataclasses.replace(keyframe(1, 0.1), stamp_ns=keyframe(0, 0.0).stamp_ns),
    ],
)
def test_nothing_ties_what_odometry_did_not_measure(after):
    edges = OdometryEdges()
    first = keyframe(0, 0.0)
    assert edges.edge_to(first, set()) == ()
    assert edges.edge_to(after, {first.key}) == ()


def test_a_keyframe_that_is_not_in_the_map_ties_nothing():
    edges = OdometryEdges()
    edges.edge_to(keyframe(0, 0.0), set())
    assert edges.edge_to(keyframe(1, 0.1), set()) == ()
