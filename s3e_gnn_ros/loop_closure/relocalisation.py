"""Relocalisation: where in the map was one image taken? The map does not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.consensus import Estimate, agrees, fuse_estimates
from s3e_gnn_ros.loop_closure.database import KeyframeDatabase
from s3e_gnn_ros.loop_closure.hypotheses import Hypothesis, Tried, find_hypotheses
from s3e_gnn_ros.loop_closure.loop_query import PROGRESS, furthest
from s3e_gnn_ros.loop_closure.map_matches import spanned_area
from s3e_gnn_ros.loop_closure.verification import Verifier
from s3e_gnn_ros.loop_closure.view import View, make_view
from s3e_gnn_ros.types import Candidate, Keyframe, KeyframeKey, Status

NO_SESSION = -1
"""Session of an image that belongs to no drive: nothing comes before it."""

_ELSEWHERE = 2.0  # so many times the disagreement of two estimates of one pose
_MAX_SETTLED = 4  # keyframes whose depth is aligned with the image's when none was verified


@dataclass(frozen=True, eq=False)
class Relocalisation:
    """What became of one image.

    Attributes:
        status: LOOP_DETECTED, or why it is not located: the reason of the candidate that came
            furthest; of the pose that explains most of the image TOO_FEW_INLIERS,
            INLIERS_TOO_CONCENTRATED, DEPTH_DISAGREES or UNCERTAIN_POSE; NO_GROUPS when another
            place looks alike.
        T_map_camera: pose (4, 4) of the image's optical frame in the map; None if not located.
        covariance: (6, 6) rotation [rad] first, then translation [m], of a perturbation on the
            right; None if not located.
        similarity: of the keyframe it was located by; of the best candidate if it was not.
        num_inliers: features of the image that speak for the pose, each counted once.
        match: the keyframe with most of them; None if not located.
        match_robot_id: its robot.
        supporters: all keyframes that see these features, most first.
        candidates: what retrieval found, best first.
    """

    status: Status
    T_map_camera: Pose | None = None
    covariance: NDArray[np.float64] | None = None
    similarity: float = 0.0
    num_inliers: int = 0
    match: KeyframeKey | None = None
    match_robot_id: str = ''
    supporters: tuple[KeyframeKey, ...] = ()
    candidates: tuple[Candidate, ...] = ()


class Relocaliser:
    """Locates an image among the keyframes of a database.

    Args:
        config: settings.
        database: the keyframes and their poses.
        verifier: tests pairs.
    """

    def __init__(self, config: Config, database: KeyframeDatabase, verifier: Verifier) -> None:
        self._config = config
        self._database = database
        self._verifier = verifier

    def relocalise(self, keyframe: Keyframe) -> Relocalisation:
        """Locate an image.

        Retrieval -> verification of more candidates than a loop query has -> the pose that
        explains most of the image by the landmarks of all of them -> whether enough does, nothing
        else explains as much, and depth agrees.

        Args:
            keyframe: its features and encoding; session ``NO_SESSION`` when it stands alone.
        """
        if len(keyframe.features) < self._config.verification.min_matches:
            return Relocalisation(Status.TOO_FEW_FEATURES)
        view = make_view(keyframe)
        candidates, tried = self._try(keyframe, view)
        status = PROGRESS[0] if tried else Status.NO_DB_RESULTS
        for each in tried:
            status = furthest(status, each.verification.status)
        best = candidates[0].similarity if candidates else 0.0
        unlocated = Relocalisation(status, similarity=best, candidates=candidates)
        hypotheses = find_hypotheses(view, tried, self._config.verification)
        if not hypotheses:
            return unlocated
        reason = self._reason_against(view, hypotheses)
        if reason is not None:
            return replace(unlocated, status=reason, num_inliers=len(hypotheses[0].features))
        return self._conclude(view, hypotheses[0], tried, unlocated)

    def _try(self, keyframe: Keyframe, view: View) -> tuple[tuple[Candidate, ...], list[Tried]]:
        """Verify the most similar keyframes, best first; those whose place in the map is known."""
        database = self._database
        similarity = database.retrieval.similarities(keyframe)
        score = np.where(database.origins.is_alive, similarity, np.float32(0.0))
        entries = np.argsort(-score, kind='stable')[: self._config.relocalisation.max_candidates]
        candidates, tried = [], []
        for entry in entries[score[entries] > 0].tolist():
            key = database.origins.key(entry)
            candidates.append(Candidate(key.keyframe_id, key.session, float(score[entry])))
            T_map_match = database.poses.pose(key)
            if T_map_match is not None:
                match = database.view_of(entry)
                found = self._verifier.verify(view, match)
                tried.append(Tried(key, float(score[entry]), match, T_map_match, found))
        return tuple(candidates), tried

    def _reason_against(self, view: View, hypotheses: Sequence[Hypothesis]) -> Status | None:
        """Return why the best hypothesis is not believed; None when it is."""
        best, settings = hypotheses[0], self._config.relocalisation
        num = len(best.features)
        if num < settings.min_inliers:
            return Status.TOO_FEW_INLIERS
        if spanned_area(view, best.features) < settings.min_inlier_area:
            return Status.INLIERS_TOO_CONCENTRATED
        for other in hypotheses[1:]:
            # The same features seen elsewhere in the map: two places that look alike.
            if other.num_beside(best) > settings.max_dissent * num:
                return Status.NO_GROUPS
            # The same landmarks, from elsewhere: a flat scene fits from two sides.
            is_elsewhere = not self._agree(best.T_map_query, other.T_map_query, _ELSEWHERE)
            if is_elsewhere and len(other.features) > settings.max_ambiguity * num:
                return Status.UNCERTAIN_POSE
        return None

    def _conclude(
        self, view: View, best: Hypothesis, tried: Sequence[Tried], unlocated: Relocalisation
    ) -> Relocalisation:
        """Make the pose as good as depth allows, and give its covariance."""
        fused = self._settled(view, best, tried)
        if isinstance(fused, Status):
            return replace(unlocated, status=fused, num_inliers=len(best.features))
        variances = np.diag(fused[1])[3:]
        if not variances.max() <= self._config.relocalisation.max_sigma_m**2:
            uncertain = Status.UNCERTAIN_POSE
            return replace(unlocated, status=uncertain, num_inliers=len(best.features))
        match = tried[best.sources[0]]
        return replace(
            unlocated,
            status=Status.LOOP_DETECTED,
            T_map_camera=fused[0],
            covariance=fused[1],
            similarity=match.similarity,
            num_inliers=len(best.features),
            match=match.key,
            match_robot_id=self._database.origins.robot_id(match.key.session),
            supporters=tuple(tried[row].key for row in best.sources),
        )

    def _settled(
        self, view: View, best: Hypothesis, tried: Sequence[Tried]
    ) -> tuple[Pose, NDArray[np.float64]] | Status:
        """Return pose and covariance, or the test that failed with every keyframe."""
        verified = self._agreeing(best, tried)
        if verified and (view.depth is not None or best.information is None):
            return fuse_estimates(verified)
        if best.information is None:
            return Status.NO_GROUPS
        status, estimates = Status.UNCERTAIN_POSE, []
        for row in best.sources[:_MAX_SETTLED]:
            T_map_match = tried[row].T_map_match
            T_match_query = se3.inverse(T_map_match) @ best.T_map_query
            found = self._verifier.settle(view, tried[row].view, T_match_query, best.information)
            status = found.status
            if found.T_match_query is not None and found.covariance is not None:
                estimates.append(Estimate(T_map_match @ found.T_match_query, found.covariance))
        return fuse_estimates(estimates) if estimates else status

    def _agreeing(self, best: Hypothesis, tried: Sequence[Tried]) -> list[Estimate]:
        estimates = [tried[row].estimate for row in best.sources]
        return [
            each
            for each in estimates
            if each is not None and self._agree(best.T_map_query, each.T_map_query)
        ]

    def _agree(self, T_a: Pose, T_b: Pose, factor: float = 1.0) -> bool:
        limits = self._config.verification
        return agrees(
            T_a, T_b, factor * limits.max_disagreement_m, factor * limits.max_disagreement_deg
        )
