"""Draw textures from a folder of pictures, so that buildings vary without end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.noise import Rng
from s3e_gnn_ros.simulation.scene import Texture

_SUFFIXES = ('.jpg', '.jpeg', '.png')
_MIN_SIDE_PX = 16


@dataclass(frozen=True)
class PictureFolder:
    """Pictures to choose from; each is read when it is drawn.

    Attributes:
        paths: sorted, so that a seed draws the same ones everywhere.
    """

    paths: tuple[Path, ...]

    def draw(self, rng: Rng, width: int, height: int) -> Texture:
        """Cut a random part, of this shape, out of a random picture; perhaps mirrored.

        Raises:
            InputError: the picture cannot be read.
        """
        image = _read(self.paths[int(rng.integers(len(self.paths)))])
        rows, columns = image.shape[:2]
        scale = min(columns / width, rows / height) * rng.uniform(0.6, 1.0)
        w, h = max(1, int(width * scale)), max(1, int(height * scale))
        x, y = int(rng.integers(columns - w + 1)), int(rng.integers(rows - h + 1))
        part = image[y : y + h, x : x + w]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        shrinks = scale > 1
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(part, (width, height), interpolation=method), np.uint8)

    def poster(self, rng: Rng, width: int, height: int) -> Texture:
        """A picture in a frame of a random shade."""
        frame = max(3, min(width, height) // 30)
        shade = int(rng.choice([25, 60, 150, 215]))
        image = np.full((height, width, 3), shade, np.uint8)
        image[frame:-frame, frame:-frame] = self.draw(rng, width - 2 * frame, height - 2 * frame)
        return image

    def surface(self, rng: Rng, base: Texture, px_per_m: float) -> Texture:
        """Cover a wall or a floor with one picture, repeated and mirrored from tile to tile.

        It is mixed with the drawn ``base`` (H, W, 3), whose grain then keeps the repetitions
        apart, and toned down, as wallpaper is.
        """
        height, width = base.shape[:2]
        side = int(px_per_m * rng.uniform(0.8, 2.6))
        tile = self.draw(rng, side, int(side * rng.uniform(0.7, 1.3)))
        covered = _tiled(tile, height, width).astype(np.float32)
        contrast, share = rng.uniform(0.35, 0.9), np.float32(rng.uniform(0.5, 0.9))
        covered = 150 + np.float32(contrast) * (covered - covered.mean())
        mixed = share * covered + (1 - share) * base.astype(np.float32)
        return np.asarray(np.clip(mixed, 5, 250), np.uint8)


def load_pictures(folder: Path) -> PictureFolder:
    """List the pictures (jpg, png) of a folder and of the folders in it.

    Raises:
        InputError: there is no such folder, or no picture in it.
    """
    if not folder.is_dir():
        raise InputError(f'there is no folder of pictures {folder}')
    paths = tuple(sorted(p for p in folder.rglob('*') if p.suffix.lower() in _SUFFIXES))
    if not paths:
        raise InputError(f'folder {folder} holds no jpg or png pictures')
    return PictureFolder(paths)


def _read(path: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None or min(image.shape[:2]) < _MIN_SIDE_PX:
        raise InputError(f'picture {path} cannot be read, or is smaller than {_MIN_SIDE_PX} px')
    return np.asarray(image, np.uint8)


def _tiled(tile: Texture, height: int, width: int) -> Texture:
    double = np.concatenate([tile, tile[:, ::-1]], axis=1)
    double = np.concatenate([double, double[::-1]], axis=0)
    rows, columns = -(-height // double.shape[0]), -(-width // double.shape[1])
    return np.asarray(np.tile(double, (rows, columns, 1))[:height, :width], np.uint8)
