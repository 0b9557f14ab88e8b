"""Stretches of a scene with little texture: upright surfaces repainted in one colour."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.scene import Scene, Texture

_BLOCK_M = 3.0
_MAX_UPRIGHT_NZ = 0.5


def paint_walls_plain(scene: Scene, share: float, seed: int) -> Scene:
    """Return the scene with a share of its 3 m blocks of floor painted plain.

    In a chosen block every upright surface, walls with all that hangs on them and furniture,
    shows the mean colour of its texture; light, edges and shape stay. A triangle belongs to the
    block its middle is in.

    Args:
        scene: to repaint.
        share: of blocks, 0 to 1.
        seed: of the choice.

    Raises:
        InputError: the share is out of range.
    """
    if not 0 <= share <= 1:
        raise InputError(f'share of plain walls is {share} instead of 0 to 1')
    if share == 0:
        return scene
    low, high = scene.bounds_m[:, :2]
    shape = tuple((np.floor((high - low) / _BLOCK_M) + 1).astype(int))
    is_plain_block = np.random.default_rng([seed, 8]).random(shape) < share
    middle = scene.triangles_m[..., :2].mean(axis=1)
    column, row = np.floor((middle - low) / _BLOCK_M).astype(int).T
    is_plain = is_plain_block[column, row] & (np.abs(scene.normals[:, 2]) < _MAX_UPRIGHT_NZ)
    used, number = np.unique(scene.texture_ids[is_plain], return_inverse=True)
    ids = scene.texture_ids.copy()
    ids[is_plain] = len(scene.textures) + number
    plain = tuple(_mean_colour(scene.textures[k]) for k in used)
    limits = scene.max_mip_levels
    return replace(
        scene,
        texture_ids=ids,
        textures=scene.textures + plain,
        max_mip_levels=None if limits is None else limits + (0,) * len(plain),
    )


def _mean_colour(texture: Texture) -> Texture:
    mean = texture.reshape(-1, 3).mean(axis=0)
    return np.full((4, 4, 3), np.round(mean), np.uint8)
