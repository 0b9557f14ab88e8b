"""One room: four walls with doorways, floor, ceiling, and places along its walls."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.simulation.lighting import Lamp
from s3e_gnn_ros.simulation.mesh import MeshBuilder
from s3e_gnn_ros.simulation.scene import Texture

DOOR_WIDTH_M = 1.1
DOOR_HEIGHT_M = 2.05
_PICTURE_GAP_M = 0.015
# Of each wall seen from inside: unit vector to the right, and turn of a box that faces inwards.
_RIGHT = {'south': (-1, 0), 'north': (1, 0), 'west': (0, 1), 'east': (0, -1)}
_YAW_DEG = {'south': 180.0, 'north': 0.0, 'west': 90.0, 'east': -90.0}


@dataclass(frozen=True)
class Room:
    """An upright box of air, in metres.

    Attributes:
        name: of the room.
        x0: western wall.
        y0: southern wall.
        x1: eastern wall.
        y1: northern wall.
        doors: for walls by name, where the middles of doorways are along x or y [m].
        height: of the ceiling.
    """

    name: str
    x0: float
    y0: float
    x1: float
    y1: float
    doors: dict[str, tuple[float, ...]] = field(default_factory=dict)
    height: float = 2.5

    def length(self, wall: str) -> float:
        """Length of a wall [m]."""
        return self.x1 - self.x0 if wall in ('south', 'north') else self.y1 - self.y0

    def point(self, wall: str, along: float, z: float, gap: float = 0.0) -> NDArray[np.float64]:
        """Point (3,): metres along a wall from its left end as seen from inside, and off it."""
        corners = {
            'south': (self.x1, self.y0),
            'north': (self.x0, self.y1),
            'west': (self.x0, self.y0),
            'east': (self.x1, self.y1),
        }
        right = np.array(_RIGHT[wall], np.float64)
        inwards = np.array([right[1], -right[0]])
        xy = np.array(corners[wall]) + along * right + gap * inwards
        return np.array([*xy, z])

    def door_spans(self, wall: str) -> list[tuple[float, float]]:
        """Ends of the doorways of a wall, in metres along it, from left to right."""
        start = self.point(wall, 0.0, 0.0)
        axis = 0 if wall in ('south', 'north') else 1
        middles = sorted(abs(m - start[axis]) for m in self.doors.get(wall, ()))
        return [(m - DOOR_WIDTH_M / 2, m + DOOR_WIDTH_M / 2) for m in middles]


def add_shell(mesh: MeshBuilder, room: Room, walls: Texture, floor: Texture, top: Texture) -> None:
    """Add the walls round the doorways, the floor and the ceiling.

    Each wall shows another part of ``walls``, which spans a metre more than the longest.
    """
    dx, dy = room.x1 - room.x0, room.y1 - room.y0
    corner = (room.x0, room.y0, 0.0)
    mesh.add_quad(corner, (dx, 0, 0), (0, dy, 0), mesh.add_texture(floor))
    high = (room.x0, room.y1, room.height)
    mesh.add_quad(high, (dx, 0, 0), (0, -dy, 0), mesh.add_texture(top))
    texture = mesh.add_texture(walls)
    span = sum(room.length(wall) for wall in _RIGHT)
    start = 0.0
    for wall in _RIGHT:
        _add_wall(mesh, room, wall, texture, start / span, 1 / span)
        start += room.length(wall)


def _add_wall(
    mesh: MeshBuilder, room: Room, wall: str, texture: int, u_start: float, u_per_m: float
) -> None:
    right = np.array([*_RIGHT[wall], 0.0])

    def panel(left: float, end: float, z0: float, z1: float) -> None:
        mesh.add_quad(
            room.point(wall, left, z0),
            right * (end - left),
            (0, 0, z1 - z0),
            texture,
            uv_min=(u_start + left * u_per_m, z0 / room.height),
            uv_max=(u_start + end * u_per_m, z1 / room.height),
        )

    at = 0.0
    for left, end in room.door_spans(wall):
        panel(at, left, 0.0, room.height)
        panel(left, end, DOOR_HEIGHT_M, room.height)
        at = end
    panel(at, room.length(wall), 0.0, room.height)


def hang(
    mesh: MeshBuilder,
    room: Room,
    wall: str,
    along: float,
    z: float,
    size_m: tuple[float, float],
    texture: Texture,
    *,
    glow: float = 0.0,
) -> None:
    """Hang a picture (width, height) with its lower left corner at ``along``, ``z``."""
    right = np.array([*_RIGHT[wall], 0.0]) * size_m[0]
    corner = room.point(wall, along, z, _PICTURE_GAP_M)
    mesh.add_quad(corner, right, (0, 0, size_m[1]), mesh.add_texture(texture), glow=glow)


def stand(
    mesh: MeshBuilder,
    room: Room,
    wall: str,
    along: float,
    size_m: tuple[float, float, float],
    textures: dict[str, int] | int,
    *,
    z: float = 0.0,
    gap: float = 0.0,
    turn_deg: float = 0.0,
) -> None:
    """Stand a box (width, depth, height) against a wall, its middle at ``along``, facing in."""
    centre = room.point(wall, along, z, gap + size_m[1] / 2)
    yaw = _YAW_DEG[wall] + turn_deg
    skip = ('bottom',) if z == 0 else ()
    mesh.add_box(centre, size_m, textures, yaw_deg=yaw, skip=skip)


def add_doorway(mesh: MeshBuilder, middle: tuple[float, float], axis: str, depth: float) -> None:
    """Line the passage through a wall: jambs, lintel and threshold.

    Args:
        mesh: to add to.
        middle: centre of the passage (x, y).
        axis: 'x' or 'y', the way one walks through.
        depth: thickness of the wall [m].
    """
    timber = np.full((32, 32, 3), (70, 98, 128), np.uint8)
    timber[::5] = (58, 84, 112)
    texture = mesh.add_texture(timber)
    walk = np.array([1.0, 0, 0]) if axis == 'x' else np.array([0, 1.0, 0])
    side = np.array([-walk[1], walk[0], 0.0]) * DOOR_WIDTH_M
    base = np.array([*middle, 0.0]) - walk * depth / 2 - side / 2
    up, through = np.array([0, 0, DOOR_HEIGHT_M]), walk * depth
    mesh.add_quad(base + through, -through, up, texture)
    mesh.add_quad(base + side, through, up, texture)
    mesh.add_quad(base + up + side, through, -side, texture)
    mesh.add_quad(base, through, side, texture)


def add_ceiling_lamp(
    mesh: MeshBuilder, x: float, y: float, z: float, half_m: float, colour: tuple[float, ...]
) -> Lamp:
    """Add a square glowing panel under the ceiling and return its light."""
    plate = np.full((64, 64, 3), 246, np.uint8)
    plate[:3] = plate[-3:] = 120
    plate[:, :3] = plate[:, -3:] = 120
    corner = (x - half_m, y + half_m, z)
    span = 2 * half_m
    mesh.add_quad(corner, (span, 0, 0), (0, -span, 0), mesh.add_texture(plate), glow=1.0)
    b, g, r = colour
    edges = ((half_m, 0.0, 0.0), (0.0, half_m, 0.0))
    return Lamp((x, y, z - 0.01), edges, (0.0, 0.0, -1.0), (b, g, r))


def window_light(room: Room, wall: str, along: float, z: float, size_m: float) -> Lamp:
    """Daylight through a window whose middle is at ``along``, ``z``."""
    right = np.array([*_RIGHT[wall], 0.0])
    x, y, height = room.point(wall, along, z, 0.03)
    half = size_m / 2
    edges = ((half * right[0], half * right[1], 0.0), (0.0, 0.0, half))
    return Lamp((x, y, height), edges, (right[1], -right[0], 0.0), (1.1, 1.0, 0.9))
