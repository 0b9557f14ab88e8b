"""The search for a loop as it was at some moment, and what it made of one keyframe."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config, RetrievalConfig
from s3e_gnn_ros.loop_closure.archive import Archive
from s3e_gnn_ros.loop_closure.database import KeyframeDatabase
from s3e_gnn_ros.loop_closure.search import Search, eligible, no_entries, search
from s3e_gnn_ros.retrieval.factory import make_retrieval
from s3e_gnn_ros.retrieval.interface import Scores
from s3e_gnn_ros.types import Candidate, KeyframeKey, Status

_NUM_BEFORE = 20
"""Keyframes before the query that its comparison may look back to; the methods use fewer."""


class Stage(Enum):
    """What ended the search for a loop between two keyframes."""

    ORDER = 'order'
    FEATURES = 'features'
    EXCLUSION = 'exclusion'
    SIMILARITY = 'similarity'
    RANK = 'rank'
    NSS = 'nss'
    SCORE = 'score'
    CONSISTENCY = 'consistency'
    MATCHES = 'matches'
    MAX_CLOSURES = 'max_closures'
    VERIFICATION = 'verification'
    LOOP = 'loop'


@dataclass(frozen=True)
class Ending:
    """Where the way of a pair ended.

    Attributes:
        stage: what ended it; LOOP: nothing did.
        status: in the words of the detector; None where it has none for that, as its status is
            that of the best candidate.
    """

    stage: Stage
    status: Status | None


@dataclass(frozen=True)
class Exclusion:
    """What lies between query and match, where both are of one session.

    Attributes:
        is_same_session: whether they are; of other sessions nothing is excluded.
        gap: the difference of their ids.
        elapsed_s: the time between them [s].
        is_too_near: fewer keyframes lie between than have to.
        is_too_recent: less time lies between than has to.
    """

    is_same_session: bool
    gap: int
    elapsed_s: float
    is_too_near: bool
    is_too_recent: bool

    @property
    def is_excluded(self) -> bool:
        """Whether the match is no candidate."""
        return self.is_too_near or self.is_too_recent


@dataclass(frozen=True, eq=False)
class SearchStory:
    """What the search for the query makes of the match, among the keyframes of some moment.

    Attributes:
        num_keyframes: how many there are.
        num_eligible: how many of them may match.
        similarity: of the match, in [0, 1].
        raw: the same as the method computes it, not calibrated.
        rank: place of the match among the eligible, from 1; None where it is excluded.
        exclusion: whether it is, and why.
        predecessor: the keyframe before the query in its session, if there is one.
        nss: similarity of the query to that; 1 without.
        previous: candidates of the query before; None where nothing is asked of them.
        distance: entries between the nearest two candidates of this query and the one before;
            None where there are no two, or none is asked for.
        candidates: of the query, best first.
        status: what the search for the query came to; LOOP_DETECTED: worth verifying.
        ending: what became of the match in it; None: it is worth verifying.
    """

    num_keyframes: int
    num_eligible: int
    similarity: float
    raw: float
    rank: int | None
    exclusion: Exclusion
    predecessor: KeyframeKey | None
    nss: float
    previous: tuple[KeyframeKey, ...] | None
    distance: int | None
    candidates: tuple[Candidate, ...]
    status: Status
    ending: Ending | None


class Moment:
    """The first keyframes of an archive, made searchable.

    Args:
        archive: all keyframes.
        num: how many of them there are at this moment.
        config: method and limits.

    Raises:
        InputError: the keyframes do not fit the method.
    """

    def __init__(self, archive: Archive, num: int, config: Config) -> None:
        self._archive = archive
        self._num = num
        self._config = config
        self._database = KeyframeDatabase(
            make_retrieval(config.retrieval), config.map.cached_views
        )
        first = archive.first(num)
        self._database.restore(first.rows, first.loops, first.views)

    def story(self, row: int, entry: int) -> SearchStory:
        """Tell what the search for a row makes of an entry, which is the row of the match."""
        previous = self._previous(row)
        found, scores = self._search(row, previous)
        before = self._archive.rows_before(row, 1)
        keys = self._archive.rows.keys
        rank = found.rank(entry) if found.is_eligible[entry] else None
        return SearchStory(
            num_keyframes=self._num - (row < self._num),
            num_eligible=int(found.is_eligible.sum()),
            similarity=float(scores.similarities[entry]),
            raw=float(scores.raw[entry]),
            rank=rank,
            exclusion=self._exclusion(row, entry),
            predecessor=keys[before[0]] if before else None,
            nss=found.normaliser,
            previous=None if previous is None else tuple(keys[other] for other in previous),
            distance=_distance(found.entries, previous),
            candidates=tuple(
                Candidate(keys[other].keyframe_id, keys[other].session, float(found.score[other]))
                for other in found.entries.tolist()
            ),
            status=found.status,
            ending=_ending(found, entry, rank, self._config.retrieval),
        )

    def rivals(self, row: int, entry: int) -> list[int]:
        """Return the candidates that are worth verifying, best first, if an entry is of them."""
        found, _ = self._search(row, self._previous(row))
        entries = found.entries
        entries = entries[found.score[entries] >= self._config.retrieval.min_similarity]
        is_worth_it = found.status == Status.LOOP_DETECTED and entry in entries
        return [int(each) for each in entries] if is_worth_it else []

    def _search(self, row: int, previous: NDArray[np.intp] | None) -> tuple[Search, Scores]:
        archive, settings = self._archive, self._config.retrieval
        before, embeddings = archive.rows_before(row, _NUM_BEFORE), archive.rows.embeddings
        scores = self._database.retrieval.compare(
            archive.keyframe(row), None if embeddings is None else embeddings[before]
        )
        view, origins = archive.view(row), self._database.origins
        found = search(
            view,
            scores.similarities,
            eligible(view, origins, settings, either_way=self._has(row)),
            before[-1] if before else None,
            no_entries() if previous is None else previous,
            self._config,
        )
        return found, scores

    def _previous(self, row: int) -> NDArray[np.intp] | None:
        """Return the candidates of the query before; None where nothing is asked of them."""
        if self._config.retrieval.consistency_window == 0:
            return None
        before = self._archive.rows_before(row, 1)
        if not before:
            return no_entries()
        # Then it knew what was older than itself; now it knows all.
        moment = self if self._has(row) else Moment(self._archive, before[0], self._config)
        return moment._search(before[0], None)[0].entries

    def _has(self, row: int) -> bool:
        return row < self._num

    def _exclusion(self, row: int, entry: int) -> Exclusion:
        rows, limits = self._archive.rows, self._config.retrieval
        gap = rows.keys[row].keyframe_id - rows.keys[entry].keyframe_id
        elapsed_ns = int(rows.stamps_ns[row]) - int(rows.stamps_ns[entry])
        if self._has(row):
            gap, elapsed_ns = abs(gap), abs(elapsed_ns)
        is_same = rows.keys[row].session == rows.keys[entry].session
        return Exclusion(
            is_same_session=is_same,
            gap=gap,
            elapsed_s=elapsed_ns / 1e9,
            is_too_near=is_same and gap <= limits.min_keyframe_gap,
            is_too_recent=is_same and elapsed_ns < limits.min_time_gap_s * 1e9,
        )


def _ending(found: Search, entry: int, rank: int | None, config: RetrievalConfig) -> Ending | None:
    """Return what ended the way of an entry before its verification, in the detector's order."""
    if found.status == Status.TOO_FEW_FEATURES:
        return Ending(Stage.FEATURES, found.status)
    if rank is None:
        return Ending(Stage.EXCLUSION, Status.CLOSE_MATCHES_ONLY)
    if found.score[entry] <= 0:
        return Ending(Stage.SIMILARITY, Status.NO_DB_RESULTS)
    if rank > config.max_candidates:
        return Ending(Stage.RANK, None)
    if found.status == Status.LOW_NSS_FACTOR:
        return Ending(Stage.NSS, found.status)
    if float(found.score[entry]) < config.min_similarity:
        return Ending(Stage.SCORE, Status.LOW_SCORES)
    if found.status == Status.NO_TEMPORAL_CONSISTENCY:
        return Ending(Stage.CONSISTENCY, found.status)
    return None


def _distance(entries: NDArray[np.intp], previous: NDArray[np.intp] | None) -> int | None:
    if previous is None or not len(previous) or not len(entries):
        return None
    return int(np.abs(entries[:, None] - previous[None, :]).min())
