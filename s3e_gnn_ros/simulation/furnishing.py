"""What stands and hangs in the rooms; every room has a look of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from s3e_gnn_ros.simulation import pictures, surfaces
from s3e_gnn_ros.simulation.lighting import Lamp
from s3e_gnn_ros.simulation.mesh import MeshBuilder
from s3e_gnn_ros.simulation.noise import Colour, Rng
from s3e_gnn_ros.simulation.picture_folder import PictureFolder
from s3e_gnn_ros.simulation.room import Room, hang, stand, window_light
from s3e_gnn_ros.simulation.scene import Texture

PICTURE_PX_PER_M = 340
OAK: Colour = (75, 120, 165)
WALNUT: Colour = (55, 78, 105)
BEECH: Colour = (130, 175, 210)


@dataclass(frozen=True)
class Furnisher:
    """Places things in one room.

    Attributes:
        mesh: to add to.
        room: where.
        rng: source of chance for looks and small shifts of place.
        lamps: daylight is added here.
        folder: pictures for posters, rugs and boxes; None to draw them.
    """

    mesh: MeshBuilder
    room: Room
    rng: Rng
    lamps: list[Lamp]
    folder: PictureFolder | None = None

    def poster(self, width: int, height: int) -> Texture:
        """Draw a framed picture, or choose one from the folder."""
        if self.folder is None:
            return pictures.poster(self.rng, width, height)
        return self.folder.poster(self.rng, width, height)

    def picture(self, wall: str, along: float, size_m: tuple[float, float], z: float) -> None:
        """Hang a poster, shifted by some centimetres."""
        shift_a, shift_z = self.rng.uniform(-0.04, 0.04, 2)
        width, height = (round(s * PICTURE_PX_PER_M) for s in size_m)
        image = self.poster(width, height)
        hang(self.mesh, self.room, wall, along + shift_a, z + shift_z, size_m, image)

    def pictures(self, wall: str, places: list[tuple[float, float]], z: float = 1.0) -> None:
        """Hang posters of different shapes at (along, width)."""
        for along, width in places:
            height = width * float(self.rng.uniform(0.75, 1.4))
            self.picture(wall, along, (width, min(height, 2.3 - z)), z)

    def window(self, wall: str, along: float, size_m: tuple[float, float], z: float = 0.9) -> None:
        """Put in a window that gives daylight."""
        width, height = (round(s * 300) for s in size_m)
        image = pictures.window_view(self.rng, width, height)
        hang(self.mesh, self.room, wall, along, z, size_m, image, glow=1.15)
        middle = (along + size_m[0] / 2, z + size_m[1] / 2)
        self.lamps.append(window_light(self.room, wall, *middle, min(size_m)))

    def veneer(self, colour: Colour, size_px: tuple[int, int] = (256, 256)) -> int:
        """Add a wooden texture."""
        return self.mesh.add_texture(surfaces.wood(self.rng, size_px, colour))

    def cloth(self, colour: Colour, accent: Colour) -> int:
        """Add a cloth texture."""
        return self.mesh.add_texture(surfaces.fabric(self.rng, (320, 320), colour, accent))

    def bookcase(self, wall: str, along: float, width: float, height: float, rows: int) -> None:
        """Stand a full bookcase against a wall."""
        size = (round(width * 330), round(height * 330))
        front = self.mesh.add_texture(pictures.book_spines(self.rng, *size, rows))
        textures = {'front': front, 'side': self.veneer(OAK), 'top': self.veneer(OAK)}
        stand(self.mesh, self.room, wall, along, (width, 0.32, height), textures)
        self.clutter(wall, along, width * 0.8, 0.3, height, 3)

    def cupboard(
        self,
        wall: str,
        along: float,
        size_m: tuple[float, float, float],
        grid: tuple[int, int],
        colour: Colour,
        z: float = 0.0,
    ) -> None:
        """Stand a cupboard with (columns, rows) of doors against a wall."""
        size_px = (round(size_m[0] * 300), round(size_m[2] * 300))
        front = pictures.cupboard_front(self.rng, surfaces.wood(self.rng, size_px, colour), *grid)
        textures = {'front': self.mesh.add_texture(front), 'side': self.veneer(colour)}
        textures['top'] = self.veneer((120, 130, 140))
        stand(self.mesh, self.room, wall, along, size_m, textures, z=z)

    def table(
        self,
        wall: str,
        along: float,
        size_m: tuple[float, float, float],
        colour: Colour,
        gap: float,
    ) -> None:
        """Stand a table on four legs."""
        width, depth, height = size_m
        top, leg = self.veneer(colour, (420, 300)), self.veneer(colour)
        plate = (width, depth, 0.04)
        stand(self.mesh, self.room, wall, along, plate, top, z=height - 0.04, gap=gap)
        for a in (-1, 1):
            for b in (0.0, depth - 0.06):
                at = along + a * (width / 2 - 0.03)
                foot = (0.06, 0.06, height - 0.04)
                stand(self.mesh, self.room, wall, at, foot, leg, gap=gap + b)

    def chair(self, wall: str, along: float, gap: float, colour: Colour, turn: float) -> None:
        """Stand a chair with a closed back."""
        seat, frame = self.cloth(colour, (40, 40, 50)), self.veneer(WALNUT)
        stand(
            self.mesh, self.room, wall, along, (0.42, 0.42, 0.45),
            {'top': seat, 'side': frame}, gap=gap, turn_deg=turn,
        )  # fmt: skip
        angle = np.radians(turn)
        shift = 0.19 * np.array([-np.sin(angle), -np.cos(angle)])
        stand(
            self.mesh, self.room, wall, along + shift[0], (0.42, 0.04, 0.5), seat,
            z=0.45, gap=gap + 0.19 + shift[1], turn_deg=turn,
        )  # fmt: skip

    def clutter(
        self, wall: str, along: float, width: float, depth: float, z: float, count: int
    ) -> None:
        """Put boxes, books and tins on a surface."""
        for k in range(count):
            size = self.rng.uniform((0.08, 0.05, 0.05), (0.24, 0.13, 0.27))
            at = along + width * ((k + 0.5) / count - 0.5) + self.rng.uniform(-0.03, 0.03)
            image = self.poster(110, 130)
            gap = float(self.rng.uniform(0.02, max(0.03, depth - 0.16)))
            stand(
                self.mesh, self.room, wall, at, (size[0], size[1], size[2]),
                self.mesh.add_texture(image), z=z, gap=gap,
                turn_deg=float(self.rng.uniform(-35, 35)),
            )  # fmt: skip

    def rug(self, middle: tuple[float, float], size_m: tuple[float, float]) -> None:
        """Lay a rug on the floor."""
        colour, *accents = (pictures.vivid(self.rng) for _ in range(4))
        b, g, r = (0.5 * c + 50 for c in colour)
        width, height = (round(s * 200) for s in size_m)
        image = surfaces.carpet(self.rng, (width, height), (b, g, r), list(accents))
        if self.folder is not None:
            image = self.folder.surface(self.rng, image, 200)
        corner = (middle[0] - size_m[0] / 2, middle[1] - size_m[1] / 2, 0.012)
        edges = ((size_m[0], 0, 0), (0, size_m[1], 0))
        self.mesh.add_quad(corner, *edges, self.mesh.add_texture(image))
