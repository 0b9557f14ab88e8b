"""Baked light: shadows, corners, falloff, surfaces that glow."""

import numpy as np

from s3e_gnn_ros.simulation.lighting import Lamp, bake
from s3e_gnn_ros.simulation.mesh import MeshBuilder

WHITE = np.full((8, 8, 3), 255, np.uint8)
LAMP = Lamp((0, 0, 2.4), ((0.1, 0, 0), (0, 0.1, 0)), (0, 0, -1), (2.0, 2.0, 2.0))


def floor_light(mesh, lamps, point):
    """Light on the floor near a point (x, y)."""
    scene, glow = mesh.build()
    lit = bake(scene, lamps, glow)
    middle = scene.triangles_m.mean(axis=1)
    on_floor = np.abs(middle[:, 2]) < 1e-6
    distance = np.linalg.norm(middle[:, :2] - point, axis=1) + np.where(on_floor, 0, 100)
    return float(lit.light[distance.argmin()].mean())


def make_floor():
    mesh = MeshBuilder(cell_m=0.2)
    texture = mesh.add_texture(WHITE)
    mesh.add_quad((-2, -2, 0), (4, 0, 0), (0, 4, 0), texture)
    return mesh, texture


def test_light_falls_off_with_distance():
    mesh, _ = make_floor()
    near, far = (floor_light(mesh, [LAMP], at) for at in ((0, 0), (1.8, 1.8)))
    dark = floor_light(mesh, [], (0, 0))
    assert near > far > dark > 0


def test_a_table_throws_a_shadow():
    mesh, texture = make_floor()
    open_floor = floor_light(mesh, [LAMP], (0, 0))
    mesh.add_box((0, 0, 1.3), (0.8, 0.8, 0.05), texture, skip=())
    assert floor_light(mesh, [LAMP], (0, 0)) < 0.75 * open_floor


def test_a_corner_is_darker_than_the_open_floor():
    mesh, texture = make_floor()
    mesh.add_quad((-2, -2, 0), (0, 4, 0), (0, 0, 2), texture)
    assert floor_light(mesh, [], (-1.9, 0)) < 0.95 * floor_light(mesh, [], (0.5, 0))


def test_what_glows_keeps_its_brightness():
    mesh, texture = make_floor()
    mesh.add_quad((0, 0, 1), (1, 0, 0), (0, 1, 0), texture, glow=1.25)
    scene, glow = mesh.build()
    light = bake(scene, [LAMP], glow).light
    assert (light[glow > 0] == 1.25).all()
    assert (light[glow == 0] != 1.25).all()
