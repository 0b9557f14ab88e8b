"""The rooms of the building: living room, kitchen, library, bedroom and corridor."""

from __future__ import annotations

from s3e_gnn_ros.simulation import pictures
from s3e_gnn_ros.simulation.furnishing import BEECH, OAK, WALNUT, Furnisher
from s3e_gnn_ros.simulation.room import hang, stand


def furnish_corridor(f: Furnisher) -> None:
    """Notice board, coat rack, console, many pictures, a runner."""
    f.rug((0.9, 4.0), (0.9, 6.6))
    board = pictures.notice_board(f.rng, 480, 330)
    hang(f.mesh, f.room, 'west', 3.3, 0.95, (1.5, 1.05), board)
    f.pictures(
        'west', [(0.4, 0.55), (1.25, 0.7), (2.25, 0.6), (5.2, 0.6), (6.1, 0.75), (7.2, 0.5)]
    )
    f.pictures('east', [(0.25, 0.45), (2.15, 0.6), (3.05, 0.75), (4.1, 0.55), (5.0, 0.7)])
    f.pictures('east', [(7.35, 0.5)], 1.1)
    f.pictures('west', [(0.5, 0.35), (2.0, 0.4), (5.6, 0.4)], 0.35)
    f.pictures('east', [(2.4, 0.4), (3.5, 0.35), (4.7, 0.4)], 0.3)
    f.window('south', 0.45, (0.9, 1.1))
    f.cupboard('north', 0.9, (1.2, 0.3, 0.85), (3, 2), OAK)
    f.clutter('north', 0.9, 1.0, 0.3, 0.85, 4)
    f.pictures('north', [(0.3, 0.5), (1.0, 0.55)], 1.2)


def furnish_living_room(f: Furnisher) -> None:
    """Sofa, television, low table, bookcase, gallery wall."""
    f.rug((4.0, 1.5), (2.6, 1.7))
    cushion = f.cloth((70, 70, 170), (60, 160, 200))
    sofa = f.cloth((150, 120, 80), (190, 175, 160))
    stand(f.mesh, f.room, 'south', 2.2, (2.0, 0.75, 0.42), sofa)
    stand(f.mesh, f.room, 'south', 2.2, (2.0, 0.2, 0.85), sofa)
    for along in (1.5, 2.85):
        size = (0.42, 0.14, 0.38)
        stand(f.mesh, f.room, 'south', along, size, cushion, z=0.43, gap=0.22, turn_deg=8)
    f.pictures('south', [(0.3, 0.6), (1.15, 0.65), (2.0, 0.55), (2.75, 0.7), (3.6, 0.5)], 1.15)
    f.cupboard('north', 2.9, (1.7, 0.4, 0.55), (3, 1), WALNUT)
    f.clutter('north', 2.9, 1.6, 0.2, 0.55, 5)
    screen = f.poster(420, 240)
    hang(f.mesh, f.room, 'north', 2.25, 0.95, (1.3, 0.74), screen, glow=0.95)
    f.pictures('north', [(0.3, 0.55), (1.2, 0.7)], 1.0)
    f.bookcase('north', 0.6, 0.8, 0.95, 3)
    f.pictures('west', [(0.1, 0.5), (2.1, 0.7), (3.1, 0.6)], 0.95)
    f.cupboard('west', 2.9, (1.2, 0.36, 0.8), (2, 3), BEECH)
    f.clutter('west', 2.9, 1.1, 0.3, 0.8, 4)
    f.pictures('east', [(0.1, 0.5), (2.1, 0.6), (3.0, 0.6)], 1.0)
    f.bookcase('east', 3.1, 0.9, 0.9, 3)


