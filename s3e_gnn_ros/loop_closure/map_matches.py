"""Matches of one image with landmarks of several keyframes, all in the map's frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.pnp import Observations, refine_pose, solve_pnp_ransac
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.view import View

_MIN_SEED_MATCHES = 8
_MIN_SEED_INLIERS = 6
_FIRST_LOOK = 2.0  # a seed fits one keyframe's matches: others are first sought twice as far off


@dataclass(frozen=True, eq=False)
class Refined:
    """A pose of the query, fitted to all matches that agree with it.

    Attributes:
        T_map_query: (4, 4).
        information: (6, 6) rotation first, of a perturbation on the right.
    """

    T_map_query: Pose
    information: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapMatches:
    """Features of the query and the landmarks they may be; most of them are wrong.

    Attributes:
        query: the image.
        observations: M landmarks in the map, and where the query sees them.
        feature: (M,) feature of the query.
        source: (M,) which of the keyframes has the landmark.
    """

    query: View
    observations: Observations
    feature: NDArray[np.intp]
    source: NDArray[np.intp]

    def inliers(self, T_map_query: Pose, threshold_px: float) -> NDArray[np.bool_]:
        """Return the mask (M,) of the matches that a pose (4, 4) of the query explains."""
        error = np.linalg.norm(self.observations.residuals(se3.inverse(T_map_query)), axis=1)
        return np.asarray(error < threshold_px / self.query.camera.fx)

    def seed(self, source: int, threshold_px: float, iterations: int) -> Pose | None:
        """Return T_map_query (4, 4) by the matches with one keyframe alone, however few."""
        rows = self.source == source
        if rows.sum() < _MIN_SEED_MATCHES:
            return None
        threshold = threshold_px / self.query.camera.fx
        found = solve_pnp_ransac(self.observations.select(rows), threshold, iterations)
        if found is None or found[1].sum() < _MIN_SEED_INLIERS:
            return None
        return se3.inverse(found[0])

    def refine(self, T_map_query: Pose, threshold_px: float) -> Refined | None:
        """Fit a pose to the matches near it, and again to those near the result."""
        refined = None
        for radius_px in (_FIRST_LOOK * threshold_px, threshold_px):
            near = self.inliers(T_map_query, radius_px)
            if near.sum() < _MIN_SEED_INLIERS:
                return None
            refined = Refined(*refine_pose(T_map_query, None, self.observations.select(near)))
            T_map_query = refined.T_map_query
        return refined


def pool_matches(query: View, found: Sequence[tuple[View, Pose, NDArray[np.intp]]]) -> MapMatches:
    """Bring the landmarks of several keyframes into the map.

    Args:
        query: the image.
        found: of each keyframe its view, its pose T_map_camera (4, 4) and the matches (P, 2) of
            the query's features with its own.
    """
    landmarks, features, sources = [np.zeros((0, 3))], [], []
    for number, (view, T_map_camera, matches) in enumerate(found):
        known = matches[view.features.has_landmark[matches[:, 1]]]
        landmarks.append(
            se3.transform_points(T_map_camera, view.features.landmarks_m[known[:, 1]])
        )
        features.append(known[:, 0])
        sources.append(np.full(len(known), number))
    feature = np.concatenate([np.zeros(0, dtype=np.intp), *features])
    return MapMatches(
        query=query,
        observations=Observations(
            landmarks_m=np.concatenate(landmarks),
            points=query.features.points_normalised[feature],
            sigma=1.0 / query.camera.fx,
        ),
        feature=feature,
        source=np.concatenate([np.zeros(0, dtype=np.intp), *sources]),
    )


def spanned_area(view: View, features: NDArray[np.intp]) -> float:
    """Return the share of the image that some features span."""
    if len(features) < 3:
        return 0.0
    hull = cv2.convexHull(view.features.points_px[features])
    return float(cv2.contourArea(hull) / (view.camera.width * view.camera.height))
