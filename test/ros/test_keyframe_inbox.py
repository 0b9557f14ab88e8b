"""Keyframes in order, gaps, and where odometry goes on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros.keyframe_inbox import KeyframeInbox, KeyframePose, is_continued
from s3e_gnn_ros.types import KeyframeKey

LATER = 1 + 10**9
"""A session of a node that was started a second after that of session 1."""


def pose(session, keyframe_id, second=0.0, x=0.0, frame='odom', robot=''):
    T = se3.make_pose(translation=(x, 0, 0))
    return KeyframePose(KeyframeKey(session, keyframe_id), int(second * 1e9), T, frame, robot)


@given(st.permutations([(s, i) for s in (3, 8) for i in range(5)]), st.data())
def test_any_order_with_repetitions_comes_out_in_order(keys, data):
    repeated = data.draw(st.lists(st.sampled_from(keys), max_size=5))
    inbox, out = KeyframeInbox(), []
    for key in [*keys, *repeated]:
        inbox.push(pose(*key))
        out += [item.key for item in inbox.pop_ready()]
    assert sorted(out) == sorted(keys)
    for session in (3, 8):
        assert [i for s, i in out if s == session] == list(range(5))
    assert inbox.missing() is None


def test_a_gap_waits_is_named_and_can_be_given_up():
    inbox = KeyframeInbox()
    for keyframe_id in (0, 3, 4):
        inbox.push(pose(5, keyframe_id))
    assert [item.key.keyframe_id for item in inbox.pop_ready()] == [0]
    assert inbox.missing() == (5, 1)
    inbox.give_up(5)
    assert [item.key.keyframe_id for item in inbox.pop_ready()] == [3, 4]
    assert not inbox.push(pose(5, 1))


def ready(inbox):
    return [tuple(item.key) for item in inbox.pop_ready()]


def test_what_was_removed_from_the_map_is_not_waited_for():
    inbox = KeyframeInbox()
    inbox.push_history([pose(5, 4), pose(5, 2), pose(6, 7), pose(5, 9)])
    assert ready(inbox) == [(5, 2), (5, 4), (5, 9), (6, 7)]
    inbox.push(pose(5, 10))
    inbox.push(pose(5, 12))  # lost on the way, this time
    assert ready(inbox) == [(5, 10)]
    assert inbox.missing() == (5, 11)
    inbox.push_history([pose(5, 14), pose(5, 12)])
    assert ready(inbox) == [(5, 12), (5, 14)]
    assert inbox.missing() is None


def test_a_removed_keyframe_fills_its_gap_and_does_not_come_back():
    inbox = KeyframeInbox()
    for keyframe_id in (0, 1, 4):
        inbox.push(pose(5, keyframe_id))
    inbox.remove([KeyframeKey(5, 1), KeyframeKey(5, 2), KeyframeKey(5, 3)])
    assert ready(inbox) == [(5, 0), (5, 4)]
    assert not inbox.push(pose(5, 2))
    assert inbox.missing() is None


@given(st.sets(st.integers(0, 12), min_size=1), st.data())
def test_history_and_live_messages_together_yield_each_keyframe_once(left, data):
    """Some keyframes of 0 to 12 are gone; the rest comes live in part, then as history."""
    live = data.draw(st.lists(st.sampled_from(sorted(left)), unique=True))
    inbox, out = KeyframeInbox(), []
    for keyframe_id in live:
        inbox.push(pose(5, keyframe_id))
        out += ready(inbox)
    start = inbox.missing()
    first_id = 0 if start is None else start.keyframe_id
    inbox.push_history([pose(5, i) for i in left if i >= first_id])
    out += ready(inbox)
    assert out == sorted(set(out))
    assert {i for _, i in out} == set(left)


@pytest.mark.parametrize(
    ('before', 'after', 'expected'),
    [
        (pose(1, 4, 10.0), pose(1, 5, 11.0, x=0.5), True),
        # The node restarted, odometry went on.
        (pose(1, 4, 10.0), pose(LATER, 0, 14.0, x=2.0), True),
        (pose(1, 4, 10.0), pose(LATER, 0, 24.0, x=2.0), False),  # too long ago
        (pose(1, 4, 10.0), pose(2, 0, 11.0, x=0.5), False),  # the node saw odometry begin anew
        (pose(1, 4, 10.0), pose(LATER, 0, 11.0, frame='odom2'), False),
        (pose(1, 4, 10.0), pose(LATER, 0, 11.0, robot='b'), False),
        (pose(1, 4, 10.0), pose(LATER, 0, 3.0), False),  # time jumped back
        (pose(1, 4, 10.0, x=30.0), pose(1, 5, 10.1, x=0.0), False),  # odometry started again
    ],
)
def test_where_odometry_goes_on(before, after, expected):
    assert is_continued(before, after) is expected
    assert np.allclose(before.T_odom_camera[:3, :3], np.eye(3))
