"""Keyframes of a front end such as VINS-Mono."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.ros.frame_joiner import Picture
from s3e_gnn_ros.ros.host_keyframes import HostKeyframeJoiner, points_from_message


def cloud(*rows, num_channels=None):
    channels = [SimpleNamespace(values=list(row)) for row in rows][:num_channels]
    points = [SimpleNamespace(x=1.0 * i, y=2.0, z=3.0) for i in range(len(rows))]
    return SimpleNamespace(points=points, channels=channels)


def picture(stamp_ns):
    return Picture(stamp_ns, np.zeros((2, 2), np.uint8), None, 'camera')


@pytest.fixture
def drops():
    return []


@pytest.fixture
def joiner(drops):
    return HostKeyframeJoiner(5, lambda reason, _sentence: drops.append(reason))


def stamps(joiner, wait=True):
    return [k.picture.stamp_ns for k in joiner.ready(wait_for_points=wait)]


def test_vins_points_are_read_one_channel_per_point():
    points = points_from_message(cloud((0.1, 0.2, 30, 40, 7), (0.3, 0.4, 50, 60, 8)))
    assert points.points_px.tolist() == [[30, 40], [50, 60]]
    assert points.feature_ids.tolist() == [7, 8]
    assert points.landmarks_odom.tolist() == [[0, 2, 3], [1, 2, 3]]


def test_no_points_are_no_error():
    assert points_from_message(cloud()).points_px.shape == (0, 2)


@pytest.mark.parametrize(
    'message',
    [
        cloud((0.1, 0.2, 30, 40)),
        cloud((0.1, 0.2, 30, 40, 7), (0, 0, 1, 2, 3), num_channels=1),
        cloud((0.1, 0.2, np.nan, 40, 7)),
    ],
)
def test_broken_points_are_dropped(message):
    with pytest.raises(DropError) as info:
        points_from_message(message)
    assert info.value.reason == 'keyframe_points'


def test_pose_and_points_come_late_and_join_by_exact_stamp(joiner, drops):
    points = points_from_message(cloud((0.1, 0.2, 30, 40, 7)))
    for stamp in (1, 2, 3):
        joiner.add_picture(picture(stamp))
    joiner.add_pose(1, np.eye(4), 'world')
    assert stamps(joiner) == []
    joiner.add_points(1, points)
    (keyframe,) = joiner.ready(wait_for_points=True)
    assert keyframe.picture.stamp_ns == 1
    assert keyframe.points is points
    assert drops == []


def test_without_points_a_keyframe_waits_for_two_newer_ones_only(joiner):
    for stamp in (1, 2, 3):
        joiner.add_picture(picture(stamp))
        joiner.add_pose(stamp, np.eye(4), 'world')
    assert stamps(joiner) == [1]
    assert stamps(joiner, wait=False) == [2, 3]


def test_a_pose_without_its_image_is_dropped_once_the_image_cannot_come(joiner, drops):
    joiner.add_pose(2, np.eye(4), 'world')
    joiner.add_picture(picture(1))
    assert stamps(joiner, wait=False) == []
    assert drops == []
    joiner.add_picture(picture(3))
    assert stamps(joiner, wait=False) == []
    assert drops == ['no_image']


def test_pictures_up_to_a_finished_keyframe_are_forgotten(joiner):
    for stamp in (1, 2, 3):
        joiner.add_picture(picture(stamp))
    joiner.add_pose(2, np.eye(4), 'world')
    assert stamps(joiner, wait=False) == [2]
    joiner.add_picture(picture(2))  # of no use any more
    assert list(joiner._pictures) == [3]
    joiner.add_pose(3, np.eye(4), 'world')
    assert stamps(joiner, wait=False) == [3]
    assert not joiner._pictures
    joiner.clear()
    joiner.add_picture(picture(1))  # a new session begins at an earlier time
    joiner.add_pose(1, np.eye(4), 'world')
    assert stamps(joiner, wait=False) == [1]


def test_poses_that_nobody_takes_are_dropped_and_counted(joiner, drops):
    for stamp in range(20):
        joiner.add_picture(picture(stamp))
        joiner.add_pose(stamp, np.eye(4), 'world')
    assert drops == ['no_partner'] * 14
    assert len(joiner._poses) == 6
    assert stamps(joiner, wait=False) == [15, 16, 17, 18, 19]
    assert drops == ['no_partner'] * 14 + ['no_image']
