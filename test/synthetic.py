"""A textured corner of a room whose image, depth and poses are known exactly.

World frame: x right, y down, z forward. The room is where x < 2, y < 1.2 and z < 4: convex, so
that nothing in it hides anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.view import DepthImage, View
from s3e_gnn_ros.types import Features, Frame

CAMERA = PinholeCamera(320, 240, 240.0, 240.0, 159.5, 119.5)
DEPTH_CAMERA = PinholeCamera(160, 120, 120.0, 120.0, 79.75, 59.75)
# Each row (n, d): the plane n x = d.
WALLS = np.array([[1.0, 0.0, 0.0, 2.0], [0.0, 1.0, 0.0, 1.2], [0.0, 0.0, 1.0, 4.0]])
BACK_WALL = WALLS[2:]
CORNER = np.array([2.0, 1.2, 4.0])
_TEXELS_PER_M = 80.0
_TEXTURE_SIZE = 1024
START_NS = 1_700_000_000_000_000_000


def look_at(position: Sequence[float], target: Sequence[float], roll_deg: float = 0.0) -> Pose:
    """Return T_world_camera (4, 4) of a camera that looks at a point, upright but for the roll."""
    forward = np.subtract(target, position).astype(np.float64)
    forward /= np.linalg.norm(forward)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right)
    R = np.column_stack([right, np.cross(forward, right), forward])
    roll = Rotation.from_euler('z', roll_deg, degrees=True).as_matrix()
    return se3.make_pose(R @ roll, position)


def render_depth(
    camera: PinholeCamera, T_world_camera: Pose, walls: NDArray[np.float64] = WALLS
) -> NDArray[np.float32]:
    """Intersect the ray of every pixel with the walls; (H, W) z-depth, 0 where there is none."""
    return _cast(camera, T_world_camera, walls)[0].astype(np.float32)


def render(
    camera: PinholeCamera, T_world_camera: Pose, walls: NDArray[np.float64] = WALLS
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the grey image (H, W) and the depth (H, W) that a camera sees."""
    depth, wall, points = _cast(camera, T_world_camera, walls)
    axis = np.argmax(walls[wall, :3], axis=-1)
    u = np.where(axis == 0, points[..., 2], points[..., 0])
    v = np.where(axis == 1, points[..., 2], points[..., 1])
    uv = (np.stack([u, v], axis=-1) * _TEXELS_PER_M % _TEXTURE_SIZE).astype(np.float32)
    image = np.zeros(depth.shape, dtype=np.uint8)
    for number in range(3):
        seen = cv2.remap(
            _texture(number), uv[..., 0], uv[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        image = np.where(axis == number, seen, image)
    return image, depth.astype(np.float32)


def make_frame(
    T_world_camera: Pose,
    stamp_ns: int = START_NS,
    camera: PinholeCamera = CAMERA,
    *,
    with_depth: bool = True,
) -> Frame:
    """Render a frame whose odometry is the truth."""
    image, depth_m = render(camera, T_world_camera)
    return Frame(
        stamp_ns=stamp_ns,
        image=image,
        camera=camera,
        depth_m=depth_m if with_depth else None,
        T_odom_camera=T_world_camera,
        T_world_camera=T_world_camera,
    )


def out_and_back(num_frames: int) -> list[Pose]:
    """Return T_world_camera along an arc round the corner and back the same way."""
    half = np.linspace(0.0, 1.0, (num_frames + 1) // 2)
    path = np.concatenate([half, half[::-1][num_frames % 2 :]])
    return [
        look_at([-1.2 + 2.0 * s, -0.2 - 0.1 * s, 0.6 - 1.2 * s * (1 - s)], [1.2 - s, 0.4, 4.0])
        for s in path
    ]


def write_seven_scenes(
    folder: Path, poses: Sequence[Pose], camera: PinholeCamera = CAMERA, numbers_apart: int = 9
) -> Path:
    """Write a sequence in the layout of 7-Scenes; frame numbers are 1/30 s."""
    folder.mkdir(parents=True)
    (folder / 'camera-intrinsics.txt').write_text(
        f'{camera.fx} 0 {camera.cx}\n0 {camera.fy} {camera.cy}\n0 0 1\n'
    )
    for index, T_world_camera in enumerate(poses):
        stem = folder / f'frame-{index * numbers_apart:06d}'
        image, depth_m = render(camera, T_world_camera)
        cv2.imwrite(f'{stem}.color.png', cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
        cv2.imwrite(f'{stem}.depth.png', np.round(depth_m * 1000).astype(np.uint16))
        np.savetxt(f'{stem}.pose.txt', T_world_camera)
    return folder


def random_wall_points(num_points: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return points (N, 3) on the three walls, within 3 m of the corner."""
    points = CORNER - rng.uniform(0.05, 2.2, (num_points, 3))
    axis = rng.integers(0, 3, num_points)
    points[np.arange(num_points), axis] = CORNER[axis]
    return points


def random_descriptors(num: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return descriptors (N, 32) about 128 bits from each other."""
    return rng.integers(0, 256, (num, 32), dtype=np.uint8)


class World:
    """Points with descriptors that any camera recognises.

    Args:
        points: (N, 3) in the world.
        rng: source of descriptors and noise.
    """

    def __init__(self, points: NDArray[np.float64], rng: np.random.Generator) -> None:
        self.points = points
        self.descriptors = random_descriptors(len(points), rng)
        self._rng = rng

    def features(
        self,
        T_world_camera: Pose,
        *,
        with_landmarks: bool = True,
        noise_px: float = 0.3,
        noise_m: float = 0.01,
        camera: PinholeCamera = CAMERA,
    ) -> Features:
        """Return the features a camera sees of the world, in random order."""
        in_camera = se3.transform_points(se3.inverse(T_world_camera), self.points)
        pixels = camera.project(in_camera)
        inside = ((pixels >= 0) & (pixels < (camera.width, camera.height))).all(axis=1)
        seen = self._rng.permutation(np.flatnonzero(inside))
        N = len(seen)
        pixels = (pixels[seen] + self._rng.normal(0, noise_px, (N, 2))).astype(np.float32)
        normalised = camera.normalise(pixels)
        z = in_camera[seen, 2] + self._rng.normal(0, noise_m, N)
        landmarks = np.column_stack([normalised * z[:, None], z])
        return Features(
            points_px=pixels,
            points_normalised=normalised,
            sizes_px=np.full(N, 31.0, dtype=np.float32),
            angles_deg=np.zeros(N, dtype=np.float32),
            responses=np.ones(N, dtype=np.float32),
            descriptors=self.descriptors[seen],
            landmarks_m=landmarks if with_landmarks else np.full((N, 3), np.nan),
        )

    def view(
        self,
        keyframe_id: int,
        T_world_camera: Pose,
        *,
        with_landmarks: bool = True,
        walls: NDArray[np.float64] | None = None,
        noise_px: float = 0.3,
        noise_m: float = 0.01,
    ) -> View:
        """Return the view of a camera; ``walls`` are what its depth image shows, if it has one."""
        features = self.features(
            T_world_camera, with_landmarks=with_landmarks, noise_px=noise_px, noise_m=noise_m
        )
        depth = None
        if walls is not None:
            depth = DepthImage(render_depth(DEPTH_CAMERA, T_world_camera, walls), DEPTH_CAMERA)
        return View(keyframe_id, 1, START_NS + keyframe_id * 10**9, CAMERA, features, depth)


def select_features(features: Features, rows: NDArray[np.integer]) -> Features:
    """Return some of the features."""
    names = ('points_px', 'points_normalised', 'sizes_px', 'angles_deg', 'responses')
    names += ('descriptors', 'landmarks_m')
    return replace(features, **{name: getattr(features, name)[rows] for name in names})


def _cast(
    camera: PinholeCamera, T_world_camera: Pose, walls: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    plane = camera.normalise(np.column_stack([columns.ravel(), rows.ravel()]))
    rays = np.column_stack([plane, np.ones(len(plane))]) @ T_world_camera[:3, :3].T
    origin = T_world_camera[:3, 3]
    with np.errstate(divide='ignore'):
        z = (walls[:, 3] - walls[:, :3] @ origin) / (rays @ walls[:, :3].T)  # (HW, walls)
    z = np.where(z > 0, z, np.inf)
    wall = z.argmin(axis=1)
    depth = z[np.arange(len(z)), wall]
    depth[~np.isfinite(depth)] = 0.0
    points = origin + rays * depth[:, None]
    shape = camera.height, camera.width
    return depth.reshape(shape), wall.reshape(shape), points.reshape(*shape, 3)


@lru_cache(maxsize=3)
def _texture(number: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(number)
    coarse = np.kron(rng.integers(40, 216, (64, 64)), np.ones((16, 16)))
    fine = np.kron(rng.integers(-40, 40, (128, 128)), np.ones((8, 8)))
    return cv2.GaussianBlur((coarse + fine).astype(np.uint8), (0, 0), 1.0)
