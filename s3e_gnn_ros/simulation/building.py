"""A procedural building: a corridor and four rooms that make one ring."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation import interiors, surfaces
from s3e_gnn_ros.simulation.furnishing import Furnisher
from s3e_gnn_ros.simulation.lighting import Lamp, bake
from s3e_gnn_ros.simulation.mesh import MeshBuilder
from s3e_gnn_ros.simulation.noise import Colour, Rng, jitter
from s3e_gnn_ros.simulation.picture_folder import PictureFolder
from s3e_gnn_ros.simulation.room import Room, add_ceiling_lamp, add_doorway, add_shell
from s3e_gnn_ros.simulation.route import Stop
from s3e_gnn_ros.simulation.scene import Scene, Texture

PX_PER_M = 200
WALL_M = 0.14
CORRIDOR = Room('corridor', 0.0, 0.0, 1.8, 8.0, {'east': (1.3, 6.6)})
LIVING_ROOM = Room('living room', 1.94, 0.0, 6.2, 3.93, {'west': (1.3,), 'east': (2.5,)})
KITCHEN = Room('kitchen', 6.34, 0.0, 10.4, 3.93, {'west': (2.5,), 'north': (8.5,)})
LIBRARY = Room('library', 6.34, 4.07, 10.4, 8.0, {'south': (8.5,), 'west': (5.5,)})
BEDROOM = Room('bedroom', 1.94, 4.07, 6.2, 8.0, {'east': (5.5,), 'west': (6.6,)})
ROOMS = (CORRIDOR, LIVING_ROOM, KITCHEN, LIBRARY, BEDROOM)
DOORWAYS = (
    ((1.87, 1.3), 'x'),
    ((6.27, 2.5), 'x'),
    ((8.5, 4.0), 'y'),
    ((6.27, 5.5), 'x'),
    ((1.87, 6.6), 'x'),
)
"""Middle (x, y) [m] of each passage and the way one walks through it, in order of the ring."""

# The camera looks to the outer side of the ring in the rooms, in both directions of travel.
TOUR = (
    Stop(0.9, 5.2),
    Stop(0.9, 3.7, -70),
    Stop(0.9, 2.2, -15),
    Stop(1.87, 1.3),
    Stop(3.4, 1.95, -95),
    Stop(4.8, 2.15, -80),
    Stop(6.27, 2.5),
    Stop(7.6, 2.35, -90),
    Stop(8.4, 2.7, -100),
    Stop(8.5, 4.0),
    Stop(8.3, 5.3, -90),
    Stop(7.5, 5.6, -95),
    Stop(6.27, 5.5),
    Stop(4.8, 5.8, -80),
    Stop(3.4, 6.0, -95),
    Stop(1.87, 6.6),
    Stop(0.9, 5.9),
)
"""One lap round the ring; it ends where it began."""

OVERLAP = (Stop(0.9, 5.2), Stop(0.9, 3.7, -70), Stop(0.9, 2.9, -40))
"""Driven a second time in the same direction after the lap."""

_FURNISH = {
    'corridor': interiors.furnish_corridor,
    'living room': interiors.furnish_living_room,
    'kitchen': interiors.furnish_kitchen,
    'library': interiors.furnish_library,
    'bedroom': interiors.furnish_bedroom,
}
# Warm bulbs, neutral tubes: rooms differ in tint as well (BGR).
_LAMPS: dict[str, Colour] = {
    'corridor': (1.3, 1.45, 1.5),
    'living room': (1.5, 1.9, 2.2),
    'kitchen': (2.1, 2.1, 2.0),
    'library': (2.2, 2.6, 2.8),
    'bedroom': (1.7, 1.8, 1.9),
}


@dataclass(frozen=True)
class Shell:
    """Textures of a room's walls, floor and ceiling."""

    walls: Texture
    floor: Texture
    ceiling: Texture


