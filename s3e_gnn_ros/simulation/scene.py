"""A scene to render: triangles with textures and baked light, however it was made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError

Texture = NDArray[np.uint8]
"""(H, W, 3) BGR; its first row is the top of the picture, v = 1."""

MAX_MIP_LEVELS = 8


@dataclass(frozen=True, eq=False)
class Scene:
    """T textured triangles, z up, in metres.

    Attributes:
        triangles_m: (T, 3, 3) float32 corners. Winding means nothing: both sides are drawn.
        uvs: (T, 3, 2) float32 texture coordinates of the corners; v points up, values beyond
            [0, 1] repeat.
        texture_ids: (T,) int32 index into ``textures``.
        textures: the pictures.
        light: (T, 3, 3) float32 BGR factor on the texture at each corner, shadows included;
            ones where nothing was baked.
        max_mip_levels: for each texture the coarsest halving to use; None for no limit.

    Raises:
        InputError: shapes disagree, a value is not finite, or a texture does not exist.
    """

    triangles_m: NDArray[np.float32]
    uvs: NDArray[np.float32]
    texture_ids: NDArray[np.int32]
    textures: tuple[Texture, ...]
    light: NDArray[np.float32]
    max_mip_levels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check shapes and values: a bad index would read outside memory in compiled code."""
        n = len(self.triangles_m)
        shapes = (self.triangles_m.shape, self.uvs.shape, self.light.shape, self.texture_ids.shape)
        if n == 0 or shapes != ((n, 3, 3), (n, 3, 2), (n, 3, 3), (n,)):
            raise InputError(f'scene has triangles, uvs, light and textures of shapes {shapes}')
        if not all(np.isfinite(a).all() for a in (self.triangles_m, self.uvs, self.light)):
            raise InputError('scene has coordinates or light that are not finite')
        low, high = int(self.texture_ids.min()), int(self.texture_ids.max())
        if low < 0 or high >= len(self.textures):
            raise InputError(
                f'scene uses textures {low} to {high} but has {len(self.textures)} of them'
            )
        limits = self.max_mip_levels
        if limits is not None and (len(limits) != len(self.textures) or min(limits) < 0):
            raise InputError(f'scene has {len(self.textures)} textures but mip limits {limits}')

    @cached_property
    def normals(self) -> NDArray[np.float32]:
        """Unit normals (T, 3); zero for a triangle without area."""
        corners = self.triangles_m.astype(np.float64)
        n = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(n, axis=1, keepdims=True)
        return np.asarray(n / np.maximum(length, 1e-12), np.float32)

    @cached_property
    def bounds_m(self) -> NDArray[np.float32]:
        """Lower and upper corner (2, 3) of the box round the scene."""
        corners = self.triangles_m.reshape(-1, 3)
        return np.asarray(np.stack([corners.min(axis=0), corners.max(axis=0)]), np.float32)


@dataclass(frozen=True, eq=False)
class MipMaps:
    """All textures of a scene with their halvings, in one flat array for compiled code.

    Attributes:
        texels: (M, 3) uint8 BGR, row by row, level by level, texture by texture.
        offsets: (N, L) int64 first texel of each level; levels beyond a texture's last repeat it.
        widths: (N, L) int32.
        heights: (N, L) int32.
    """

    texels: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    widths: NDArray[np.int32]
    heights: NDArray[np.int32]


def make_mipmaps(
    textures: tuple[Texture, ...], max_levels: tuple[int, ...] | None = None
) -> MipMaps:
    """Halve every texture down to about four pixels, or its limit, and pack the levels."""
    texels: list[NDArray[np.uint8]] = []
    offsets = np.zeros((len(textures), MAX_MIP_LEVELS), np.int64)
    sizes = np.zeros((len(textures), MAX_MIP_LEVELS, 2), np.int32)
    total = 0
    for n, texture in enumerate(textures):
        level = texture
        coarsest = MAX_MIP_LEVELS if max_levels is None else max_levels[n]
        for k in range(MAX_MIP_LEVELS):
            if 0 < k <= coarsest and min(level.shape[:2]) >= 8:
                half = (level.shape[1] // 2, level.shape[0] // 2)
                level = np.asarray(cv2.resize(level, half, interpolation=cv2.INTER_AREA), np.uint8)
            elif k > 0:
                offsets[n, k], sizes[n, k] = offsets[n, k - 1], sizes[n, k - 1]
                continue
            offsets[n, k], sizes[n, k] = total, level.shape[:2]
            texels.append(level.reshape(-1, 3))
            total += len(texels[-1])
    heights, widths = np.ascontiguousarray(sizes[..., 0]), np.ascontiguousarray(sizes[..., 1])
    return MipMaps(np.concatenate(texels), offsets, widths, heights)
