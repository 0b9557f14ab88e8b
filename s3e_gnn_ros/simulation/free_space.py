"""Where a robot can drive in a scene, and the ways that keep away from walls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.ray_caster import RayCaster
from s3e_gnn_ros.simulation.scene import Scene

_HEIGHTS_M = (0.15, 0.4, 0.8, 1.2)
_NUM_DIRECTIONS = 32
_MAX_CLEARANCE_M = 1.0
_LOOK_DOWN_M = 1.5
_FLOOR_M = 0.3


def clearance_m(caster: RayCaster, points_m: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance (N,) from floor points (N, 2) to the nearest obstacle sideways, at most 1 m.

    Looks in 32 directions at four heights; 0 where there is no floor or something stands on it.
    """
    above = np.column_stack([points_m, np.full(len(points_m), _LOOK_DOWN_M)])
    down = np.tile(np.array([[0, 0, -1]], np.float32), (len(points_m), 1))
    ground = _LOOK_DOWN_M - caster.distances_m(above, down)
    angles = np.arange(_NUM_DIRECTIONS) * 2 * np.pi / _NUM_DIRECTIONS
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1)
    directions = np.tile(ring.astype(np.float32), (len(points_m), 1))
    nearest = np.full(len(points_m), _MAX_CLEARANCE_M)
    for height in _HEIGHTS_M:
        at = np.column_stack([points_m, np.full(len(points_m), height)])
        hits = caster.distances_m(np.repeat(at, _NUM_DIRECTIONS, axis=0), directions)
        nearest = np.minimum(nearest, hits.reshape(len(points_m), -1).min(axis=1))
    return np.where(np.abs(ground) < _FLOOR_M, nearest, 0.0)


@dataclass(frozen=True, eq=False)
class FreeSpace:
    """Clearance of a scene's floor on a grid.

    Attributes:
        corner_m: (2,) x and y of the first cell's middle.
        cell_m: side of a cell.
        clearance_m: (R, C) of each cell's middle; rows along y.
        min_clearance_m: cells with less are no way.
    """

    corner_m: NDArray[np.float64]
    cell_m: float
    clearance_m: NDArray[np.float64]
    min_clearance_m: float

    @staticmethod
    def of_scene(
        scene: Scene, caster: RayCaster, min_clearance_m: float = 0.35, cell_m: float = 0.1
    ) -> FreeSpace:
        """Measure the clearance everywhere in a scene."""
        low, high = scene.bounds_m[:, :2].astype(np.float64)
        x, y = (np.arange(a + cell_m / 2, b, cell_m) for a, b in zip(low, high, strict=True))
        points = np.stack(np.meshgrid(x, y), axis=-1)
        clearance = clearance_m(caster, points.reshape(-1, 2)).reshape(points.shape[:2])
        return FreeSpace(low + cell_m / 2, cell_m, clearance, min_clearance_m)

    def way(self, start_m: tuple[float, float], end_m: tuple[float, float]) -> NDArray[np.float64]:
        """Return a chain of points (N, 2) from start to end that prefers wide clearance.

        Raises:
            InputError: an end is not free, or no free way joins them.
        """
        first, last = self._node(start_m), self._node(end_m)
        _, before = dijkstra(self._graph, indices=first, return_predecessors=True)
        chain = [last]
        while chain[-1] != first:
            step = int(before[chain[-1]])
            if step < 0:
                raise InputError(f'no free way leads from {start_m} to {end_m}')
            chain.append(step)
        columns = self.clearance_m.shape[1]
        rows, cols = np.divmod(np.array(chain[::-1]), columns)
        points = self.corner_m + self.cell_m * np.stack([cols, rows], axis=1)
        return np.vstack([[start_m], points[1:-1], [end_m]])

    def without(self, points_m: NDArray[np.float64], radius_m: float) -> FreeSpace:
        """Return this with everything within a radius of points (N, 2) barred."""
        rows, columns = np.indices(self.clearance_m.shape)
        middles = self.corner_m + self.cell_m * np.stack([columns, rows], axis=-1)
        clearance = self.clearance_m.copy()
        for point in points_m:
            clearance[np.linalg.norm(middles - point, axis=-1) < radius_m] = 0
        return replace(self, clearance_m=clearance)

    def costs_m(
        self, start_m: tuple[float, float], points_m: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Cost (N,) of the way to each point (N, 2): its length, more where walls are near.

        Raises:
            InputError: the start is not free.
        """
        costs = dijkstra(self._graph, indices=self._node(start_m))
        columns, rows = np.round((points_m - self.corner_m) / self.cell_m).astype(int).T
        return np.asarray(costs[rows * self.clearance_m.shape[1] + columns] * self.cell_m)

    def _node(self, point_m: tuple[float, float]) -> int:
        column, row = np.round((np.array(point_m) - self.corner_m) / self.cell_m).astype(int)
        rows, columns = self.clearance_m.shape
        inside = 0 <= row < rows and 0 <= column < columns
        if not inside or self.clearance_m[row, column] < self.min_clearance_m:
            raise InputError(f'point {point_m} is not {self.min_clearance_m} m clear of obstacles')
        return int(row * columns + column)

    @cached_property
    def _graph(self) -> csr_array:
        """Edges between free neighbours, dearer where walls are near."""
        rows, columns = self.clearance_m.shape
        is_free = self.clearance_m >= self.min_clearance_m
        cost = 1 + 4 * (1 - np.minimum(self.clearance_m / 0.8, 1)) ** 2
        index = np.arange(rows * columns).reshape(rows, columns)
        starts, ends, weights = [], [], []
        for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
            a = (slice(0, rows - dr), slice(max(0, -dc), columns - max(0, dc)))
            b = (slice(dr, rows), slice(max(0, dc), columns - max(0, -dc)))
            ok = is_free[a] & is_free[b]
            starts.append(index[a][ok])
            ends.append(index[b][ok])
            weights.append((np.hypot(dr, dc) * (cost[a] + cost[b]) / 2)[ok])
        i, j, w = np.concatenate(starts), np.concatenate(ends), np.concatenate(weights)
        both = (np.concatenate([i, j]), np.concatenate([j, i]))
        return csr_array((np.concatenate([w, w]), both), shape=(index.size, index.size))
