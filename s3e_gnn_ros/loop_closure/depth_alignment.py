"""Alignment and mutual consistency of two depth images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import small_gicp
from numpy.typing import NDArray

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.view import DepthImage

_VOXEL_M = 0.04
_MIN_POINTS = 200
# Neighbouring points share one surface and one bias of the sensor: that many count as one.
_POINTS_PER_MEASUREMENT = 30.0
_RESIDUAL_FLOOR_M = 0.005


@dataclass(frozen=True, eq=False)
class DepthCloud:
    """The points of one depth image, ready to be aligned.

    Attributes:
        points: voxel-sampled cloud with normals and covariances.
        tree: its search tree.
    """

    points: small_gicp.PointCloud
    tree: small_gicp.KdTree


@dataclass(frozen=True)
class DepthAgreement:
    """How two depth images relate under a pose.

    Attributes:
        overlap: share of the query's valid depth pixels that land in the match's image on a
            pixel with depth.
        agreement: share of those that lie on the match's surface, occluded ones not counted.
    """

    overlap: float
    agreement: float


def make_cloud(depth: DepthImage, min_depth_m: float, max_depth_m: float) -> DepthCloud | None:
    """Turn a depth image into a cloud; None when too little of it is valid."""
    points = back_project(depth, 1, min_depth_m, max_depth_m)
    if len(points) < _MIN_POINTS:
        return None
    cloud, tree = small_gicp.preprocess_points(
        points, downsampling_resolution=_VOXEL_M, num_neighbors=12
    )
    return DepthCloud(cloud, tree) if cloud.size() >= _MIN_POINTS else None


def align(
    match: DepthCloud, query: DepthCloud, T_match_query: Pose, max_distance_m: float
) -> tuple[Pose, NDArray[np.float64]] | None:
    """Align two clouds by generalised ICP (Segal et al., RSS 2009).

    Args:
        match: cloud in the match's optical frame.
        query: cloud in the query's optical frame.
        T_match_query: initial pose (4, 4).
        max_distance_m: points further apart do not correspond.

    Returns:
        The aligned T_match_query (4, 4) and its information (6, 6), rotation first, of a
        perturbation on the right; None when it does not converge.
    """
    result = small_gicp.align(
        match.points,
        query.points,
        match.tree,
        T_match_query,
        registration_type='GICP',
        max_correspondence_distance=max_distance_m,
        max_iterations=30,
    )
    if result.num_inliers < _MIN_POINTS or not np.isfinite(result.T_target_source).all():
        return None
    T_aligned = np.asarray(result.T_target_source)
    return T_aligned, _plane_information(match, query, T_aligned, max_distance_m)


def _plane_information(
    match: DepthCloud, query: DepthCloud, T_match_query: Pose, max_distance_m: float
) -> NDArray[np.float64]:
    """Return what the distances of points to the match's surfaces say about the pose.

    GICP's own Hessian takes each point for a disc of finite radius, and so claims to know how far
    two walls are shifted along each other. A point on a plane says nothing about that.

    Returns:
        Information (6, 6), rotation first, of a perturbation on the right.
    """
    points = query.points.points()[:, :3]
    moved = se3.transform_points(T_match_query, points)
    index, squared_m2 = _nearest(match, moved)
    near = squared_m2 < max_distance_m**2
    normals = match.points.normals()[index[near], :3]
    offsets = moved[near] - match.points.points()[index[near], :3]
    residuals_m = (normals * offsets).sum(axis=1)
    in_query = normals @ T_match_query[:3, :3]  # the normals, in the query's frame
    jacobian = np.hstack([np.cross(points[near], in_query), in_query])  # (N, 6)
    variance = max(float((residuals_m**2).mean()), _RESIDUAL_FLOOR_M**2)
    return np.asarray(jacobian.T @ jacobian / (variance * _POINTS_PER_MEASUREMENT))


def _nearest(
    cloud: DepthCloud, points: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return index and squared distance [m^2] (N,) of the cloud's point nearest to each (N, 3)."""
    index, squared_m2 = cloud.tree.batch_nearest_neighbor_search(points)
    return np.asarray(index, dtype=np.intp), np.asarray(squared_m2, dtype=np.float64)


