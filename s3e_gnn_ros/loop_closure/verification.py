"""Geometric verification: do two keyframes see the same place, and from where?"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import FeatureConfig, VerificationConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.pnp import Observations, refine_pose, solve_pnp_ransac
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.clouds import CloudCache
from s3e_gnn_ros.loop_closure.depth_alignment import align, depth_agreement, fuse
from s3e_gnn_ros.loop_closure.matching import Matches, match_views
from s3e_gnn_ros.loop_closure.measurements import Direction, Measurements
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.types import Status


def _no_matches() -> NDArray[np.intp]:
    return np.zeros((0, 2), dtype=np.intp)


def _no_inliers() -> NDArray[np.bool_]:
    return np.zeros(0, dtype=bool)


@dataclass(frozen=True, eq=False)
class Verification:
    """Outcome of one verification.

    Attributes:
        status: LOOP_DETECTED, or the first test that failed.
        T_match_query: pose (4, 4) of the query's optical frame in the match's; None if rejected.
        covariance: (6, 6), rotation first, perturbation on the right; None if rejected.
        matches: (P, 2) indices of matched features of query and match.
        is_inlier: (P,) mask of the matches that agree with the pose.
        measured: what each test found, as far as it came.
    """

    status: Status
    T_match_query: Pose | None = None
    covariance: NDArray[np.float64] | None = None
    matches: NDArray[np.intp] = field(default_factory=_no_matches)
    is_inlier: NDArray[np.bool_] = field(default_factory=_no_inliers)
    measured: Measurements = field(default_factory=Measurements)

    @property
    def num_inliers(self) -> int:
        """Number of matches that agree with the pose."""
        return int(self.is_inlier.sum())

    @property
    def inlier_ratio(self) -> float:
        """Inliers over the matches tried."""
        return self.num_inliers / max(len(self.matches), 1)


class _RejectedError(Exception):
    """Ends a verification; carries the outcome. Never leaves this module."""

    def __init__(self, verification: Verification) -> None:
        super().__init__(verification.status.name)
        self.verification = verification


class Verifier:
    """Verifies pairs of keyframes.

    Args:
        config: thresholds.
        features: the range in which depth is usable.
    """

    def __init__(self, config: VerificationConfig, features: FeatureConfig) -> None:
        self._config = config
        self._clouds = CloudCache(features.min_depth_m, features.max_depth_m)

    def match(self, query: View, match: View) -> Matches:
        """Match the features of two keyframes; the cheap part of :meth:`verify`."""
        return match_views(query, match, self._config)

    def verify(self, query: View, match: View, found: Matches | None = None) -> Verification:
        """Estimate T_match_query and test it; no limit on the difference of viewing directions.

        Steps: mutual descriptor matches; PnP-RANSAC with the match's landmarks seen by the query
        and, where the query has landmarks too, the other way round; both must agree; a joint
        refinement on all inliers; alignment of the two depth images and a check that neither
        contradicts the other; the covariance from what supported the pose.

        Args:
            query: the newer keyframe.
            match: the older one.
            found: what :meth:`match` gave for the two; None to match them here.
        """
        matches, measured = _no_matches(), Measurements()
        try:
            found = self.match(query, match) if found is None else found
            matches = self._enough(found, measured)
            T, is_inlier = self._solve(query, match, matches, measured)
            T, information = self._refine(query, match, matches[is_inlier], T)
            T, covariance = self._settle(query, match, T, information, measured)
        except _RejectedError as rejected:
            outcome = rejected.verification
            # Whatever test failed, and in whichever direction: those of query and match.
            matches = matches if len(matches) else outcome.matches
            return replace(outcome, matches=matches, measured=measured)
        except cv2.error:  # a degenerate sample; the keyframe must not be lost for it
            status = Status.NO_GEOMETRICAL_CONSISTENCY
            return Verification(status, matches=matches, measured=measured)
        except np.linalg.LinAlgError:  # the information has no inverse: a direction is unknown
            return Verification(Status.UNCERTAIN_POSE, matches=matches, measured=measured)
        return Verification(Status.LOOP_DETECTED, T, covariance, matches, is_inlier, measured)

    def settle(
        self, query: View, match: View, T_match_query: Pose, information: NDArray[np.float64]
    ) -> Verification:
        """Refine a pose that was found otherwise by the two depth images, and test it.

        Args:
            query: the image.
            match: a keyframe.
            T_match_query: pose (4, 4).
            information: (6, 6) rotation first, of a perturbation on the right.

        Returns:
            LOOP_DETECTED with the refined pose and its covariance, or the test that failed; of
            keyframes without depth, whether the pose is certain enough.
        """
        try:
            T, covariance = self._settle(query, match, T_match_query, information, Measurements())
        except _RejectedError as rejected:
            return rejected.verification
        except np.linalg.LinAlgError:
            return Verification(Status.UNCERTAIN_POSE)
        return Verification(Status.LOOP_DETECTED, T, covariance)

    def _settle(
        self,
        query: View,
        match: View,
        T_match_query: Pose,
        information: NDArray[np.float64],
        measured: Measurements,
    ) -> tuple[Pose, NDArray[np.float64]]:
        T = T_match_query
        if self._config.refine_with_depth:
            T, information = self._align_depth(query, match, T, information, measured)
        self._check_depth(query, match, T, measured)
        return T, self._covariance(information, measured)

    def _enough(self, found: Matches, measured: Measurements) -> NDArray[np.intp]:
        """Return the pairs (P, 2) of indices; too few of them end the verification."""
        measured.num_orb, measured.num_learned = found.num_orb, found.num_learned
        if len(found) < self._config.min_matches:
            raise _RejectedError(Verification(Status.TOO_FEW_MATCHES, matches=found.pairs))
        return found.pairs

    def _solve(
        self, query: View, match: View, matches: NDArray[np.intp], measured: Measurements
    ) -> tuple[Pose, NDArray[np.bool_]]:
        """Run PnP both ways; returns T_match_query and the inliers (P,) of either."""
        T_query_match, forward = self._pnp(query, match, matches, measured.forward)
        T_match_query, backward = self._pnp(match, query, matches[:, ::-1], measured.backward)
        is_inlier = forward | backward
        if T_query_match is None:
            if T_match_query is None:
                raise _RejectedError(Verification(Status.NO_LANDMARKS, matches=matches))
            return T_match_query, is_inlier
        if T_match_query is not None:
            apart = T_query_match @ T_match_query
            measured.disagreement_m = se3.translation_m(apart)
            measured.disagreement_deg = se3.rotation_angle_deg(apart)
            if self._disagrees(apart):
                status = Status.FORWARD_BACKWARD_DISAGREE
                raise _RejectedError(Verification(status, matches=matches, is_inlier=is_inlier))
        return se3.inverse(T_query_match), is_inlier

    def _pnp(
        self, seeing: View, seen: View, matches: NDArray[np.intp], measured: Direction
    ) -> tuple[Pose | None, NDArray[np.bool_]]:
        """Locate ``seeing`` by the landmarks of ``seen``; None where too few are known."""
        config = self._config
        usable = seen.features.has_landmark[matches[:, 1]]
        is_inlier = np.zeros(len(matches), dtype=bool)
        measured.num_landmarks = int(usable.sum())
        if usable.sum() < config.min_inliers:
            return None, is_inlier
        observations = self._observations(seeing, seen, matches[usable])
        threshold = config.max_reprojection_error_px / seeing.camera.fx
        solution = solve_pnp_ransac(observations, threshold, config.ransac_iterations)
        if solution is None:
            raise _RejectedError(Verification(Status.NO_GEOMETRICAL_CONSISTENCY, matches=matches))
        is_inlier[np.flatnonzero(usable)[solution[1]]] = True
        measured.is_inlier = is_inlier
        self._check_inliers(seeing, matches, is_inlier, measured)
        return solution[0], is_inlier

    def _check_inliers(
        self,
        seeing: View,
        matches: NDArray[np.intp],
        is_inlier: NDArray[np.bool_],
        measured: Direction,
    ) -> None:
        config = self._config
        status = None
        num_inliers, num_tried = int(is_inlier.sum()), int(measured.num_landmarks or 0)
        if num_inliers < config.min_inliers:
            status = Status.TOO_FEW_INLIERS
        elif num_inliers < config.min_inlier_ratio * num_tried:
            status = Status.LOW_INLIER_RATIO
        else:
            points = seeing.features.points_px[matches[is_inlier, 0]]
            camera = seeing.camera
            area = cv2.contourArea(cv2.convexHull(points)) / (camera.width * camera.height)
            measured.area = float(area)
            if area < config.min_inlier_area:
                status = Status.INLIERS_TOO_CONCENTRATED
        if status is not None:
            raise _RejectedError(Verification(status, matches=matches, is_inlier=is_inlier))

    def _refine(
        self, query: View, match: View, inliers: NDArray[np.intp], T_match_query: Pose
    ) -> tuple[Pose, NDArray[np.float64]]:
        """Refine on the reprojection errors of all inliers in both directions."""
        by_query = self._observations(query, match, inliers[self._known(match, inliers[:, 1])])
        flipped = inliers[:, ::-1]
        by_match = self._observations(match, query, flipped[self._known(query, flipped[:, 1])])
        return refine_pose(
            T_match_query,
            by_match if len(by_match) else None,
            by_query if len(by_query) else None,
        )

    def _observations(self, seeing: View, seen: View, pairs: NDArray[np.intp]) -> Observations:
        """Pairs (P, 2) index into the features of ``seeing`` and of ``seen``."""
        return Observations(
            landmarks_m=seen.features.landmarks_m[pairs[:, 1]],
            points=seeing.features.points_normalised[pairs[:, 0]],
            sigma=1.0 / seeing.camera.fx,
        )

    @staticmethod
    def _known(keyframe: View, indices: NDArray[np.intp]) -> NDArray[np.bool_]:
        return keyframe.features.has_landmark[indices]

    def _align_depth(
        self,
        query: View,
        match: View,
        T_match_query: Pose,
        information: NDArray[np.float64],
        measured: Measurements,
    ) -> tuple[Pose, NDArray[np.float64]]:
        """Refine on the two depth images, where both have enough and they can be aligned."""
        if query.depth is None or match.depth is None:
            return T_match_query, information
        clouds = self._clouds.get(match, match.depth), self._clouds.get(query, query.depth)
        if clouds[0] is None or clouds[1] is None:
            return T_match_query, information
        aligned = align(clouds[0], clouds[1], T_match_query, self._config.max_alignment_m)
        if aligned is None:
            return T_match_query, information
        moved = se3.inverse(T_match_query) @ aligned[0]
        measured.alignment_m = se3.translation_m(moved)
        measured.alignment_deg = se3.rotation_angle_deg(moved)
        if self._disagrees(moved):
            raise _RejectedError(Verification(Status.DEPTH_DISAGREES))
        # Colour and depth are rarely registered to a pixel, an error all landmarks share; the
        # depth images agree among themselves, so the pixels must not outweigh them by number.
        shared = _floor(self._config.min_pnp_sigma_deg, self._config.min_pnp_sigma_m)
        limited = np.asarray(np.linalg.inv(np.linalg.inv(information) + shared), np.float64)
        return fuse(T_match_query, limited, *aligned)

    def _check_depth(
        self, query: View, match: View, T_match_query: Pose, measured: Measurements
    ) -> None:
        """Reject a pose that the depth images contradict."""
        if query.depth is None or match.depth is None:
            return
        T_query_match = se3.inverse(T_match_query)
        measured.depth_forward = depth_agreement(match.depth, query.depth, T_match_query)
        measured.depth_backward = depth_agreement(query.depth, match.depth, T_query_match)
        for found in (measured.depth_forward, measured.depth_backward):
            if (
                found.overlap < self._config.min_depth_overlap
                or found.agreement < self._config.min_depth_agreement
            ):
                raise _RejectedError(Verification(Status.DEPTH_DISAGREES))

    def _disagrees(self, difference: Pose) -> bool:
        config = self._config
        return (
            se3.translation_m(difference) > config.max_disagreement_m
            or se3.rotation_angle_deg(difference) > config.max_disagreement_deg
        )

    def _covariance(
        self, information: NDArray[np.float64], measured: Measurements
    ) -> NDArray[np.float64]:
        """Invert and inflate the information; reject a pose known too poorly to be of use."""
        config = self._config
        floor = _floor(config.min_sigma_deg, config.min_sigma_m)
        covariance = config.covariance_inflation * np.linalg.inv(information) + floor
        variances = np.diag(covariance)
        if not (np.isfinite(covariance).all() and (variances > 0).all()):
            raise _RejectedError(Verification(Status.UNCERTAIN_POSE))
        measured.sigma_deg = float(np.degrees(np.sqrt(variances[:3].max())))
        measured.sigma_m = float(np.sqrt(variances[3:].max()))
        if measured.sigma_deg > config.max_sigma_deg or measured.sigma_m > config.max_sigma_m:
            raise _RejectedError(Verification(Status.UNCERTAIN_POSE))
        return (covariance + covariance.T) / 2


def _floor(sigma_deg: float, sigma_m: float) -> NDArray[np.float64]:
    """Return the covariance (6, 6) of an error that all measurements share."""
    return np.diag([np.radians(sigma_deg) ** 2] * 3 + [sigma_m**2] * 3)
