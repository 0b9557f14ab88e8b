"""The geometrical check of a loop candidate, by any of the ways there are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.dbow.backend import Prepared
from s3e_gnn_ros.dbow.matching import count_epipolar_inliers, match_by_ratio, match_with_flann
from s3e_gnn_ros.dbow.parameters import GeometricalCheck, Parameters
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.verification import Verification, Verifier
from s3e_gnn_ros.loop_closure.view import View, make_view
from s3e_gnn_ros.types import Frame, Keyframe, Status


@dataclass(frozen=True, eq=False)
class Sight:
    """What is kept of an entry to check candidates against: no image.

    Attributes:
        points_px: (N, 2) keypoints.
        descriptors: (N, 32) uint8 of them.
        nodes: (N,) of the direct index, -1 for none; None where it is not used.
        view: for ``GeometricalCheck.POSE``, where the camera is known.
    """

    points_px: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    nodes: NDArray[np.intp] | None = None
    view: View | None = None


class CandidateCheck:
    """Checks whether two entries see the same place.

    Args:
        parameters: the way, and its thresholds.
        config: thresholds of ``GeometricalCheck.POSE``.
    """

    def __init__(self, parameters: Parameters, config: Config) -> None:
        self._parameters = parameters
        self._verifier = Verifier(config.verification, config.features)

    def make_sight(
        self, entry: int, prepared: Prepared, nodes: NDArray[np.intp] | None
    ) -> Sight | None:
        """Keep what the check needs of an entry; None where there is no check.

        Raises:
            InputError: the descriptors came without keypoints.
        """
        way = self._parameters.geom_check
        if way is GeometricalCheck.NONE:
            return None
        features = prepared.features
        if np.isnan(features.points_px).any():
            raise InputError(
                f'{len(features)} descriptors came without keypoints, which the geometrical check '
                f"'{way.value}' needs"
            )
        view = _make_view(entry, prepared) if way is GeometricalCheck.POSE else None
        return Sight(features.points_px, features.descriptors, nodes, view)

    def check(self, query: Sight | None, match: Sight | None) -> Verification:
        """Check a candidate; ``T_match_query`` is known only after ``GeometricalCheck.POSE``.

        ``matches`` index the features of query and match.
        """
        if query is None or match is None:
            return Verification(Status.LOOP_DETECTED)
        if query.view is not None and match.view is not None:
            landmarks = (query.view.features.has_landmark, match.view.features.has_landmark)
            if any(known.any() for known in landmarks):
                return self._verifier.verify(query.view, match.view)
        pairs = self._match(match, query)[:, ::-1]
        try:
            num_inliers = count_epipolar_inliers(
                match.points_px[pairs[:, 1]], query.points_px[pairs[:, 0]], self._parameters
            )
        except cv2.error:  # a degenerate sample
            num_inliers = 0
        is_loop = num_inliers >= self._parameters.min_f_points
        status = Status.LOOP_DETECTED if is_loop else Status.NO_GEOMETRICAL_CONSISTENCY
        return Verification(status, matches=pairs)

    def _match(self, old: Sight, current: Sight) -> NDArray[np.intp]:
        """Return the matches (P, 2) of an old sight and the current one."""
        ratio = self._parameters.max_neighbor_ratio
        if self._parameters.geom_check is GeometricalCheck.FLANN:
            return match_with_flann(old.descriptors, current.descriptors, ratio)
        is_comparable = None
        if old.nodes is not None and current.nodes is not None:
            is_comparable = (old.nodes[:, None] == current.nodes) & (current.nodes >= 0)
        return match_by_ratio(old.descriptors, current.descriptors, ratio, is_comparable)


def _make_view(entry: int, prepared: Prepared) -> View | None:
    given = prepared.given
    if given.camera is None:
        return None
    image = np.zeros((0, 0), np.uint8) if given.image is None else given.image
    frame = Frame(entry, image, given.camera, given.depth_m)
    return make_view(Keyframe(entry, 0, frame, prepared.features, prepared.encoding))
