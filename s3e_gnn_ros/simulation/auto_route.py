"""A loop through any scene's own floor, and the same loop varied or driven the other way."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.floor import free_points
from s3e_gnn_ros.simulation.free_space import FreeSpace
from s3e_gnn_ros.simulation.noise import Rng
from s3e_gnn_ros.simulation.route import STEP_M, Path, Stop

_NUM_STOPS = 7
_WIDE_M = 0.6


def make_tour(space: FreeSpace, rng: Rng, max_length_m: float) -> tuple[Stop, ...]:
    """Choose far-apart stops in a neighbourhood and the shortest closed tour of them.

    Args:
        space: one connected piece of floor.
        rng: chooses where it starts.
        max_length_m: of the tour; ways that avoid walls count a little more than their length.

    Raises:
        InputError: the floor is too small.
    """
    points = free_points(space, max(_WIDE_M, space.min_clearance_m))
    if len(points) < _NUM_STOPS:
        points = free_points(space, space.min_clearance_m)
    start = int(rng.integers(len(points)))
    chosen, costs = [start], [space.costs_m(_pair(points[start]), points)]
    gap = np.where(costs[0] <= max_length_m / 2.2, costs[0], -1.0)
    while len(chosen) < _NUM_STOPS and gap.max() > 2 * space.cell_m:
        chosen.append(int(gap.argmax()))
        costs.append(space.costs_m(_pair(points[chosen[-1]]), points))
        gap = np.minimum(gap, costs[-1])
    between = np.stack(costs)[:, chosen]
    for count in range(len(chosen), 1, -1):
        length, order = _shortest(between[:count, :count])
        if length <= max_length_m:
            stops = tuple(Stop(*_pair(points[chosen[k]])) for k in order)
            return (*stops, stops[0])
    raise InputError(f'the free floor has no tour of at most {max_length_m} m')


def vary_path(path: Path, rng: Rng, *, is_reversed: bool, max_shift_m: float = 0.08) -> Path:
    """Return a path on a slightly other line, and driven from its end when reversed.

    Reversed, the camera looks to the same side of the building, as ``reverse_tour`` does.
    """
    points, heading, pan = path.points_m, path.heading_rad, path.pan_rad
    if is_reversed:
        points, heading, pan = points[::-1], heading[::-1] + np.pi, -pan[::-1]
    noise = rng.standard_normal((len(points), 2))
    smooth = gaussian_filter1d(noise, 1.5 / STEP_M, axis=0, mode='nearest')
    smooth /= np.abs(smooth).max() + 1e-9
    # Laps meet at their ends, so the line is left alone there.
    at = np.arange(len(points)) * STEP_M
    taper = np.minimum(1.0, np.minimum(at, at[-1] - at))[:, None]
    return Path(points + max_shift_m * taper * smooth, heading, pan)


def _shortest(between: NDArray[np.float64]) -> tuple[float, tuple[int, ...]]:
    """Length and order of the shortest closed tour that begins at 0; few enough to try all."""
    best: tuple[float, tuple[int, ...]] = (np.inf, (0,))
    for rest in permutations(range(1, len(between))):
        tour = (0, *rest, 0)
        length = float(sum(between[a, b] for a, b in pairwise(tour)))
        if length < best[0]:
            best = (length, tour[:-1])
    return best


def _pair(point: NDArray[np.float64]) -> tuple[float, float]:
    return float(point[0]), float(point[1])
