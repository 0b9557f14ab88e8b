"""The floor of a scene that one can drive on: one connected piece, indoors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.free_space import FreeSpace
from s3e_gnn_ros.simulation.ray_caster import RayCaster
from s3e_gnn_ros.simulation.scene import Scene

_HEIGHTS_M = (0.15, 0.4, 0.8, 1.2, 2.0)
_NUM_DIRECTIONS = 16
_MIN_ENCLOSED = 0.75


def find_floor(
    scene: Scene, caster: RayCaster, min_clearance_m: float = 0.4, cell_m: float = 0.2
) -> FreeSpace:
    """Return the free space of a scene with nothing left but its largest indoor piece.

    Indoors is where, at some height, three of four directions meet something: a shop window
    without glass does not put a shop outdoors.

    Raises:
        InputError: the scene has no such floor.
    """
    space = FreeSpace.of_scene(scene, caster, min_clearance_m, cell_m)
    is_free = space.clearance_m >= min_clearance_m
    rows, columns = np.nonzero(is_free)
    if len(rows):
        points = space.corner_m + cell_m * np.stack([columns, rows], axis=1)
        is_free[rows, columns] = _is_enclosed(caster, points)
    pieces, count = label(is_free)
    if count == 0:
        raise InputError(
            f'the scene has no floor near z = 0 that is indoors and {min_clearance_m} m clear'
        )
    largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    return replace(space, clearance_m=np.where(pieces == largest, space.clearance_m, 0.0))


def free_points(space: FreeSpace, min_clearance_m: float) -> NDArray[np.float64]:
    """Middles (N, 2) of the cells that are at least so clear."""
    rows, columns = np.nonzero(space.clearance_m >= min_clearance_m)
    return np.asarray(space.corner_m + space.cell_m * np.stack([columns, rows], axis=1))


def _is_enclosed(caster: RayCaster, points_m: NDArray[np.float64]) -> NDArray[np.bool_]:
    angles = np.arange(_NUM_DIRECTIONS) * 2 * np.pi / _NUM_DIRECTIONS
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    directions = np.tile(ring.astype(np.float32), (len(points_m), 1))
    enclosed = np.zeros(len(points_m), np.bool_)
    for height in _HEIGHTS_M:
        at = np.column_stack([points_m, np.full(len(points_m), height)])
        hits = caster.distances_m(np.repeat(at, _NUM_DIRECTIONS, axis=0), directions)
        enclosed |= np.isfinite(hits).reshape(len(points_m), -1).mean(axis=1) >= _MIN_ENCLOSED
    return enclosed