def fuse(
    T_a: Pose, information_a: NDArray[np.float64], T_b: Pose, information_b: NDArray[np.float64]
) -> tuple[Pose, NDArray[np.float64]]:
    """Fuse two estimates of one pose, to first order around the first.

    Directions that one cannot see (a flat wall, for depth) are taken from the other.

    Args:
        T_a: pose (4, 4) with information (6, 6), rotation first, perturbed on the right.
        information_a: of ``T_a``.
        T_b: the other estimate.
        information_b: of ``T_b``.

    Returns:
        The fused pose and information.
    """
    information = information_a + information_b
    step = np.linalg.solve(information, information_b @ se3.logmap(se3.inverse(T_a) @ T_b))
    return T_a @ se3.expmap(step), information


def depth_agreement(match: DepthImage, query: DepthImage, T_match_query: Pose) -> DepthAgreement:
    """Check that what one camera measured does not contradict the other.

    A point of the query in front of the surface that the match measured along the same ray lies
    in space the match saw to be empty. One behind it is merely occluded.
    """
    points = back_project(query, 2, 0.0, np.inf)
    moved = se3.transform_points(T_match_query, points)
    moved = moved[moved[:, 2] > 0.1]
    moved, pixels = _seen(match, moved)
    measured = match.depth_m[pixels[:, 1], pixels[:, 0]].astype(np.float64)
    known = measured > 0
    z, measured = moved[known, 2], measured[known]
    tolerance = np.maximum(0.05, 0.025 * measured)
    agrees = int((np.abs(z - measured) <= tolerance).sum())
    contradicts = int((z < measured - tolerance).sum())
    return DepthAgreement(
        overlap=len(z) / max(len(points), 1), agreement=agrees / max(agrees + contradicts, 1)
    )


def _seen(
    image: DepthImage, points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the points (N, 3) in front of a camera that it sees, and their pixels (N, 2)."""
    camera = image.camera
    exact = camera.project(points)
    inside = ((exact >= -0.5) & (exact < (camera.width - 0.5, camera.height - 0.5))).all(axis=1)
    points, exact = points[inside], exact[inside]
    if camera.is_distorted:  # its polynomial folds points far outside the view back into it
        error = camera.normalise(exact) - points[:, :2] / points[:, 2:]
        is_seen = (np.abs(error) < (1.0 / camera.fx, 1.0 / camera.fy)).all(axis=1)
        points, exact = points[is_seen], exact[is_seen]
    pixels = np.clip(np.round(exact), 0, (camera.width - 1, camera.height - 1))
    return points, pixels.astype(np.int64)


def back_project(
    depth: DepthImage, stride_px: int, min_depth_m: float, max_depth_m: float
) -> NDArray[np.float64]:
    """Return the points (N, 3) of every ``stride_px``-th valid pixel, in the optical frame."""
    rays = _rays(depth.camera, stride_px)
    z = depth.depth_m[::stride_px, ::stride_px].astype(np.float64)
    valid = (z > max(min_depth_m, 1e-6)) & (z < max_depth_m)
    return np.column_stack([rays[valid] * z[valid][:, None], z[valid]])


@lru_cache(maxsize=8)
def _rays(camera: PinholeCamera, stride_px: int) -> NDArray[np.float64]:
    """Undistorted coordinates (H', W', 2) on the plane z = 1 of every stride-th pixel."""
    columns, rows = np.meshgrid(
        np.arange(0, camera.width, stride_px), np.arange(0, camera.height, stride_px)
    )
    grid = np.column_stack([columns.ravel(), rows.ravel()]).astype(np.float64)
    return camera.normalise(grid).reshape(*columns.shape, 2)
