"""Loop detection: one keyframe in, one query out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.loop_closure.origins import Origins
from s3e_gnn_ros.loop_closure.stopwatch import Stopwatch
from s3e_gnn_ros.loop_closure.verification import Verification, Verifier
from s3e_gnn_ros.loop_closure.view import View, make_view
from s3e_gnn_ros.retrieval.factory import make_retrieval
from s3e_gnn_ros.types import Candidate, Keyframe, LoopClosure, LoopQuery, Status

# How far a candidate came: the status of a query is that of the furthest.
_PROGRESS = (
    Status.TOO_FEW_MATCHES,
    Status.NO_LANDMARKS,
    Status.NO_GEOMETRICAL_CONSISTENCY,
    Status.TOO_FEW_INLIERS,
    Status.LOW_INLIER_RATIO,
    Status.INLIERS_TOO_CONCENTRATED,
    Status.FORWARD_BACKWARD_DISAGREE,
    Status.DEPTH_DISAGREES,
    Status.UNCERTAIN_POSE,
    Status.LOOP_DETECTED,
)


@dataclass(frozen=True, eq=False)
class _Found:
    """What the search for one keyframe came to; ``status`` is that of the furthest candidate.

    ``entries`` are the candidates' in the database, ``matches`` those of ``loops``.
    """

    status: Status
    candidates: tuple[Candidate, ...] = ()
    entries: tuple[int, ...] = ()
    loops: tuple[tuple[Candidate, View, Verification], ...] = ()
    matches: tuple[int, ...] = ()


class LoopDetector:
    """Finds the older keyframe that sees the same place, and from where.

    Args:
        config: retrieval and verification settings.

    Raises:
        InputError: the vocabulary cannot be read.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._retrieval = make_retrieval(config.retrieval)
        self._verifier = Verifier(config.verification, config.features)
        self._views: list[View] = []  # by entry number of the database
        self._origins = Origins()
        self._previous_entries = _no_entries()
        self.similarities: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        """Of the last query to every keyframe before it, in order of addition."""

    def encode(self, keyframe: Keyframe) -> Keyframe:
        """Give a keyframe what the retrieval method compares it by, if that is an embedding."""
        encoding = self._retrieval.encode(keyframe.frame, keyframe.features)
        return dataclasses.replace(keyframe, encoding=encoding)

    def process(self, keyframe: Keyframe) -> LoopQuery:
        """Search for a loop, then remember the keyframe.

        Retrieval -> temporal exclusion -> candidates -> geometric verification, as in the
        paper's Fig. 1, with bag of words or the learned embedding behind ``Retrieval``.
        """
        watch = Stopwatch()
        if keyframe.encoding is None:
            keyframe = self.encode(keyframe)
        view = make_view(keyframe)
        with watch.stage('retrieval'):
            self.similarities = self._retrieval.similarities(keyframe)
            found = self._search(view)
        if found.status == Status.LOOP_DETECTED:
            with watch.stage('verification'):
                found = self._verify(view, found)
        with watch.stage('insertion'):
            entry = self._retrieval.add(keyframe)
            for match in found.matches:
                self._retrieval.join(entry, match)
            self._views.append(view)
            self._origins.add(view)
        return _make_query(view, found, watch.stage_ms)

    def _search(self, view: View) -> _Found:
        """Choose candidates; the status LOOP_DETECTED here means: worth verifying."""
        config = self._config.retrieval
        previous, self._previous_entries = self._previous_entries, _no_entries()
        if len(view.features) < self._config.verification.min_matches:
            return _Found(Status.TOO_FEW_FEATURES)
        eligible = self._eligible(view)
        if not eligible.any():
            return _Found(Status.CLOSE_MATCHES_ONLY)
        score = np.where(eligible, self.similarities, 0.0)
        entries = np.argsort(-score, kind='stable')[: config.max_candidates]
        entries = entries[score[entries] > 0]
        if len(entries) == 0:
            return _Found(Status.NO_DB_RESULTS)
        self._previous_entries = entries
        candidates = tuple(self._candidate(entry, score[entry]) for entry in entries)
        if self._normaliser(view) < config.min_nss_factor:
            status = Status.LOW_NSS_FACTOR
        elif candidates[0].similarity < config.min_similarity:
            status = Status.LOW_SCORES
        elif not self._is_consistent(entries, previous):
            status = Status.NO_TEMPORAL_CONSISTENCY
        else:
            status = Status.LOOP_DETECTED
        return _Found(status, candidates, tuple(entries.tolist()))

    def _eligible(self, view: View) -> NDArray[np.bool_]:
        """Mask (N,) of the keyframes old enough to close a loop with; all of other sessions."""
        config = self._config.retrieval
        origins = self._origins
        is_old = (view.keyframe_id - origins.keyframe_ids > config.min_keyframe_gap) & (
            view.stamp_ns - origins.stamps_ns >= config.min_time_gap_s * 1e9
        )
        return np.asarray((origins.sessions != view.session) | is_old)

    def _normaliser(self, view: View) -> float:
        """Similarity to the predecessor: what a certain match scores (DLoopDetector's nss)."""
        if self._views and self._views[-1].session == view.session:
            return float(self.similarities[-1])
        return 1.0

    def _is_consistent(self, entries: NDArray[np.intp], previous: NDArray[np.intp]) -> bool:
        """Whether the previous query had a candidate near one of these."""
        window = self._config.retrieval.consistency_window
        if window == 0:
            return True
        distance = np.abs(entries[:, None] - previous[None, :])
        return bool((distance <= window).any())

    def _candidate(self, entry: int, similarity: float) -> Candidate:
        view = self._views[entry]
        return Candidate(view.keyframe_id, view.session, float(similarity))

    def _verify(self, query: View, found: _Found) -> _Found:
        """Verify candidates, best first: several closures of one query average their errors."""
        status = _PROGRESS[0]
        loops: list[tuple[Candidate, View, Verification]] = []
        matches: list[int] = []
        for candidate, entry in zip(found.candidates, found.entries, strict=True):
            if (
                candidate.similarity < self._config.retrieval.min_similarity
                or len(loops) == self._config.verification.max_closures
            ):
                break
            match = self._views[entry]
            verification = self._verifier.verify(query, match)
            status = max(status, verification.status, key=_PROGRESS.index)
            if verification.status == Status.LOOP_DETECTED:
                loops.append((candidate, match, verification))
                matches.append(entry)
        return _Found(status, found.candidates, found.entries, tuple(loops), tuple(matches))


