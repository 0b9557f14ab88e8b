"""Groups of views of one place, from near poses, to train on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose, make_pose
from s3e_gnn_ros.simulation.floor import find_floor, free_points
from s3e_gnn_ros.simulation.motion import R_BODY_OPTICAL
from s3e_gnn_ros.simulation.noise import Rng
from s3e_gnn_ros.simulation.recording import D455
from s3e_gnn_ros.simulation.renderer import Renderer
from s3e_gnn_ros.simulation.scene import Scene
from s3e_gnn_ros.types import Frame

_MAX_PLACES = 60
_MAX_TRIES_PER_VIEW = 12
_PREVIEW = 1 / 16


@dataclass(frozen=True)
class ViewRange:
    """How the views of a group may lie to one another, and which are kept.

    Attributes:
        heights_m: lowest and highest camera above the floor.
        parallax_m: least and greatest distance of a view from the group's first.
        yaw_deg: greatest turn from the first view's direction.
        pitch_deg: greatest tilt from level.
        roll_deg: greatest roll.
        min_median_depth_m: views nearer to things than this are left out.
        max_void: greatest share of pixels without a surface.
        min_corners: least number of FAST corners of 20 grey levels.
    """

    heights_m: tuple[float, float] = (0.5, 1.7)
    parallax_m: tuple[float, float] = (0.1, 1.5)
    yaw_deg: float = 60.0
    pitch_deg: float = 15.0
    roll_deg: float = 20.0
    min_median_depth_m: float = 0.8
    max_void: float = 0.05
    min_corners: int = 60


def view_groups(
    scene: Scene,
    num_groups: int,
    views_per_group: int,
    seed: int,
    camera: PinholeCamera = D455,
    view_range: ViewRange | None = None,
) -> Iterator[tuple[Frame, ...]]:
    """Render groups of clean views (no noise, no blur) around random free places.

    Overlap within a group varies from none to nearly all: each group draws how far its views
    spread. Group k depends on the seed and k alone. ``T_odom_camera`` is None.

    Args:
        scene: what to render.
        num_groups: how many groups to yield.
        views_per_group: frames in each.
        seed: of all chance.
        camera: intrinsics.
        view_range: bounds; None for the defaults.

    Raises:
        InputError: a number is out of range, or the scene has no place that can be seen well.
        DependencyError: embreex or numba is not installed.
    """
    if num_groups < 0 or views_per_group < 1 or seed < 0:
        raise InputError(
            f'{num_groups} groups of {views_per_group} views with seed {seed} cannot be rendered'
        )
    sampler = _Sampler(scene, camera, view_range or ViewRange())
    for k in range(num_groups):
        yield sampler.group(k, views_per_group, np.random.default_rng([seed, 5, k]))


class _Sampler:
    """Draws poses and keeps those that see enough."""

    def __init__(self, scene: Scene, camera: PinholeCamera, view_range: ViewRange) -> None:
        self._renderer = Renderer(scene)
        self._camera, self._range = camera, view_range
        self._preview = camera.scaled(_PREVIEW)
        x, y = np.meshgrid(np.arange(self._preview.width), np.arange(self._preview.height))
        plane = self._preview.normalise(np.stack([x.ravel(), y.ravel()], axis=1).astype(float))
        self._rays = np.insert(plane, 2, 1.0, axis=1)
        space = find_floor(scene, self._renderer.caster)
        self._places = free_points(space, space.min_clearance_m)
        self._cell_m = space.cell_m
        self._corners = cv2.FastFeatureDetector_create(20)

    def group(self, index: int, num_views: int, rng: Rng) -> tuple[Frame, ...]:
        """Render one group; places without enough good views are given up for others."""
        for _ in range(_MAX_PLACES):
            spread = float(rng.uniform(0.2, 1.0))
            first = self._first_pose(rng)
            frames: list[Frame] = []
            for _ in range(_MAX_TRIES_PER_VIEW * num_views):
                pose = first if not frames else self._pose_near(first, spread, rng)
                frame = None if pose is None else self._render(pose, index, len(frames))
                if frame is not None:
                    frames.append(frame)
                elif not frames:
                    break
                if len(frames) == num_views:
                    return tuple(frames)
        raise InputError(
            f'{_MAX_PLACES} places of the scene were tried for group {index} and none '
            f'shows {num_views} views with enough depth and corners'
        )

    def _first_pose(self, rng: Rng) -> Pose:
        place = self._places[int(rng.integers(len(self._places)))]
        at = place + rng.uniform(-0.5, 0.5, 2) * self._cell_m
        yaw = float(rng.uniform(-180, 180))
        return self._pose(np.array([*at, rng.uniform(*self._range.heights_m)]), yaw, rng)

    def _pose_near(self, first: Pose, spread: float, rng: Rng) -> Pose | None:
        """A pose beside the first, or None when something stands between or it is too low."""
        low, high = self._range.parallax_m
        reach = float(rng.uniform(low, low + spread * (high - low)))
        turn, rise = rng.uniform(-np.pi, np.pi), rng.uniform(-0.3, 0.3)
        way = np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
        ahead = self._renderer.caster.distances_m(first[:3, 3], way[None].astype(np.float32))
        at = first[:3, 3] + reach * way
        heights = self._range.heights_m
        if ahead[0] < reach + 0.3 or not heights[0] <= at[2] <= heights[1]:
            return None
        yaw = np.degrees(np.arctan2(first[1, 2], first[0, 2]))
        return self._pose(at, yaw + spread * self._range.yaw_deg * rng.uniform(-1, 1), rng)

    def _pose(self, at_m: NDArray[np.float64], yaw_deg: float, rng: Rng) -> Pose:
        pitch, roll = rng.uniform(-1, 1, 2) * (self._range.pitch_deg, self._range.roll_deg)
        turn = Rotation.from_euler('ZYX', [yaw_deg, -pitch, roll], degrees=True).as_matrix()
        return make_pose(turn @ R_BODY_OPTICAL, at_m)

    def _render(self, pose: Pose, group: int, view: int) -> Frame | None:
        """Render a pose, or return None when it sees too little."""
        rays = (self._rays @ pose[:3, :3].T).astype(np.float32)
        if not self._has_depth(self._renderer.caster.distances_m(pose[:3, 3], rays)):
            return None
        image, depth = self._renderer.render(pose, self._camera)
        if not self._has_depth(np.where(depth > 0, depth, np.float32(np.inf))):
            return None
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if len(self._corners.detect(grey)) < self._range.min_corners:
            return None
        stamp_ns = group * 1_000_000_000 + view
        return Frame(stamp_ns, image, self._camera, depth, T_world_camera=pose)

    def _has_depth(self, distances_m: NDArray[np.float32]) -> bool:
        is_void = ~np.isfinite(distances_m)
        if is_void.mean() > self._range.max_void:
            return False
        return float(np.median(distances_m)) >= self._range.min_median_depth_m
