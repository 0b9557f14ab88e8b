"""From similarities to candidates: what may match, what matches best, does it mean much?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config, RetrievalConfig
from s3e_gnn_ros.loop_closure.origins import Origins
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.types import Status


@dataclass(frozen=True, eq=False)
class Search:
    """What retrieval came to for one keyframe, before any verification; N entries.

    Attributes:
        status: LOOP_DETECTED means: worth verifying.
        score: (N,) float32 similarity of those that may match; 0 of the others.
        is_eligible: (N,) those that may match.
        entries: (n,) the candidates, best first.
        normaliser: similarity to the predecessor: what a certain match scores (DLoopDetector's
            nss); 1 without a predecessor.
    """

    status: Status
    score: NDArray[np.float32]
    is_eligible: NDArray[np.bool_]
    entries: NDArray[np.intp]
    normaliser: float

    def rank(self, entry: int) -> int:
        """Return the place of an entry among all by score, from 1."""
        better = self.score > self.score[entry]
        better[:entry] |= self.score[:entry] == self.score[entry]
        return 1 + int(better.sum())


def eligible(
    view: View, origins: Origins, config: RetrievalConfig, *, either_way: bool = False
) -> NDArray[np.bool_]:
    """Return the mask (N,) of the keyframes old enough to close a loop with.

    All of other sessions are.

    Args:
        view: of the query.
        origins: of the keyframes.
        config: how many keyframes and how much time have to lie between.
        either_way: younger keyframes of the same session may match likewise.
    """
    gap = view.keyframe_id - origins.keyframe_ids
    elapsed_ns = view.stamp_ns - origins.stamps_ns
    if either_way:
        gap, elapsed_ns = np.abs(gap), np.abs(elapsed_ns)
    is_old = (gap > config.min_keyframe_gap) & (elapsed_ns >= config.min_time_gap_s * 1e9)
    return np.asarray(origins.is_alive & ((origins.sessions != view.session) | is_old))


def search(
    view: View,
    similarities: NDArray[np.float32],
    is_eligible: NDArray[np.bool_],
    predecessor: int | None,
    previous: NDArray[np.intp],
    config: Config,
) -> Search:
    """Choose candidates.

    Args:
        view: of the query.
        similarities: (N,) to every entry; 0 of removed ones.
        is_eligible: (N,) those that may match.
        predecessor: entry of the keyframe before the query in its session, if there is one.
        previous: (n,) candidates of the query before it in its session.
        config: limits.
    """
    score = np.where(is_eligible, similarities, np.float32(0.0))
    entries = np.argsort(-score, kind='stable')[: config.retrieval.max_candidates]
    entries = entries[score[entries] > 0]
    normaliser = 1.0 if predecessor is None else float(similarities[predecessor])
    if len(view.features) < config.verification.min_matches:
        status, entries = Status.TOO_FEW_FEATURES, no_entries()
    elif not is_eligible.any():
        status = Status.CLOSE_MATCHES_ONLY
    elif len(entries) == 0:
        status = Status.NO_DB_RESULTS
    elif normaliser < config.retrieval.min_nss_factor:
        status = Status.LOW_NSS_FACTOR
    elif float(score[entries[0]]) < config.retrieval.min_similarity:
        status = Status.LOW_SCORES
    elif not is_consistent(entries, previous, config.retrieval.consistency_window):
        status = Status.NO_TEMPORAL_CONSISTENCY
    else:
        status = Status.LOOP_DETECTED
    return Search(status, score, is_eligible, entries, normaliser)


def is_consistent(entries: NDArray[np.intp], previous: NDArray[np.intp], window: int) -> bool:
    """Whether the previous query had a candidate near one of these; always with window 0."""
    if window == 0:
        return True
    return bool((np.abs(entries[:, None] - previous[None, :]) <= window).any())


def no_entries() -> NDArray[np.intp]:
    """Return an array (0,) of entries."""
    return np.zeros(0, dtype=np.intp)
