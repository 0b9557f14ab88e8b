"""The building: repeatable, varied, open where one walks, full of corners."""

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.building import DOORWAYS, ROOMS, make_building
from s3e_gnn_ros.simulation.free_space import clearance_m
from s3e_gnn_ros.simulation.ray_caster import RayCaster
from s3e_gnn_ros.simulation.recording import D455
from s3e_gnn_ros.simulation.renderer import Renderer
from s3e_gnn_ros.simulation.room import DOOR_WIDTH_M


def test_same_seed_same_building_and_other_seed_another(building):
    again, other = make_building(0), make_building(1)
    assert (again.triangles_m == building.triangles_m).all()
    assert (again.light == building.light).all()
    pairs = zip(again.textures, building.textures, strict=True)
    assert all((a == b).all() for a, b in pairs)
    largest = max(range(len(building.textures)), key=lambda k: building.textures[k].size)
    assert (other.textures[largest] != building.textures[largest]).mean() > 0.5


def test_has_four_rooms_and_a_corridor_in_a_ring():
    assert len(ROOMS) == 5
    for middle, axis in DOORWAYS:
        step = np.array([0.3, 0.0] if axis == 'x' else [0.0, 0.3])
        sides = [
            [r.name for r in ROOMS if r.x0 < x < r.x1 and r.y0 < y < r.y1]
            for x, y in (np.array(middle) - step, np.array(middle) + step)
        ]
        assert all(len(side) == 1 for side in sides)
        assert sides[0] != sides[1]


def test_doorways_are_open(building):
    middles = np.array([middle for middle, _ in DOORWAYS])
    clearance = clearance_m(RayCaster(building.triangles_m), middles)
    assert np.abs(clearance - DOOR_WIDTH_M / 2).max() < 0.01


def test_one_cannot_see_out_of_it(building, motion):
    renderer = Renderer(building)
    for pose in motion.poses(np.linspace(0, motion.duration_s, 12)):
        depth = renderer.render(pose, D455.scaled(0.25)).depth_m
        assert (depth > 0.1).all()


def test_views_have_corners_and_contrast(building, motion):
    renderer, orb = Renderer(building), cv2.ORB_create(1000, fastThreshold=12)
    for pose in motion.poses(np.linspace(0, motion.duration_s, 10)):
        grey = cv2.cvtColor(renderer.render(pose, D455).image, cv2.COLOR_BGR2GRAY)
        assert len(orb.detect(grey)) >= 300
        assert 50 < grey.mean() < 200


def test_rooms_look_different(building):
    """Colours of two views of one room are nearer to each other than to those of any other."""
    renderer, histograms = Renderer(building), {}
    for room in ROOMS:
        middle = ((room.x0 + room.x1) / 2, (room.y0 + room.y1) / 2, 1.2)
        for half in (0, 1):
            views = [
                renderer.render(_level(middle, yaw), D455.scaled(0.25)).image
                for yaw in (90 * half, 90 * half + 180)
            ]
            colours = cv2.cvtColor(np.vstack(views), cv2.COLOR_BGR2LAB)
            histogram = cv2.calcHist([colours], [1, 2], None, [32, 32], [96, 160, 96, 160])
            histograms[room.name, half] = histogram.ravel() / histogram.sum()
    for (name, half), histogram in histograms.items():
        if half == 0:
            overlap = {
                other: float(np.minimum(histogram, h).sum())
                for (other, other_half), h in histograms.items()
                if other_half == 1
            }
            assert max(overlap, key=overlap.__getitem__) == name


def test_refuses_a_negative_seed():
    with pytest.raises(InputError, match='-1'):
        make_building(-1)


def _level(position, yaw_deg):
    c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    T = np.eye(4)
    T[:3, :3] = np.array([[s, 0, c], [-c, 0, s], [0, -1, 0]])
    T[:3, 3] = position
    return T
