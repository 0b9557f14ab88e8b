"""Geometry and colour of rendered views against what can be computed by hand."""

import numpy as np
import pytest

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.simulation.mesh import MeshBuilder
from s3e_gnn_ros.simulation.motion import R_BODY_OPTICAL
from s3e_gnn_ros.simulation.renderer import Renderer

CAMERA = PinholeCamera(160, 120, 96.3, 97.1, 80.4, 58.7)


def look(x, y, z, yaw_deg, pitch_deg=0.0):
    yaw = se3.expmap([0, 0, np.radians(yaw_deg), 0, 0, 0])
    pitch = se3.expmap([0, -np.radians(pitch_deg), 0, 0, 0, 0])
    return se3.make_pose((yaw @ pitch)[:3, :3] @ R_BODY_OPTICAL, (x, y, z))


def pixel_rays(camera):
    x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(float)
    return np.insert(camera.normalise(pixels), 2, 1.0, axis=1)


def wall(texture, size_m=2.0, distance_m=2.0, repeats=1.0):
    """A square wall facing a camera at the origin that looks along x."""
    mesh = MeshBuilder(cell_m=10)
    corner = (distance_m, size_m / 2, -size_m / 2)
    edges = ((0, -size_m, 0), (0, 0, size_m))
    mesh.add_quad(corner, *edges, mesh.add_texture(texture), uv_max=(repeats, repeats))
    return mesh.build()[0]


@pytest.mark.parametrize('seed', range(4))
def test_depth_of_a_hall_is_exact(hall, seed):
    rng = np.random.default_rng(seed)
    position = rng.uniform((0.5, 0.5, 0.5), (3.5, 2.5, 2.0))
    T = look(*position, rng.uniform(-180, 180), rng.uniform(-30, 30))
    depth = Renderer(hall).render(T, CAMERA).depth_m
    rays = pixel_rays(CAMERA) @ T[:3, :3].T
    bounds = np.array([[0, 0, 0], [4, 3, 2.5]])
    # Per axis the plane ahead; the nearest of the three is hit.
    ahead = np.where(rays > 0, bounds[1], bounds[0])
    expected = ((ahead - position) / rays).min(axis=1)
    assert np.abs(depth.ravel() - expected).max() < 1e-3


def test_depth_of_a_distorted_camera(hall):
    camera = PinholeCamera(160, 120, 90, 90, 80, 60, (-0.2, 0.05, 0.001, 0.0))
    depth = Renderer(hall).render(look(1, 1.5, 1.2, 0), camera).depth_m
    x, y = 12, 60
    ray = camera.normalise(np.array([[x, y]], float))[0]
    assert depth[y, x] == pytest.approx(min(3.0, 1.5 / abs(ray[0])), abs=1e-3)


def test_nothing_hit_is_black_without_depth():
    white = np.full((8, 8, 3), 200, np.uint8)
    image, depth = Renderer(wall(white)).render(look(0, 0, 0, 180), CAMERA)
    assert not depth.any()
    assert not image.any()


def test_texture_is_upright_and_not_mirrored():
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:32, :32], texture[:32, 32:] = (200, 0, 0), (0, 200, 0)
    texture[32:, :32], texture[32:, 32:] = (0, 0, 200), (90, 90, 90)
    image = Renderer(wall(texture)).render(look(0, 0, 0, 0), CAMERA).image
    for (y, x), colour in {
        (40, 60): (200, 0, 0),
        (40, 100): (0, 200, 0),
        (80, 60): (0, 0, 200),
        (80, 100): (90, 90, 90),
    }.items():
        assert np.abs(image[y, x].astype(int) - colour).max() <= 1


def test_every_texel_lands_where_projection_says():
    rng = np.random.default_rng(3)
    cells = rng.integers(40, 220, (12, 12, 3), dtype=np.uint8)
    texture = np.kron(cells, np.ones((32, 32, 1), np.uint8))
    T = look(0.2, 0.1, 0.05, 8, 4)
    image = Renderer(wall(texture)).render(T, CAMERA).image
    rows, columns = np.meshgrid(range(2, 10), range(2, 10), indexing='ij')
    middle = 2 * (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) / 12
    points = np.column_stack([np.full(64, 2.0), 1 - middle[:, 0], 1 - middle[:, 1]])
    pixels = CAMERA.project(se3.transform_points(se3.inverse(T), points)).round().astype(int)
    seen = image[pixels[:, 1], pixels[:, 0]].astype(int)
    assert np.abs(seen - cells[rows, columns].reshape(-1, 3)).max() <= 2


