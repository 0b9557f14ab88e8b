"""Groups of views: repeatable, near one another, and seeing enough."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.simulation.view_groups import ViewRange, view_groups

CAMERA = PinholeCamera(160, 120, 96.3, 97.1, 80.4, 58.7)


@pytest.fixture(name='groups', scope='module')
def _groups(hall):
    return list(view_groups(hall, 4, 4, 3, CAMERA))


def test_views_are_near_and_see_enough(groups):
    assert [len(group) for group in groups] == [4] * 4
    for group in groups:
        first = group[0].T_world_camera
        for frame in group:
            assert frame.image.shape == (120, 160, 3)
            assert np.median(frame.depth_m) >= 0.8
            assert (frame.depth_m == 0).mean() <= 0.05
            assert 0.5 <= frame.T_world_camera[2, 3] <= 1.7
        for frame in group[1:]:
            shift = np.linalg.norm(frame.T_world_camera[:3, 3] - first[:3, 3])
            assert 0.1 <= shift <= 1.5


def test_views_turn_and_roll(groups):
    poses = np.stack([frame.T_world_camera for group in groups for frame in group])
    roll = np.degrees(np.arcsin(poses[:, 2, 0]))
    assert 3 < np.abs(roll).max() < 25
    stamps = [frame.stamp_ns for group in groups for frame in group]
    assert len(set(stamps)) == len(stamps)


def test_group_k_depends_on_seed_and_k_alone(hall, groups):
    again = list(view_groups(hall, 2, 4, 3, CAMERA))
    assert (again[1][3].image == groups[1][3].image).all()
    other = next(view_groups(hall, 1, 4, 4, CAMERA))
    assert (other[0].T_world_camera != groups[0][0].T_world_camera).any()


def test_says_when_nothing_can_be_seen(hall):
    with pytest.raises(InputError, match='places of the scene'):
        next(view_groups(hall, 1, 2, 0, CAMERA, ViewRange(min_median_depth_m=50)))
    with pytest.raises(InputError, match='-1 groups'):
        next(view_groups(hall, -1, 2, 0, CAMERA))
