"""Keyframes and poses of one message, which must be as many."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from geometry_msgs.msg import Pose

from s3e_gnn_ros import msg
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.ros.keyframe_poses import poses_from_message


@pytest.mark.parametrize(
    ('sessions', 'ids', 'poses'), [(2, 1, 2), (1, 2, 1), (2, 2, 1), (0, 0, 1)]
)
def test_arrays_of_different_lengths_are_refused(sessions, ids, poses):
    message = msg.KeyframePoses(sessions=[1] * sessions, keyframe_ids=list(range(ids)))
    message.t_map_camera = [Pose() for _ in range(poses)]
    with pytest.raises(InputError, match='come with'):
        poses_from_message(message)
