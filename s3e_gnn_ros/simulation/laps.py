"""Laps that differ in direction, camera height, view direction, light and moving things."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation.appearance import Appearance
from s3e_gnn_ros.simulation.auto_route import make_tour, vary_path
from s3e_gnn_ros.simulation.floor import find_floor
from s3e_gnn_ros.simulation.free_space import FreeSpace, clearance_m
from s3e_gnn_ros.simulation.motion import Motion, MotionLimits, drive
from s3e_gnn_ros.simulation.movers import Mover, make_movers
from s3e_gnn_ros.simulation.ray_caster import RayCaster
from s3e_gnn_ros.simulation.route import Path, Stop, plan_path
from s3e_gnn_ros.simulation.scene import Scene

_MAX_TRIES = 6
_MIN_CLEARANCE_M = 0.25
_SMALL_M2 = 400.0


@dataclass(frozen=True)
class LapOptions:
    """One lap.

    Attributes:
        is_reversed: whether the loop is driven in the opposite direction.
        height_m: of the camera above the floor.
        yaw_offset_deg: turns the camera away from the direction it would look in, to the left.
        appearance: of its images; None for the recording's automatic exposure.
        num_movers: things that stand or walk along the route, others in every lap.

    Raises:
        InputError: a value is out of range.
    """

    is_reversed: bool = False
    height_m: float = 1.05
    yaw_offset_deg: float = 0.0
    appearance: Appearance | None = None
    num_movers: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.1 <= self.height_m <= 3:
            raise InputError(f'camera height is {self.height_m} m instead of 0.1 to 3')
        if not abs(self.yaw_offset_deg) <= 360:
            raise InputError(f'yaw offset is {self.yaw_offset_deg} deg instead of -360 to 360')
        if not 0 <= self.num_movers <= 100:
            raise InputError(f'number of moving objects is {self.num_movers} instead of 0 to 100')


@dataclass(frozen=True, eq=False)
class LapPlan:
    """Where the camera goes and what else moves.

    Attributes:
        motion: of the camera; its ``lap_ends_s`` tell the laps apart.
        movers: of each lap.
    """

    motion: Motion
    movers: tuple[tuple[Mover, ...], ...]


def plan_laps(
    scene: Scene,
    laps: tuple[LapOptions, ...],
    limits: MotionLimits,
    seed: int,
    tour: tuple[Stop, ...] | None = None,
    max_lap_m: float = 60.0,
) -> LapPlan:
    """Plan laps through a scene.

    Args:
        scene: to drive through.
        laps: in order.
        limits: how the camera is carried; its height is not used.
        seed: of the route and the moving things.
        tour: closed tour to drive; None to find one on the scene's own floor.
        max_lap_m: greatest length of a tour that is found.

    Raises:
        InputError: no clear way leads round.
    """
    caster = RayCaster(scene.triangles_m)
    space = _free_space(scene, caster) if tour is None else FreeSpace.of_scene(scene, caster)
    nearest = 0.0
    for attempt in range(_MAX_TRIES):
        rng = np.random.default_rng([seed, 6, attempt])
        path = plan_path(space, tour or make_tour(space, rng, max_lap_m))
        paths = [path if k == 0 and not lap.is_reversed
                 else vary_path(path, rng, is_reversed=lap.is_reversed)
                 for k, lap in enumerate(laps)]  # fmt: skip
        heights = [lap.height_m for lap in laps]
        turned = [_turned(p, lap.yaw_offset_deg) for p, lap in zip(paths, laps, strict=True)]
        motion = drive(turned, limits, rng, heights)
        at = motion.poses(np.arange(0, motion.duration_s, 0.1))[:, :2, 3]
        clearance = clearance_m(caster, at)
        nearest = max(nearest, float(clearance.min()))
        if nearest >= _MIN_CLEARANCE_M:
            return LapPlan(motion, _make_movers(caster, paths, laps, seed))
        # Thin things that the grid missed: the next try goes round them.
        space = space.without(at[clearance < _MIN_CLEARANCE_M], space.min_clearance_m)
    raise InputError(
        f'every route of seed {seed} comes within {nearest:.2f} m of an obstacle instead of '
        f'{_MIN_CLEARANCE_M} m at {limits.speed_mps} m/s; drive slower or take another seed'
    )


def _free_space(scene: Scene, caster: RayCaster) -> FreeSpace:
    width, depth = scene.bounds_m[1, :2] - scene.bounds_m[0, :2]
    cell_m = 0.1 if float(width * depth) < _SMALL_M2 else 0.2
    return find_floor(scene, caster, cell_m=cell_m)


def _turned(path: Path, yaw_offset_deg: float) -> Path:
    return replace(path, pan_rad=path.pan_rad + np.radians(yaw_offset_deg))


def _make_movers(
    caster: RayCaster, paths: list[Path], laps: tuple[LapOptions, ...], seed: int
) -> tuple[tuple[Mover, ...], ...]:
    movers = []
    for k, (path, lap) in enumerate(zip(paths, laps, strict=True)):
        rng = np.random.default_rng([seed, 7, k])
        clearance = clearance_m(caster, path.points_m)
        movers.append(tuple(make_movers(path, clearance, lap.num_movers, rng)))
    return tuple(movers)