def test_texture_repeats_beyond_one():
    texture = np.zeros((64, 64, 3), np.uint8)
    texture[:, :32] = 200
    image = Renderer(wall(texture, repeats=4)).render(look(0, 0, 0, 0), CAMERA).image
    row = image[60, 36:124, 0] > 100  # 96 px wide, eight stripes
    assert np.count_nonzero(np.diff(row.astype(int))) == 7


def test_fine_pattern_far_away_turns_grey():
    """Without mipmaps a pattern finer than a pixel would sparkle."""
    fine = (np.indices((512, 512)).sum(axis=0) % 2 * 200).astype(np.uint8)
    scene = wall(np.repeat(fine[..., None], 3, axis=2), distance_m=10.0)
    image = Renderer(scene).render(look(0, 0, 0, 0), CAMERA).image
    middle = image[55:62, 76:84].astype(int)
    assert np.abs(middle - 100).max() <= 3


def test_edges_are_smoothed_in_colour_and_sharp_in_depth():
    white = np.full((8, 8, 3), 200, np.uint8)
    scene = wall(white, size_m=1.0)
    T = se3.make_pose(look(0, 0, 0, 0)[:3, :3] @ se3.expmap([0, 0, 0.2, 0, 0, 0])[:3, :3])
    smooth, depth = Renderer(scene).render(T, CAMERA)
    hard, _ = Renderer(scene, has_antialiasing=False).render(T, CAMERA)
    assert set(np.unique(hard)) == {0, 200}
    assert {0, 50, 100, 150, 200} <= set(np.unique(smooth))
    assert np.abs(depth[depth > 0] - 2.0).max() < 1e-3
    assert abs(smooth.mean() - hard.mean()) < 0.5


def test_two_views_of_a_point_have_the_same_colour(building):
    """Reproject one view into another with its depth: light does not depend on the camera."""
    camera = PinholeCamera(320, 240, 192.6, 192.6, 160.7, 119.3)
    renderer = Renderer(building)
    T_a, T_b = look(4.0, 2.0, 1.1, -95), look(3.5, 2.2, 1.0, -80)
    a, b = renderer.render(T_a, camera), renderer.render(T_b, camera)
    points = pixel_rays(camera) * a.depth_m.reshape(-1, 1)
    T_b_a = se3.inverse(T_b) @ T_a
    moved = se3.transform_points(T_b_a, points)
    pixels = np.nan_to_num(camera.project(moved), nan=-1)
    inside = (pixels >= 1).all(axis=1) & (pixels < (318, 238)).all(axis=1)
    x, y = pixels[inside].round().astype(int).T
    is_same = np.abs(b.depth_m[y, x] - moved[inside, 2]) < 0.02
    difference = a.image.reshape(-1, 3)[inside][is_same].astype(int) - b.image[y, x][is_same]
    assert is_same.sum() > 20000
    assert np.median(np.abs(difference)) <= 6
    # Against a wrong pose (shifted by 5 px) the views agree far less.
    wrong = a.image.reshape(-1, 3)[inside][is_same].astype(int) - b.image[y, x - 1][is_same]
    shifted = b.image[y, np.maximum(x - 5, 0)][is_same].astype(int)
    wrong = np.abs(a.image.reshape(-1, 3)[inside][is_same].astype(int) - shifted)
    assert np.abs(difference).mean() < 0.6 * wrong.mean()


def test_rendering_twice_gives_the_same_bytes(hall):
    T = look(1, 1, 1.2, 33, 5)
    first, second = (Renderer(hall).render(T, CAMERA) for _ in range(2))
    assert (first.image == second.image).all()
    assert (first.depth_m == second.depth_m).all()
