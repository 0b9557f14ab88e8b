"""Plan where the robot drives and where its camera looks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from s3e_gnn_ros.simulation.free_space import FreeSpace

STEP_M = 0.05
_SMOOTHING_M = 0.22


@dataclass(frozen=True)
class Stop:
    """A place to pass, and where to look there.

    Attributes:
        x: [m].
        y: [m].
        pan_deg: angle of the camera from the direction of travel, positive to the left.
    """

    x: float
    y: float
    pan_deg: float = 0.0


@dataclass(frozen=True, eq=False)
class Path:
    """A smooth way, in points ``STEP_M`` apart.

    Attributes:
        points_m: (N, 2).
        heading_rad: (N,) direction of travel, unwrapped.
        pan_rad: (N,) direction of the camera relative to it.
    """

    points_m: NDArray[np.float64]
    heading_rad: NDArray[np.float64]
    pan_rad: NDArray[np.float64]


def reverse_tour(stops: tuple[Stop, ...]) -> tuple[Stop, ...]:
    """Return the tour driven backwards, the camera looking to the same side of the building."""
    return tuple(replace(stop, pan_deg=-stop.pan_deg) for stop in reversed(stops))


def shift_tour(
    stops: tuple[Stop, ...], rng: np.random.Generator, max_shift_m: float
) -> tuple[Stop, ...]:
    """Return a tour whose inner stops are moved a little and looked at a little differently."""
    moved = []
    for stop in stops:
        dx, dy, pan = rng.uniform(-1, 1, 3) * (max_shift_m, max_shift_m, 8.0)
        moved.append(replace(stop, x=stop.x + dx, y=stop.y + dy, pan_deg=stop.pan_deg + pan))
    return (stops[0], *moved[1:-1], stops[-1])


def plan_path(space: FreeSpace, stops: tuple[Stop, ...]) -> Path:
    """Join stops by ways that keep clear of obstacles, and smooth them.

    Raises:
        InputError: a stop is not free, or two of them are not joined.
    """
    legs = [space.way((a.x, a.y), (b.x, b.y))[:-1] for a, b in pairwise(stops)]
    points = np.vstack([*legs, [(stops[-1].x, stops[-1].y)]])
    points = _resample(_smooth(_resample(points)))
    steps = np.gradient(points, axis=0)
    heading = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    heading = gaussian_filter1d(heading, 3, mode='nearest')
    return Path(points, heading, _pan_along(points, stops))


def _resample(points: NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    wanted = np.linspace(0, at[-1], max(2, round(at[-1] / STEP_M) + 1))
    return np.stack([np.interp(wanted, at, points[:, k]) for k in range(2)], axis=1)


def _smooth(points: NDArray[np.float64]) -> NDArray[np.float64]:
    # Mirroring through the end points keeps them, and the direction there, where they are.
    width = min(len(points) - 1, 30)
    before = 2 * points[0] - points[width:0:-1]
    after = 2 * points[-1] - points[-2 : -width - 2 : -1]
    longer = np.vstack([before, points, after])
    smooth = gaussian_filter1d(longer, _SMOOTHING_M / STEP_M, axis=0, mode='nearest')
    return np.asarray(smooth[width : width + len(points)])


def _pan_along(points: NDArray[np.float64], stops: tuple[Stop, ...]) -> NDArray[np.float64]:
    """Pan (N,) in radians: that of each stop at the path's nearest point, smooth between."""
    if not any(stop.pan_deg for stop in stops):
        return np.zeros(len(points))
    at, index = [0], 0
    for k, stop in enumerate(stops[1:-1], start=1):
        # Only ahead and not beyond reach, because a tour may pass one place twice.
        straight_m = float(np.hypot(stop.x - stops[k - 1].x, stop.y - stops[k - 1].y))
        ahead = points[index + 1 : index + 2 + int(1.6 * straight_m / STEP_M)]
        index += 1 + int(np.argmin(np.linalg.norm(ahead - (stop.x, stop.y), axis=1)))
        at.append(index)
    at.append(len(points) - 1)
    pans = np.radians([stop.pan_deg for stop in stops])
    return np.asarray(PchipInterpolator(at, pans)(np.arange(len(points))))