def _no_entries() -> NDArray[np.intp]:
    return np.zeros(0, dtype=np.intp)


def _make_query(query: View, found: _Found, stage_ms: dict[str, float]) -> LoopQuery:
    return LoopQuery(
        query_id=query.keyframe_id,
        session=query.session,
        stamp_ns=query.stamp_ns,
        status=found.status,
        candidates=found.candidates,
        closures=tuple(_make_closure(query, *loop) for loop in found.loops),
        stage_ms=stage_ms,
        inliers_px=tuple(_inliers_px(query, match, result) for _, match, result in found.loops),
    )


def _make_closure(
    query: View, candidate: Candidate, match: View, result: Verification
) -> LoopClosure:
    assert result.T_match_query is not None  # a closure is only made of a verified pose
    assert result.covariance is not None
    return LoopClosure(
        query_id=query.keyframe_id,
        match_id=match.keyframe_id,
        query_session=query.session,
        match_session=match.session,
        query_stamp_ns=query.stamp_ns,
        match_stamp_ns=match.stamp_ns,
        T_match_query=result.T_match_query,
        covariance=result.covariance,
        similarity=candidate.similarity,
        num_inliers=result.num_inliers,
        inlier_ratio=result.inlier_ratio,
    )


def _inliers_px(query: View, match: View, result: Verification) -> NDArray[np.float32]:
    pairs = result.matches[result.is_inlier]
    return np.hstack(
        [query.features.points_px[pairs[:, 0]], match.features.points_px[pairs[:, 1]]]
    )
