"""Compiled texture lookup: trilinear, up to eight taps along the longer side of a pixel.

Only the renderer imports this module, because it needs numba.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numba import njit

MAX_TAPS = 8
Array: TypeAlias = Any
"""A numpy array of the shape and type that the docstring states."""
Arrays: TypeAlias = tuple[Any, ...]
Function = TypeVar('Function', bound=Callable[..., None])


def _compile(function: Function) -> Function:
    try:
        compiled = njit(nogil=True, error_model='numpy', cache=True)(function)
    except RuntimeError:  # no folder for the cache can be written: compile in each process
        compiled = njit(nogil=True, error_model='numpy')(function)
    return cast(Function, compiled)


@_compile
def _add_bilinear(
    texels: Array,
    offset: int,
    width: int,
    height: int,
    u: float,
    v: float,
    weight: float,
    out: Array,
) -> None:
    x = (u - np.floor(u)) * width - 0.5
    y = (np.ceil(v) - v) * height - 0.5
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - x0, y - y0
    # x0 lies in [-1, width - 1], so one comparison wraps it and a division is not needed.
    left, right = (x0 if x0 >= 0 else width - 1), (x0 + 1 if x0 + 1 < width else 0)
    row, below = (y0 if y0 >= 0 else height - 1), (y0 + 1 if y0 + 1 < height else 0)
    top, bottom = offset + row * width, offset + below * width
    w00, w10 = weight * (1 - fx) * (1 - fy), weight * fx * (1 - fy)
    w01, w11 = weight * (1 - fx) * fy, weight * fx * fy
    for c in range(3):
        out[c] += (
            w00 * texels[top + left, c]
            + w10 * texels[top + right, c]
            + w01 * texels[bottom + left, c]
            + w11 * texels[bottom + right, c]
        )


@_compile
def _filter_texture(
    mip: Arrays, texture: int, u: float, v: float, du: Array, dv: Array, bias: float, out: Array
) -> None:
    """Average the footprint of a pixel: ``du``, ``dv`` (2,) are uv steps to its neighbours."""
    texels, offsets, widths, heights = mip
    width, height = widths[texture, 0], heights[texture, 0]
    across_x = np.sqrt((du[0] * width) ** 2 + (dv[0] * height) ** 2)
    across_y = np.sqrt((du[1] * width) ** 2 + (dv[1] * height) ** 2)
    axis = 0 if across_x >= across_y else 1
    major, minor = max(across_x, across_y), max(min(across_x, across_y), 1e-3)
    taps = min(MAX_TAPS, max(1, int(np.ceil(major / minor - 0.25))))
    last = offsets.shape[1] - 1
    level = min(max(np.log2(max(major / taps, 1e-3)) + bias, 0.0), float(last))
    # A level counts alone where the other would add less than a twentieth.
    fine = int(level + 0.05)
    coarse, blend = min(fine + 1, last), level - fine
    blend = 0.0 if blend < 0.05 else blend
    for k in range(taps):
        at = (k + 0.5) / taps - 0.5
        tu, tv = u + at * du[axis], v + at * dv[axis]
        _add_bilinear(
            texels, offsets[texture, fine], widths[texture, fine], heights[texture, fine],
            tu, tv, (1.0 - blend) / taps, out,
        )  # fmt: skip
        if blend > 0.0:
            _add_bilinear(
                texels, offsets[texture, coarse], widths[texture, coarse],
                heights[texture, coarse], tu, tv, blend / taps, out,
            )  # fmt: skip


@_compile
def shade(
    hits: Arrays,
    directions: Array,
    steps: Array,
    surface: Arrays,
    mip: Arrays,
    bias: float,
    out: Array,
) -> None:
    """Colour N rays.

    Args:
        hits: triangle (N,) int32, negative where nothing was hit; distance (N,) along the
            direction; barycentric u (N,) and v (N,); float32.
        directions: (N, 3) float32 in the world, not normalised.
        steps: (2, 3) float32, change of the direction from a pixel to its right and lower
            neighbour.
        surface: uvs (T, 3, 2), gradients of uv in space (T, 2, 3), normals (T, 3), light
            (T, 3, 3), all float32, and texture_ids (T,) int32.
        mip: the fields of ``MipMaps``.
        bias: added to the mip level; negative is sharper.
        out: (N, 3) float32 to fill, BGR.
    """
    triangle, distance, bary_u, bary_v = hits
    uvs, gradients, normals, light, texture_ids = surface
    du, dv, colour = np.empty(2), np.empty(2), np.empty(3)
    for i in range(len(triangle)):
        t = triangle[i]
        if t < 0:
            out[i, :] = 0.0
            continue
        b, c = bary_u[i], bary_v[i]
        a = 1.0 - b - c
        u = a * uvs[t, 0, 0] + b * uvs[t, 1, 0] + c * uvs[t, 2, 0]
        v = a * uvs[t, 0, 1] + b * uvs[t, 1, 1] + c * uvs[t, 2, 1]
        n, d, g = normals[t], directions[i], gradients[t]
        along = n[0] * d[0] + n[1] * d[1] + n[2] * d[2]
        if abs(along) < 1e-6:
            along = 1e-6
        for k in range(2):
            s = (n[0] * steps[k, 0] + n[1] * steps[k, 1] + n[2] * steps[k, 2]) / along
            x = distance[i] * (steps[k, 0] - d[0] * s)
            y = distance[i] * (steps[k, 1] - d[1] * s)
            z = distance[i] * (steps[k, 2] - d[2] * s)
            du[k] = g[0, 0] * x + g[0, 1] * y + g[0, 2] * z
            dv[k] = g[1, 0] * x + g[1, 1] * y + g[1, 2] * z
        colour[:] = 0.0
        _filter_texture(mip, texture_ids[t], u, v, du, dv, bias, colour)
        for k in range(3):
            lit = a * light[t, 0, k] + b * light[t, 1, k] + c * light[t, 2, k]
            out[i, k] = colour[k] * lit


@_compile
def rotate(rays: Array, rotation: Array, out: Array) -> None:
    """Rotate directions (N, 3) by (3, 3) into ``out``; float32.

    Not a matrix product: that may round differently with another number of threads.
    """
    for i in range(len(rays)):
        for k in range(3):
            out[i, k] = (
                rotation[k, 0] * rays[i, 0]
                + rotation[k, 1] * rays[i, 1]
                + rotation[k, 2] * rays[i, 2]
            )


@_compile
def find_edges(depth: Array, textures: Array, min_bend: float, edges: Array) -> None:
    """Mark pixels beside a change of texture or a bend in depth.

    Inverse depth is linear over any plane, so its second difference finds steps and creases
    and nothing else.

    Args:
        depth: (H, W) float32 z-depth, 0 where nothing was hit.
        textures: (H, W) int32, negative where nothing was hit.
        min_bend: second difference of inverse depth, relative to it, that counts as a bend.
        edges: (H, W) bool to fill.
    """
    height, width = depth.shape
    for y in range(height):
        for x in range(width):
            marked = False
            for dy, dx in ((0, 1), (1, 0)):
                y0, y1, x0, x1 = y - dy, y + dy, x - dx, x + dx
                if y0 < 0 or x0 < 0 or y1 >= height or x1 >= width:
                    continue
                here = textures[y, x]
                if textures[y0, x0] != here or textures[y1, x1] != here:
                    marked = True
                elif here >= 0:
                    w = 1.0 / depth[y, x]
                    bend = 1.0 / depth[y0, x0] + 1.0 / depth[y1, x1] - 2.0 * w
                    marked = marked or abs(bend) > min_bend * w
            edges[y, x] = marked
