"""Render colour and depth of a scene by casting rays on the CPU."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.simulation.ray_caster import Hits, RayCaster
from s3e_gnn_ros.simulation.scene import Scene, make_mipmaps

MIP_BIAS = -0.3
MIN_BEND = 2e-3
# Rotated grid: no two samples share a row or a column, so near-axis edges get four steps.
_SUBPIXELS = np.array([[-0.125, -0.375], [0.375, -0.125], [-0.375, 0.125], [0.125, 0.375]])


class RenderedView(NamedTuple):
    """What a perfect camera sees.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        depth_m: (H, W) float32 z-depth of the ray through each pixel's centre, 0 for none.
    """

    image: NDArray[np.uint8]
    depth_m: NDArray[np.float32]


class Renderer:
    """Casts one ray per pixel, and four more where edges of geometry would look jagged.

    Args:
        scene: what to render.
        has_antialiasing: average four rays per pixel along edges (colour only: depth is never
            averaged, because no surface lies between two surfaces).

    Attributes:
        caster: the search tree of the rays, for other questions to the scene.

    Raises:
        DependencyError: embreex or numba is not installed.
    """

    def __init__(self, scene: Scene, *, has_antialiasing: bool = True) -> None:
        """Build the search tree of the rays and the mipmaps."""
        self.caster = RayCaster(scene.triangles_m)
        self._shading = _import_shading()
        mip = make_mipmaps(scene.textures, scene.max_mip_levels)
        self._mip = (mip.texels, mip.offsets, mip.widths, mip.heights)
        gradients = _uv_gradients(scene)
        self._surface = (scene.uvs, gradients, scene.normals, scene.light, scene.texture_ids)
        self._texture_ids = scene.texture_ids
        self._has_antialiasing = has_antialiasing
        self._camera: PinholeCamera | None = None
        self._pixels = np.zeros((0, 2))
        self._rays = np.zeros((0, 3), np.float32)

    def render(self, T_world_camera: Pose, camera: PinholeCamera) -> RenderedView:
        """Render from a pose (4, 4) of the optical frame; also for distorted cameras."""
        shape = (camera.height, camera.width)
        directions = self._rotated(self._camera_rays(camera), T_world_camera)
        hits = self.caster.cast(T_world_camera[:3, 3], directions)
        colours = self._shade(hits, directions, T_world_camera, camera)
        is_hit = hits.triangles >= 0
        depth = np.where(is_hit, hits.distances, np.float32(0)).reshape(shape)
        if self._has_antialiasing:
            textures = np.where(is_hit, self._texture_ids[hits.triangles], -1).reshape(shape)
            edges = np.zeros(shape, np.bool_)
            self._shading.find_edges(depth, textures.astype(np.int32), MIN_BEND, edges)
            self._smooth_edges(colours, np.flatnonzero(edges), T_world_camera, camera)
        image = np.clip(colours + 0.5, 0, 255).astype(np.uint8).reshape(*shape, 3)
        return RenderedView(image, depth)

    def _smooth_edges(
        self,
        colours: NDArray[np.float32],
        edges: NDArray[np.intp],
        T_world_camera: Pose,
        camera: PinholeCamera,
    ) -> None:
        """Replace the colours (H * W, 3) at flat indices by the mean of four rays each."""
        if len(edges) == 0:
            return
        samples = (self._pixels[edges, None] + _SUBPIXELS).reshape(-1, 2)
        directions = self._rotated(_rays(samples, camera), T_world_camera)
        hits = self.caster.cast(T_world_camera[:3, 3], directions)
        shaded = self._shade(hits, directions, T_world_camera, camera)
        colours[edges] = np.clip(shaded, 0, 255).reshape(-1, 4, 3).mean(axis=1)

    def _shade(
        self,
        hits: Hits,
        directions: NDArray[np.float32],
        T_world_camera: Pose,
        camera: PinholeCamera,
    ) -> NDArray[np.float32]:
        scale = np.array([[1 / camera.fx], [1 / camera.fy]])
        steps = (T_world_camera[:3, :2].T * scale).astype(np.float32)
        colours = np.empty((len(directions), 3), np.float32)
        fields = (hits.triangles, hits.distances, hits.u, hits.v)
        self._shading.shade(fields, directions, steps, self._surface, self._mip, MIP_BIAS, colours)
        return colours

    def _rotated(self, rays: NDArray[np.float32], T: Pose) -> NDArray[np.float32]:
        out = np.empty_like(rays)
        self._shading.rotate(rays, np.ascontiguousarray(T[:3, :3], np.float32), out)
        return out

    def _camera_rays(self, camera: PinholeCamera) -> NDArray[np.float32]:
        if camera != self._camera:
            x, y = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
            self._pixels = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)
            self._rays = _rays(self._pixels, camera)
            self._camera = camera
        return self._rays


def _rays(pixels: NDArray[np.float64], camera: PinholeCamera) -> NDArray[np.float32]:
    """Directions (N, 3) with z = 1, so that the distance along them is z-depth."""
    return np.insert(camera.normalise(pixels), 2, 1.0, axis=1).astype(np.float32)


def _uv_gradients(scene: Scene) -> NDArray[np.float32]:
    """Gradients (T, 2, 3) of u and v in space, per metre, within each triangle's plane."""
    corners, uvs = scene.triangles_m.astype(np.float64), scene.uvs.astype(np.float64)
    edges = np.stack([corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]], axis=1)
    duv = np.stack([uvs[:, 1] - uvs[:, 0], uvs[:, 2] - uvs[:, 0]], axis=1)
    gradients = np.linalg.pinv(edges) @ duv  # (T, 3, 2)
    return np.ascontiguousarray(gradients.transpose(0, 2, 1), dtype=np.float32)


def _import_shading() -> Any:
    try:
        from s3e_gnn_ros.simulation import shading
    except ImportError as err:
        raise DependencyError(
            f"rendering needs numba ({err}): pip install 's3e_gnn_ros[simulation]'"
        ) from err
    return shading
