"""Run time of the overlap of a pair: all pairs at once, against a loop over pairs and pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.data.overlap import TOLERANCE_M, overlap_matrix
from s3e_gnn_ros.data.overlap_views import DepthView
from s3e_gnn_ros.evaluation.bench_timing import Timing, measure
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose

_NUM_VIEWS = 96
_NUM_REPEATS = 5
_NUM_LOOPED = 4
_CAMERA = PinholeCamera(80, 60, 65.0, 65.0, 39.5, 29.5)
_ROOM_M = np.array([6.0, 3.0, 5.0])
_NUM_ROOMS = 4
_WALL_M = 0.2


def overlap_rows(seed: int = 0) -> list[Timing]:
    """Measure the overlap of a directed pair of 80 x 60 views on one core.

    Views are drawn in four bare rooms in a row, so that walls hide most of them from one another.

    Args:
        seed: of the places and directions of the views.

    Returns:
        Run time per pair: with culling, without, and of the plain loop. 1000 over it are pairs
        per second, the quotient of two of them is the gain.
    """
    views = room_views(_NUM_VIEWS, np.random.default_rng(seed))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        rows = [_time_matrix(views, with_culling) for with_culling in (True, False)]
    finally:
        torch.set_num_threads(threads)
    pairs = [(views[i], views[i + _NUM_ROOMS]) for i in range(_NUM_LOOPED)]
    loop_ms = [measure(partial(overlap_by_loop, *pair)) for pair in pairs]
    return [*rows, Timing('overlap of a pair, plain loop', np.array(loop_ms))]


def room_views(num_views: int, rng: np.random.Generator) -> list[DepthView]:
    """Draw views in a row of bare rooms, from room to room."""
    views = []
    for index in range(num_views):
        corner = np.array([index % _NUM_ROOMS * (_ROOM_M[0] + _WALL_M), 0.0, 0.0])
        position = corner + rng.uniform(0.25, 0.75, 3) * _ROOM_M
        yaw, pitch = rng.uniform(-180, 180), rng.uniform(-10, 10)
        R = Rotation.from_euler('YX', [yaw, pitch], degrees=True).as_matrix()
        T_world_camera = se3.make_pose(R, position)
        depth_m = _room_depth(T_world_camera, corner)
        views.append(DepthView(depth_m, _CAMERA, T_world_camera))
    return views


def overlap_by_loop(
    source: DepthView, target: DepthView, tolerance_m: float = TOLERANCE_M
) -> float:
    """Return what ``overlap`` returns, pixel by pixel in plain Python."""
    T = (se3.inverse(target.T_world_camera) @ source.T_world_camera).tolist()
    camera, depths = source.camera, source.depth_m.tolist()
    num_agreeing = num_known = 0
    for row in range(camera.height):
        for column in range(camera.width):
            z = depths[row][column]
            if not (math.isfinite(z) and z > 0):
                continue
            point = ((column - camera.cx) / camera.fx * z, (row - camera.cy) / camera.fy * z, z)
            is_seen = _is_seen(point, T, target, tolerance_m)
            num_known += is_seen is not None
            num_agreeing += is_seen is True
    return num_agreeing / max(num_known, 1)


def _is_seen(
    point: tuple[float, float, float], T: list[list[float]], target: DepthView, tolerance_m: float
) -> bool | None:
    """Tell whether the target sees a point; None where it has no depth there."""
    x, y, z = (r[0] * point[0] + r[1] * point[1] + r[2] * point[2] + r[3] for r in T[:3])
    if z <= 0:
        return False
    camera = target.camera
    column = math.floor(camera.fx * x / z + camera.cx + 0.5)
    row = math.floor(camera.fy * y / z + camera.cy + 0.5)
    if not (0 <= column < camera.width and 0 <= row < camera.height):
        return False
    seen = float(target.depth_m[row, column])
    if not (math.isfinite(seen) and seen > 0):
        return None
    return abs(z - seen) <= tolerance_m * max(1.0, z)


def _time_matrix(views: Sequence[DepthView], with_culling: bool) -> Timing:
    whole = partial(overlap_matrix, views, with_culling=with_culling)
    whole()  # the first call allocates
    samples_ms = np.array([measure(whole) for _ in range(_NUM_REPEATS)])
    name = 'with' if with_culling else 'without'
    return Timing(f'overlap of a pair, {name} culling', samples_ms / len(views) ** 2)


def _room_depth(T_world_camera: Pose, corner: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the z-depth (H, W) of a room's walls, seen from inside."""
    rows, columns = np.mgrid[: _CAMERA.height, : _CAMERA.width]
    plane = _CAMERA.normalise(np.column_stack([columns.ravel(), rows.ravel()]))
    rays = np.column_stack([plane, np.ones(len(plane))]) @ T_world_camera[:3, :3].T  # (H * W, 3)
    rays = np.where(np.abs(rays) < 1e-12, 1e-12, rays)
    ahead = np.where(rays > 0, corner + _ROOM_M, corner)  # the wall of each axis that lies ahead
    depth = ((ahead - T_world_camera[:3, 3]) / rays).min(axis=1)
    return np.asarray(depth, dtype=np.float32).reshape(_CAMERA.height, _CAMERA.width)
