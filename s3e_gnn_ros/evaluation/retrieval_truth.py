"""The true overlap of keyframes, and what it says about similarities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.overlap_culling import frustum_candidates
from s3e_gnn_ros.data.overlap_views import DepthView
from s3e_gnn_ros.geometry import se3

_MAX_DIFFERENCE_M = 0.05
_MIN_DEPTH_M = 0.1


@dataclass(frozen=True)
class SimilarityError:
    """How far similarities are from the true overlap (the paper's Fig. 9).

    Attributes:
        num_pairs: pairs compared.
        mean_absolute: mean of |similarity - overlap|.
        maximum: its maximum.
        correlation: Pearson's, of similarity and overlap; NaN where either is constant.
    """

    num_pairs: int
    mean_absolute: float
    maximum: float
    correlation: float


def protocol_overlap(views: Sequence[DepthView]) -> NDArray[np.float64]:
    """Return the directed overlap (N, N): the share of i's valid depth pixels that j sees too.

    A pixel is seen when it lands on one whose depth agrees within 5 cm, at any range.
    Differs from the paper, and from :func:`s3e_gnn_ros.data.overlap.overlap`, whose tolerance
    grows with range and which leaves out pixels that land where depth is unknown: this one is
    what published figures on RedKitchen were judged by.
    """
    overlap = np.eye(len(views))
    clouds = [_valid_points(view) for view in views]
    for i, j in frustum_candidates(views, _MAX_DIFFERENCE_M):
        overlap[i, j] = _num_seen(clouds[i], views[j]) / max(len(clouds[i]), 1)
    return overlap


def similarity_error(
    similarity: NDArray[np.floating], overlap: NDArray[np.floating]
) -> SimilarityError:
    """Compare similarities with true overlaps, both (P,); NaN throughout without a pair."""
    if len(similarity) == 0:
        return SimilarityError(0, float('nan'), float('nan'), float('nan'))
    error = np.abs(np.asarray(similarity, np.float64) - overlap)
    varies = len(error) > 1 and np.ptp(similarity) > 0 and np.ptp(overlap) > 0
    correlation = float(np.corrcoef(similarity, overlap)[0, 1]) if varies else float('nan')
    return SimilarityError(len(error), float(error.mean()), float(error.max()), correlation)


def _valid_points(view: DepthView) -> NDArray[np.float64]:
    """Return the points (P, 3) of all pixels with depth, in the world."""
    rows, columns = np.nonzero(view.depth_m > 0)
    rays = view.camera.normalise(np.column_stack([columns, rows]).astype(np.float64))
    depth = view.depth_m[rows, columns, None].astype(np.float64)
    points = np.column_stack([rays, np.ones(len(rays))]) * depth
    return se3.transform_points(view.T_world_camera, points)


def _num_seen(points_world: NDArray[np.float64], view: DepthView) -> int:
    """Count the points (P, 3) that land on a pixel of ``view`` whose depth agrees."""
    points = se3.transform_points(se3.inverse(view.T_world_camera), points_world)
    points = points[points[:, 2] > _MIN_DEPTH_M]
    camera, z = view.camera, points[:, 2]
    columns = np.rint(points[:, 0] / z * camera.fx + camera.cx).astype(np.intp)
    rows = np.rint(points[:, 1] / z * camera.fy + camera.cy).astype(np.intp)
    inside = (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
    there = view.depth_m[rows[inside], columns[inside]]
    return int(((there > 0) & (np.abs(there - z[inside]) < _MAX_DIFFERENCE_M)).sum())