def furnish_kitchen(f: Furnisher) -> None:
    """Counter with wall cupboards, refrigerator with notes, dining table, window."""
    metal = (165, 168, 170)
    f.cupboard('east', 2.6, (2.4, 0.55, 0.88), (5, 2), (165, 185, 190))
    f.clutter('east', 2.6, 2.2, 0.45, 0.88, 8)
    f.cupboard('east', 2.9, (1.9, 0.32, 0.6), (4, 1), (165, 185, 190), z=1.55)
    front = pictures.notice_board(f.rng, 200, 520)
    fridge = f.veneer(metal)
    textures = {'front': f.mesh.add_texture(front), 'side': fridge, 'top': fridge}
    stand(f.mesh, f.room, 'east', 0.75, (0.65, 0.6, 1.8), textures)
    f.window('south', 0.7, (1.3, 1.15), 1.0)
    f.pictures('south', [(2.25, 0.6), (3.1, 0.65)], 1.2)
    f.table('south', 2.2, (1.3, 0.75, 0.74), BEECH, 0.15)
    f.clutter('south', 2.2, 1.2, 0.7, 0.74, 5)
    f.chair('south', 1.25, 0.3, (60, 110, 190), 90)
    f.chair('south', 3.15, 0.3, (60, 110, 190), -90)
    f.pictures('west', [(0.15, 0.55), (0.85, 0.6), (3.3, 0.5)], 1.1)
    f.pictures('north', [(0.2, 0.6), (1.0, 0.45), (3.0, 0.7)], 1.05)
    f.cupboard('north', 0.75, (1.1, 0.4, 0.85), (2, 3), (120, 150, 110))
    f.clutter('north', 0.75, 1.0, 0.3, 0.85, 4)
    f.cupboard('north', 3.45, (0.9, 0.36, 0.9), (2, 2), (120, 150, 110))


def furnish_library(f: Furnisher) -> None:
    """Bookcases, a desk with a screen, maps, a carpet."""
    f.rug((8.9, 6.5), (2.2, 1.9))
    f.bookcase('east', 0.75, 1.15, 2.1, 6)
    f.bookcase('east', 2.05, 1.15, 1.8, 5)
    f.pictures('east', [(2.8, 0.75)], 1.0)
    f.table('north', 2.3, (1.5, 0.65, 0.74), WALNUT, 0.05)
    f.clutter('north', 2.3, 1.4, 0.4, 0.74, 5)
    screen = f.poster(300, 200)
    textures = {'front': f.mesh.add_texture(screen), 'side': f.veneer((40, 40, 42))}
    stand(f.mesh, f.room, 'north', 2.3, (0.62, 0.06, 0.4), textures, z=0.84, gap=0.15)
    f.chair('north', 2.3, 0.75, (50, 130, 60), 200)
    f.bookcase('north', 0.6, 0.95, 1.5, 4)
    f.pictures('north', [(1.3, 0.6), (2.1, 0.75), (3.15, 0.65)], 1.35)
    f.pictures('west', [(0.2, 0.6), (2.1, 0.75), (3.1, 0.6)], 0.95)
    f.bookcase('west', 2.8, 1.0, 0.9, 3)
    f.pictures('south', [(0.2, 0.6), (2.5, 0.6), (3.3, 0.6)], 0.95)
    f.bookcase('south', 0.65, 0.95, 0.85, 3)
    f.cupboard('south', 3.3, (1.1, 0.35, 0.75), (2, 2), WALNUT)


def furnish_bedroom(f: Furnisher) -> None:
    """Bed with a quilt, wardrobe, chest of drawers, window, pictures."""
    f.rug((3.4, 6.1), (1.8, 1.3))
    quilt, sheet = (
        f.cloth((150, 90, 140), (90, 200, 220)),
        f.cloth((200, 205, 210), (150, 120, 90)),
    )
    headboard = {'side': f.veneer(OAK), 'top': f.veneer(OAK)}
    stand(f.mesh, f.room, 'north', 2.3, (1.5, 1.3, 0.5), {'top': quilt, 'side': quilt})
    stand(f.mesh, f.room, 'north', 2.3, (1.55, 0.06, 1.0), headboard)
    for along in (1.95, 2.65):
        stand(f.mesh, f.room, 'north', along, (0.55, 0.3, 0.14), sheet, z=0.5, gap=0.12)
    f.pictures('north', [(1.6, 0.6), (2.4, 0.65)], 1.2)
    f.window('north', 0.25, (1.1, 1.2), 0.85)
    f.cupboard('north', 3.75, (0.95, 0.5, 2.0), (2, 2), BEECH)
    f.cupboard('south', 2.2, (1.2, 0.4, 0.8), (3, 3), OAK)
    f.clutter('south', 2.2, 1.1, 0.35, 0.8, 5)
    f.pictures('south', [(0.3, 0.6), (1.2, 0.75), (2.2, 0.6), (3.2, 0.75)], 1.15)
    f.bookcase('south', 3.5, 0.9, 0.85, 3)
    f.pictures('west', [(0.2, 0.7), (1.2, 0.55), (3.25, 0.5)], 0.95)
    f.pictures('east', [(0.2, 0.65), (1.1, 0.6), (3.3, 0.5)], 0.95)
    f.cupboard('east', 0.8, (1.0, 0.36, 0.75), (2, 2), BEECH)
