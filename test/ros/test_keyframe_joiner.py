"""Poses of a host, joined with the image of their stamp."""

from __future__ import annotations

import numpy as np
import pytest

from s3e_gnn_ros.ros.adapters.keyframe_joiner import KeyframeJoiner
from s3e_gnn_ros.ros.frame_joiner import Picture

US = 1_000
MS = 1_000_000
CAPACITY = 7


def picture(stamp_ns):
    return Picture(stamp_ns, np.zeros((2, 2), np.uint8), None, 'camera')


@pytest.fixture
def drops():
    return []


@pytest.fixture
def joiner(drops):
    return KeyframeJoiner(CAPACITY, ['points'], lambda reason, _sentence: drops.append(reason))


def add_pose(joiner, stamp_ns):
    joiner.add_pose(stamp_ns, np.eye(4), 'world')


def stamps(joiner, wait_for=()):
    return [k.picture.stamp_ns // MS for k in joiner.ready(wait_for)]


def test_pose_and_points_come_late_and_join_by_their_stamp(joiner, drops):
    for i in (1, 2, 3):
        joiner.add_picture(picture(i * MS))
    add_pose(joiner, 1 * MS)
    assert stamps(joiner, ['points']) == []
    joiner.add_part('points', 1 * MS, 'its points')
    (keyframe,) = joiner.ready(['points'])
    assert keyframe.picture.stamp_ns == 1 * MS
    assert keyframe.parts == {'points': 'its points'}
    assert keyframe.odom_frame == 'world'
    assert drops == []


def test_a_stamp_that_went_through_a_double_is_the_same(joiner, drops):
    for i in (1, 2, 3):
        joiner.add_picture(picture(i * MS))
    add_pose(joiner, 2 * MS - 119)
    joiner.add_part('points', 2 * MS + 119, 'its points')
    (keyframe,) = joiner.ready(['points'])
    assert (keyframe.picture.stamp_ns, keyframe.parts) == (2 * MS, {'points': 'its points'})
    add_pose(joiner, 2 * MS + US // 2)  # the same once more: its picture has been used
    assert stamps(joiner) == []
    assert drops == ['no_image']


def test_without_points_a_keyframe_waits_for_five_newer_ones_only(joiner):
    for i in range(1, 8):
        joiner.add_picture(picture(i * MS))
        add_pose(joiner, i * MS)
    assert stamps(joiner, ['points']) == [1, 2]
    assert stamps(joiner) == [3, 4, 5, 6, 7]


def test_a_keyframe_does_not_wait_for_points_that_were_overtaken(joiner):
    for i in (1, 2):
        joiner.add_picture(picture(i * MS))
        add_pose(joiner, i * MS)
    joiner.add_part('points', 2 * MS, 'of the second')
    found = list(joiner.ready(['points']))
    assert [keyframe.parts for keyframe in found] == [{}, {'points': 'of the second'}]


def test_a_pose_without_its_image_is_dropped_once_the_image_cannot_come(joiner, drops):
    add_pose(joiner, 2 * MS)
    joiner.add_picture(picture(1 * MS))
    assert stamps(joiner) == []
    assert drops == []
    joiner.add_picture(picture(3 * MS))
    assert stamps(joiner) == []
    assert drops == ['no_image']


def test_what_is_older_than_a_finished_keyframe_is_of_no_use(joiner):
    for i in (1, 2, 3):
        joiner.add_picture(picture(i * MS))
    add_pose(joiner, 2 * MS)
    assert stamps(joiner) == [2]
    joiner.add_picture(picture(2 * MS))
    joiner.add_part('points', 1 * MS, 'late')
    assert len(joiner) == 1  # the third picture
    add_pose(joiner, 3 * MS)
    assert stamps(joiner) == [3]
    assert len(joiner) == 0
    joiner.clear()
    joiner.add_picture(picture(1 * MS))  # a new session begins at an earlier time
    add_pose(joiner, 1 * MS)
    assert stamps(joiner) == [1]


def test_pictures_without_end_and_no_pose(joiner, drops):
    for i in range(1000):
        joiner.add_picture(picture(i * MS))
        assert stamps(joiner) == []
        assert len(joiner) <= CAPACITY
    assert drops == []  # a picture that is no keyframe is nothing lost


def test_poses_and_points_without_end_and_no_picture(joiner, drops):
    for i in range(1000):
        add_pose(joiner, i * MS)
        joiner.add_part('points', i * MS, 'points')
        assert stamps(joiner, ['points']) == []
        assert len(joiner) <= 2 * CAPACITY
    assert drops == ['no_partner'] * (1000 - CAPACITY)


def test_points_without_end_and_no_pose(joiner):
    for i in range(1000):
        joiner.add_part('points', i * MS, 'points')
        assert len(joiner) <= CAPACITY


def test_complete_keyframes_that_nobody_takes_are_dropped_and_counted(joiner, drops):
    for i in range(20):
        joiner.add_picture(picture(i * MS))
        add_pose(joiner, i * MS)
    assert drops == ['no_partner'] * 13
    assert stamps(joiner) == [13, 14, 15, 16, 17, 18, 19]
