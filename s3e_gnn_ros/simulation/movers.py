"""Things that stand elsewhere in every lap, and people that walk while it is driven."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.simulation import pictures, surfaces
from s3e_gnn_ros.simulation.lighting import directional_light
from s3e_gnn_ros.simulation.mesh import MeshBuilder
from s3e_gnn_ros.simulation.noise import Colour, Rng, canvas, finish, grain, jitter
from s3e_gnn_ros.simulation.renderer import RenderedView, Renderer
from s3e_gnn_ros.simulation.route import STEP_M, Path
from s3e_gnn_ros.simulation.scene import Scene, Texture

_MIN_DISTANCE_M = 0.8
_MAX_DISTANCE_M = 15.0
_SIDES = 8


@dataclass(frozen=True, eq=False)
class Mover:
    """One thing and where it is.

    Attributes:
        shape: standing at the origin, facing x.
        way_m: (N, 2) points ``STEP_M`` apart that it walks to and fro.
        start_m: how far along the way it is at time 0.
        speed_mps: 0 for what stands.
    """

    shape: Scene
    way_m: NDArray[np.float64]
    start_m: float
    speed_mps: float

    def place(self, time_s: float) -> tuple[float, float, float]:
        """X, y [m] and direction [rad] at a time."""
        length = (len(self.way_m) - 1) * STEP_M
        at = (self.start_m + self.speed_mps * time_s) % (2 * length)
        is_back = at > length
        index = min(int((2 * length - at if is_back else at) / STEP_M), len(self.way_m) - 2)
        share = min((2 * length - at if is_back else at) / STEP_M - index, 1.0)
        here, ahead = self.way_m[index], self.way_m[index + 1]
        x, y = here + share * (ahead - here)
        dx, dy = (here - ahead) if is_back else (ahead - here)
        return float(x), float(y), float(np.arctan2(dy, dx))


def make_movers(path: Path, clearance_m: NDArray[np.float64], count: int, rng: Rng) -> list[Mover]:
    """Place things along a path, half of them walking; seldom in its middle.

    Args:
        path: of the camera.
        clearance_m: (N,) of its points.
        count: how many.
        rng: source of chance.
    """
    steps = np.gradient(path.points_m, axis=0)
    aside = np.stack([-steps[:, 1], steps[:, 0]], axis=1)
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-9)
    room = np.maximum(clearance_m - 0.3, 0)[:, None]
    length = (len(path.points_m) - 1) * STEP_M
    movers = []
    for k in range(count):
        way = path.points_m + aside * room * rng.choice([-1, 1]) * rng.uniform(0.6, 1.0)
        is_walking = k % 2 == 0
        shape = _person(rng) if is_walking or rng.random() < 0.4 else _crate(rng)
        speed = float(rng.uniform(0.4, 1.2)) if is_walking else 0.0
        movers.append(Mover(shape, way, float(rng.uniform(0, 2 * length)), speed))
    return movers


def render_with_movers(
    view: RenderedView,
    movers: tuple[Mover, ...],
    time_s: float,
    T_world_camera: Pose,
    camera: PinholeCamera,
) -> RenderedView:
    """Put things into a rendered view where they are nearer than what it shows.

    What would stand within 0.8 m of the camera has stepped aside and is not there.
    """
    shapes = [shape for mover in movers if (shape := _placed(mover, time_s, T_world_camera))]
    if not shapes:
        return view
    image, depth = Renderer(_joined(shapes), has_antialiasing=False).render(T_world_camera, camera)
    is_nearer = (depth > 0) & ((view.depth_m == 0) | (depth < view.depth_m))
    merged = np.where(is_nearer[..., None], image, view.image)
    mask = is_nearer.astype(np.uint8)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    outline = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, cross) > 0
    merged[outline] = cv2.GaussianBlur(merged, (3, 3), 0)[outline]  # no jagged silhouettes
    return RenderedView(merged, np.where(is_nearer, depth, view.depth_m))


def _placed(mover: Mover, time_s: float, T_world_camera: Pose) -> Scene | None:
    x, y, direction = mover.place(time_s)
    distance = float(np.hypot(x - T_world_camera[0, 3], y - T_world_camera[1, 3]))
    if not _MIN_DISTANCE_M < distance < _MAX_DISTANCE_M:
        return None
    c, s = np.cos(direction), np.sin(direction)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    corners = mover.shape.triangles_m @ turn.T + (x, y, 0)
    return replace(mover.shape, triangles_m=corners.astype(np.float32))


def _joined(scenes: list[Scene]) -> Scene:
    starts = np.cumsum([0] + [len(scene.textures) for scene in scenes])
    ids = [scene.texture_ids + start for scene, start in zip(scenes, starts, strict=False)]
    return Scene(
        triangles_m=np.concatenate([scene.triangles_m for scene in scenes]),
        uvs=np.concatenate([scene.uvs for scene in scenes]),
        texture_ids=np.concatenate(ids).astype(np.int32),
        textures=tuple(texture for scene in scenes for texture in scene.textures),
        light=np.concatenate([scene.light for scene in scenes]),
    )


def _person(rng: Rng) -> Scene:
    mesh, height = MeshBuilder(cell_m=1.0), float(rng.uniform(1.55, 1.9))
    cloth = surfaces.fabric(rng, (160, 160), pictures.vivid(rng), pictures.vivid(rng))
    trousers = _plain(rng, pictures.vivid(rng))
    skin = _plain(rng, jitter(rng, (110, 145, 190), 25))
    for y in (-0.09, 0.09):
        _add_column(mesh, (0.0, y), (0.0, 0.48 * height), (0.08, 0.08), trousers)
    _add_column(mesh, (0, 0), (0.48 * height, 0.84 * height), (0.13, 0.2), cloth)
    for y in (-0.25, 0.25):
        _add_column(mesh, (0.0, y), (0.45 * height, 0.82 * height), (0.05, 0.05), cloth)
    _add_column(mesh, (0, 0), (0.86 * height, height), (0.1, 0.08), skin)
    return _lit(mesh, rng)


def _crate(rng: Rng) -> Scene:
    mesh = MeshBuilder(cell_m=1.0)
    for z, size in ((0.0, rng.uniform(0.35, 0.6)), (float(size_z := rng.uniform(0.4, 0.7)), 0.3)):
        sides = {
            name: mesh.add_texture(pictures.poster(rng, 160, 160))
            for name in ('front', 'back', 'left', 'right', 'top')
        }
        height = size_z if z == 0 else 0.35
        mesh.add_box((0, 0, z), (size, size, height), sides)
    return _lit(mesh, rng)


def _plain(rng: Rng, colour: Colour) -> Texture:
    return finish(grain(rng, canvas(64, 64, colour), 4, 4))


def _add_column(
    mesh: MeshBuilder,
    middle: tuple[float, float],
    span_m: tuple[float, float],
    radii_m: tuple[float, float],
    picture: Texture,
) -> None:
    """Add an upright eight-sided column of oval section, with a lid."""
    texture = mesh.add_texture(picture)
    angles = np.arange(_SIDES + 1) * 2 * np.pi / _SIDES
    ring = np.array(middle) + np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii_m
    low, high = span_m
    for k in range(_SIDES):
        along = np.array([*(ring[k + 1] - ring[k]), 0.0])
        spans = ((k / _SIDES, 0.0), ((k + 1) / _SIDES, 1.0))
        corner = (*ring[k], low)
        mesh.add_quad(corner, along, (0, 0, high - low), texture, uv_min=spans[0], uv_max=spans[1])
    r = np.array(radii_m) * 0.7
    lid = (middle[0] - r[0], middle[1] - r[1], high)
    mesh.add_quad(lid, (2 * r[0], 0, 0), (0, 2 * r[1], 0), texture)


def _lit(mesh: MeshBuilder, rng: Rng) -> Scene:
    scene, _ = mesh.build()
    normals = np.repeat(scene.normals[:, None], 3, axis=1).astype(np.float64)
    light = directional_light(scene.triangles_m.astype(np.float64), normals, 0)
    return replace(scene, light=light * np.float32(rng.uniform(0.8, 1.05)))
