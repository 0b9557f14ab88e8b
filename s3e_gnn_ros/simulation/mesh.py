"""Collect textured rectangles and boxes into a scene."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s3e_gnn_ros.simulation.scene import Scene, Texture

FACES = ('left', 'right', 'front', 'back', 'top', 'bottom')
"""Faces of a box: -x, +x, -y, +y, +z, -z before it is turned."""


@dataclass
class MeshBuilder:
    """Rectangles cut into cells fine enough to carry light at their corners.

    Attributes:
        cell_m: greatest side of a cell.
        textures: pictures added so far.
    """

    cell_m: float = 0.25
    textures: list[Texture] = field(default_factory=list)
    _quads: list[NDArray[np.float64]] = field(default_factory=list)
    _uvs: list[NDArray[np.float64]] = field(default_factory=list)
    _ids: list[NDArray[np.int32]] = field(default_factory=list)
    _glow: list[NDArray[np.float32]] = field(default_factory=list)

    def add_texture(self, texture: Texture) -> int:
        """Add a picture and return its number."""
        self.textures.append(np.ascontiguousarray(texture))
        return len(self.textures) - 1

    def add_quad(
        self,
        corner: ArrayLike,
        right: ArrayLike,
        up: ArrayLike,
        texture: int,
        *,
        uv_min: tuple[float, float] = (0.0, 0.0),
        uv_max: tuple[float, float] = (1.0, 1.0),
        glow: float = 0.0,
    ) -> None:
        """Add a rectangle.

        Args:
            corner: lower left corner (3,) [m].
            right: edge (3,) along increasing u.
            up: edge (3,) along increasing v.
            texture: its number.
            uv_min: texture coordinates at the corner.
            uv_max: texture coordinates at the opposite corner.
            glow: light the surface gives off itself; 0 for all but lamps, windows and screens.
        """
        o, e, f = (np.asarray(x, np.float64) for x in (corner, right, up))
        columns = max(1, int(np.ceil(np.linalg.norm(e) / self.cell_m)))
        rows = max(1, int(np.ceil(np.linalg.norm(f) / self.cell_m)))
        a, b = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1))
        points = o + a[..., None] * e + b[..., None] * f
        low, high = np.array(uv_min), np.array(uv_max)
        uvs = low + np.stack([a, b], axis=-1) * (high - low)
        self._quads.append(_cells(points))
        self._uvs.append(_cells(uvs))
        self._ids.append(np.full(rows * columns, texture, np.int32))
        self._glow.append(np.full(rows * columns, glow, np.float32))

    def add_box(
        self,
        centre: ArrayLike,
        size: ArrayLike,
        textures: dict[str, int] | int,
        *,
        yaw_deg: float = 0.0,
        skip: tuple[str, ...] = ('bottom',),
        glow: float = 0.0,
    ) -> None:
        """Add a box standing on ``centre`` (3,), the middle of its bottom, turned about z.

        Args:
            centre: middle of the bottom [m].
            size: (3,) along x, y, z before turning [m].
            textures: one number for all faces, or by name of ``FACES``; 'side' and then 'top'
                stand in for names that are missing.
            yaw_deg: turn about z, counter-clockwise.
            skip: faces left out because nobody sees them.
            glow: as for ``add_quad``.
        """
        w, d, h = np.asarray(size, np.float64)
        c, s = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
        x, y, z = np.array([c, s, 0.0]), np.array([-s, c, 0.0]), np.array([0.0, 0.0, 1.0])
        base = np.asarray(centre, np.float64) - w / 2 * x - d / 2 * y
        faces = {
            'front': (base, w * x, h * z),
            'right': (base + w * x, d * y, h * z),
            'back': (base + w * x + d * y, -w * x, h * z),
            'left': (base + d * y, -d * y, h * z),
            'top': (base + h * z, w * x, d * y),
            'bottom': (base + d * y, w * x, -d * y),
        }
        for name in FACES:
            if name not in skip:
                self.add_quad(*faces[name], _texture_of(textures, name), glow=glow)

    def build(self) -> tuple[Scene, NDArray[np.float32]]:
        """Return the scene without light, and how much each triangle (T,) glows."""
        quads, uvs = np.concatenate(self._quads), np.concatenate(self._uvs)
        ids, glow = np.concatenate(self._ids), np.concatenate(self._glow)
        halves = [[0, 1, 2], [0, 2, 3]]
        triangles = quads[:, halves].reshape(-1, 3, 3).astype(np.float32)
        scene = Scene(
            triangles_m=triangles,
            uvs=uvs[:, halves].reshape(-1, 3, 2).astype(np.float32),
            texture_ids=np.repeat(ids, 2),
            textures=tuple(self.textures),
            light=np.ones_like(triangles),
        )
        return scene, np.repeat(glow, 2)


def _texture_of(textures: dict[str, int] | int, face: str) -> int:
    if isinstance(textures, int):
        return textures
    for name in (face, 'side', 'top'):
        if name in textures and not (name == 'side' and face in ('top', 'bottom')):
            return textures[name]
    return next(iter(textures.values()))


def _cells(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Corners (R * C, 4, K), counter-clockwise, of the cells of a grid (R + 1, C + 1, K)."""
    corners = [grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]]
    return np.stack(corners, axis=2).reshape(-1, 4, grid.shape[-1])
