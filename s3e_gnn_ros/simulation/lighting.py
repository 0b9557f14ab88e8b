"""Bake lamps, daylight and contact shadows into the corners of a scene's triangles.

Light is fixed to the building and diffuse, so a surface looks the same from wherever it is seen,
as a loop closure needs it to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.simulation.ray_caster import RayCaster
from s3e_gnn_ros.simulation.scene import Scene

DISPLAY_GAMMA = 2.2
_SURFACE_GAP_M = 0.01
_NUM_SKY_RAYS = 32
_OPEN_M = 1.0
_DIRECTIONAL_AMBIENT = 0.45
# Azimuth and elevation [deg], BGR: overhead, and two unequal ones of different tint from aside.
_DIRECTIONS = (
    (0.0, 80.0, (0.30, 0.31, 0.32)),
    (35.0, 20.0, (0.28, 0.30, 0.32)),
    (140.0, 15.0, (0.16, 0.14, 0.12)),
)


@dataclass(frozen=True)
class Lamp:
    """A rectangle that gives light to one side, for baking four points of light.

    Attributes:
        centre_m: (3,) middle of it.
        edges_m: its two half edges (3,) each.
        normal: (3,) unit vector of the side that gives light.
        colour: BGR; 1 lights a surface one metre in front of it with factor 1.
    """

    centre_m: tuple[float, float, float]
    edges_m: tuple[tuple[float, float, float], tuple[float, float, float]]
    normal: tuple[float, float, float]
    colour: tuple[float, float, float]


def bake(
    scene: Scene,
    lamps: list[Lamp],
    glow: NDArray[np.float32],
    ambient: tuple[float, float, float] = (0.42, 0.43, 0.44),
) -> Scene:
    """Return the scene with its light computed.

    Args:
        scene: without light.
        lamps: fixed lights.
        glow: (T,) factor of the triangles that give off light themselves, else 0.
        ambient: BGR light from everywhere, less where other surfaces are near.
    """
    caster = RayCaster(scene.triangles_m)
    points, normals, index = _unique_corners(scene)
    total = _openness(caster, points, normals)[:, None] * np.array(ambient)
    for lamp in lamps:
        total += _lamp_light(caster, points, normals, lamp)
    # Textures hold display values, so light multiplies them as its display value.
    shown = (total ** (1 / DISPLAY_GAMMA))[index].reshape(-1, 3, 3)
    is_glowing = (glow > 0)[:, None, None]
    light = np.where(is_glowing, glow[:, None, None], shown).astype(np.float32)
    return replace(scene, light=light)


def directional_light(
    triangles_m: NDArray[np.float64], normals: NDArray[np.float64], seed: int
) -> NDArray[np.float32]:
    """Light without shadows for a mesh whose faces may point either way.

        light = 0.45 + slow(p) * sum_k c_k |n . l_k|

    with three fixed directions l_k, the same from both sides of a surface, and a brightness that
    changes slowly over the floor, so that equal rooms are not lit alike.

    Args:
        triangles_m: (T, 3, 3) corners.
        normals: (T, 3, 3) unit normals at the corners; their sign does not matter.
        seed: turns the lights about the vertical and shifts the slow change.

    Returns:
        (T, 3, 3) BGR factor on the texture at each corner, as display values.
    """
    rng = np.random.default_rng([seed, 4])
    turn, phase = rng.uniform(0, 2 * np.pi, 2)
    xy = triangles_m[..., :2] / 3.1
    slow = 1 + 0.12 * np.sin(xy[..., 0] + phase) + 0.12 * np.sin(0.8 * xy[..., 1] - phase)
    total = np.full((*normals.shape[:2], 3), _DIRECTIONAL_AMBIENT)
    for azimuth, elevation, colour in _DIRECTIONS:
        a, e = turn + np.radians(azimuth), np.radians(elevation)
        towards = np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)])
        total += (slow * np.abs(normals @ towards))[..., None] * np.array(colour)
    return np.asarray(total, np.float32)


def _unique_corners(
    scene: Scene,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp]]:
    """Points (C, 3) just off the surface, normals (C, 3), and which one each corner is (3 T,)."""
    middle = scene.triangles_m.mean(axis=1, keepdims=True)
    # Drawn in a little, so that no point lies inside a wall that meets this one.
    corners = (scene.triangles_m + 0.04 * (middle - scene.triangles_m)).reshape(-1, 3)
    normals = np.repeat(scene.normals, 3, axis=0)
    exact = scene.triangles_m.reshape(-1, 3)
    keys = np.round(np.hstack([exact * 200, normals * 50])).astype(np.int64)
    _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    points = corners + _SURFACE_GAP_M * normals
    return points[first], normals[first], index.reshape(-1)


def _openness(
    caster: RayCaster, points: NDArray[np.float32], normals: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Share (C,) of the half space that is free of near surfaces, 0.25 to 1."""
    k = np.arange(_NUM_SKY_RAYS) + 0.5
    radius, turn = np.sqrt(k / _NUM_SKY_RAYS), k * np.pi * (3 - np.sqrt(5.0))
    z = np.sqrt(1 - radius**2)  # cosine weighted, on a spiral
    local = np.stack([radius * np.cos(turn), radius * np.sin(turn), z], axis=1)
    helper = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    tangent = np.cross(helper, normals)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    frame = np.stack([tangent, np.cross(normals, tangent), normals], axis=1)  # (C, 3, 3)
    directions = np.einsum('kj,cji->cki', local, frame).astype(np.float32)
    origins = np.repeat(points, _NUM_SKY_RAYS, axis=0)
    distance = caster.distances_m(origins, directions.reshape(-1, 3))
    nearness = np.clip(distance / _OPEN_M, 0, 1).reshape(len(points), -1).mean(axis=1)
    return np.asarray(0.25 + 0.75 * nearness, np.float64)


def _lamp_light(
    caster: RayCaster, points: NDArray[np.float32], normals: NDArray[np.float32], lamp: Lamp
) -> NDArray[np.float64]:
    centre, edges = np.array(lamp.centre_m), np.array(lamp.edges_m)
    total = np.zeros(len(points))
    for a, b in ((-0.6, -0.6), (0.6, -0.6), (-0.6, 0.6), (0.6, 0.6)):
        source = centre + a * edges[0] + b * edges[1]
        to_lamp = source - points
        distance = np.linalg.norm(to_lamp, axis=1) + 1e-6
        cos_here = np.einsum('ij,ij->i', to_lamp, normals) / distance
        cos_lamp = -(to_lamp @ np.array(lamp.normal)) / distance
        strength = np.maximum(cos_here, 0) * np.maximum(cos_lamp, 0) / (0.5 + distance**2)
        near = np.flatnonzero(strength > 1e-3)
        # 2 cm short of the lamp: the lamp's own surface must not shade it.
        reach = (to_lamp[near] * (1 - 0.02 / distance[near, None])).astype(np.float32)
        is_free = caster.distances_m(points[near], reach) > 1
        total[near] += np.where(is_free, strength[near], 0) * 1.5 / 4
    return np.asarray(total[:, None] * np.array(lamp.colour), np.float64)
