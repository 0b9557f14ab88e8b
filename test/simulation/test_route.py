"""The route: clear of walls, through every room, back in the opposite direction."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.building import OVERLAP, ROOMS, TOUR
from s3e_gnn_ros.simulation.free_space import FreeSpace, clearance_m
from s3e_gnn_ros.simulation.ray_caster import RayCaster
from s3e_gnn_ros.simulation.recording import make_laps
from s3e_gnn_ros.simulation.route import STEP_M, Stop, plan_path, reverse_tour


@pytest.fixture(name='space', scope='module')
def _space(building):
    return FreeSpace.of_scene(building, RayCaster(building.triangles_m))


@pytest.fixture(name='laps', scope='module')
def _laps(space):
    return [plan_path(space, lap) for lap in make_laps(np.random.default_rng(0))]


def test_clearance_of_an_empty_hall_is_the_distance_to_its_walls(hall):
    points = np.array([[0.4, 1.5], [2.0, 0.25], [3.3, 1.0], [2.0, 1.5], [9.0, 9.0]])
    clearance = clearance_m(RayCaster(hall.triangles_m), points)
    assert np.allclose(clearance, [0.4, 0.25, 0.7, 1.0, 0.0], atol=0.01)


def test_path_keeps_clear_of_everything(building, laps):
    caster = RayCaster(building.triangles_m)
    for lap in laps:
        assert clearance_m(caster, lap.points_m).min() >= 0.3


def test_path_is_smooth_and_evenly_spaced(laps):
    for lap in laps:
        steps = np.linalg.norm(np.diff(lap.points_m, axis=0), axis=1)
        assert np.abs(steps - STEP_M).max() < 0.01
        assert np.abs(np.diff(lap.heading_rad)).max() < np.radians(12)


def test_both_laps_pass_every_room(laps):
    for lap in laps:
        x, y = lap.points_m.T
        for room in ROOMS:
            inside = (x > room.x0) & (x < room.x1) & (y > room.y0) & (y < room.y1)
            assert inside.sum() * STEP_M > 2.0, room.name


def test_second_lap_goes_the_other_way(laps):
    first, second = laps
    gaps = np.linalg.norm(first.points_m[:, None] - second.points_m[None], axis=2)
    nearest = gaps.argmin(axis=1)
    # The piece driven twice in the first lap has two near places in the second: leave it out.
    rows = np.flatnonzero(first.points_m[:, 0] > 2)
    assert gaps[rows].min(axis=1).max() < 0.4
    turn = first.heading_rad[rows] - second.heading_rad[nearest[rows]]
    assert (np.cos(turn) < -0.7).mean() > 0.97
    assert np.corrcoef(rows, nearest[rows])[0, 1] < -0.99


def test_camera_looks_to_the_same_side_of_the_building_on_both_laps(laps):
    assert np.degrees(laps[0].pan_rad.min()) == pytest.approx(-100, abs=3)
    assert np.degrees(laps[1].pan_rad.max()) == pytest.approx(100, abs=10)
    assert abs(laps[0].pan_rad[0]) < 1e-6


def test_a_piece_is_driven_again_in_the_same_direction():
    assert OVERLAP[0] == TOUR[0]
    assert OVERLAP[1] == TOUR[1]


def test_reverse_tour_twice_is_the_tour():
    assert reverse_tour(reverse_tour(TOUR)) == TOUR


def test_refuses_a_stop_in_a_wall(space):
    with pytest.raises(InputError, match=r'\(1\.87, 4\.0\)'):
        plan_path(space, (Stop(0.9, 4.0), Stop(1.87, 4.0)))
    with pytest.raises(InputError, match='clear of obstacles'):
        plan_path(space, (Stop(0.9, 4.0), Stop(-30.0, 4.0)))


def test_refuses_what_is_not_joined():
    clearance = np.ones((5, 9))
    clearance[:, 4] = 0
    space = FreeSpace(np.zeros(2), 0.5, clearance, 0.3)
    with pytest.raises(InputError, match='no free way'):
        space.way((0, 0), (4, 0))


def test_way_goes_round_an_obstacle():
    clearance = np.ones((7, 9))
    clearance[:6, 4] = 0
    way = FreeSpace(np.zeros(2), 0.5, clearance, 0.3).way((0, 0), (4, 0))
    assert way[:, 1].max() == 3.0
    assert not ((way[:, 0] == 2.0) & (way[:, 1] < 3.0)).any()