def make_building(seed: int, folder: PictureFolder | None = None) -> Scene:
    """Build, furnish and light the building; ``seed`` changes its colours, pictures and things.

    Args:
        seed: of all chance.
        folder: pictures for walls, floors, posters, rugs and boxes; None to draw them all.

    Raises:
        InputError: ``seed`` is negative, or a picture cannot be read.
        DependencyError: embreex is not installed.
    """
    if seed < 0:
        raise InputError(f'seed {seed} is negative')
    mesh, lamps = MeshBuilder(), list[Lamp]()
    for k, room in enumerate(ROOMS):
        rng = np.random.default_rng([seed, k])
        shell = _make_shell(rng, room)
        if folder is not None:
            shell = _papered(rng, shell, folder)
        add_shell(mesh, room, shell.walls, shell.floor, shell.ceiling)
        lamps.extend(_hang_lamps(mesh, room))
        _FURNISH[room.name](Furnisher(mesh, room, rng, lamps, folder))
    for middle, axis in DOORWAYS:
        add_doorway(mesh, middle, axis, WALL_M)
    scene, glow = mesh.build()
    return bake(scene, lamps, glow)


def _hang_lamps(mesh: MeshBuilder, room: Room) -> list[Lamp]:
    x, z = (room.x0 + room.x1) / 2, room.height - 0.02
    shares = (0.18, 0.5, 0.82) if room.name == 'corridor' else (0.5,)
    rows = [room.y0 + share * (room.y1 - room.y0) for share in shares]
    return [add_ceiling_lamp(mesh, x, y, z, 0.3, _LAMPS[room.name]) for y in rows]


def _make_shell(rng: Rng, room: Room) -> Shell:
    span = 2 * (room.x1 - room.x0 + room.y1 - room.y0)
    wall_px = (round(span * PX_PER_M), round(room.height * PX_PER_M))
    floor_px = (round((room.x1 - room.x0) * PX_PER_M), round((room.y1 - room.y0) * PX_PER_M))
    ceiling = surfaces.ceiling_panels(rng, floor_px, PX_PER_M * 6 // 10)
    return Shell(_walls(rng, room.name, wall_px), _floor(rng, room.name, floor_px), ceiling)


def _papered(rng: Rng, shell: Shell, folder: PictureFolder) -> Shell:
    """The shell with pictures on its walls and floor; one in four stays as drawn."""
    walls, floor = (
        folder.surface(rng, drawn, PX_PER_M) if rng.random() < 0.75 else drawn
        for drawn in (shell.walls, shell.floor)
    )
    return Shell(walls, floor, shell.ceiling)


def _walls(rng: Rng, name: str, size: tuple[int, int]) -> Texture:
    if name == 'living room':
        return surfaces.wallpaper(rng, size, jitter(rng, (165, 200, 215), 8), (60, 110, 170))
    if name == 'kitchen':
        colours: list[Colour] = [(205, 208, 205), (190, 205, 195), (175, 195, 165)]
        return surfaces.tiles(rng, size, colours, PX_PER_M * 15 // 100, 0.25)
    if name == 'library':
        return surfaces.bricks(rng, size, jitter(rng, (75, 95, 155), 10), PX_PER_M)
    if name == 'bedroom':
        return surfaces.wallpaper(rng, size, jitter(rng, (200, 185, 165), 8), (170, 110, 90))
    return surfaces.plaster(rng, size, jitter(rng, (170, 200, 195), 8))


def _floor(rng: Rng, name: str, size: tuple[int, int]) -> Texture:
    if name in ('living room', 'library'):
        colour: Colour = (70, 115, 160) if name == 'living room' else (45, 70, 105)
        return surfaces.planks(rng, size, jitter(rng, colour, 8), PX_PER_M * 12 // 100)
    if name == 'kitchen':
        colours: list[Colour] = [(70, 75, 80), (190, 195, 200)]
        return surfaces.tiles(rng, size, colours, PX_PER_M * 3 // 10, 0.3)
    if name == 'bedroom':
        colour = (150, 140, 150)
        return surfaces.carpet(rng, size, colour, [(170, 120, 120), (110, 110, 160)])
    chips: list[Colour] = [(90, 100, 110), (200, 205, 210), (120, 140, 170), (60, 60, 60)]
    return surfaces.terrazzo(rng, size, (170, 175, 175), chips)
