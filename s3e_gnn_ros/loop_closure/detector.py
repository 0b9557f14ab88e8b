"""Loop detection: one keyframe in, one query out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.loop_closure.database import KeyframeDatabase, KeyframeRows
from s3e_gnn_ros.loop_closure.loop_query import PROGRESS, Loop, furthest, make_query
from s3e_gnn_ros.loop_closure.matching import Matches, most_matched
from s3e_gnn_ros.loop_closure.search import eligible, no_entries, search
from s3e_gnn_ros.loop_closure.stopwatch import Stopwatch
from s3e_gnn_ros.loop_closure.verification import Verifier
from s3e_gnn_ros.loop_closure.view import View, make_view
from s3e_gnn_ros.loop_closure.view_cache import ViewSource
from s3e_gnn_ros.retrieval.factory import make_retrieval
from s3e_gnn_ros.types import (
    Candidate,
    Encoding,
    Features,
    Frame,
    Keyframe,
    KeyframeKey,
    LoopClosure,
    LoopQuery,
    Status,
)


@dataclass(frozen=True, eq=False)
class _Found:
    """What the search for one keyframe came to; ``status`` is that of the furthest candidate.

    ``entries`` are the candidates' in the database.
    """

    status: Status
    candidates: tuple[Candidate, ...] = ()
    entries: tuple[int, ...] = ()
    loops: tuple[Loop, ...] = ()


class LoopDetector:
    """Finds the older keyframe that sees the same place, and from where.

    Args:
        config: retrieval and verification settings.

    Raises:
        InputError: the vocabulary cannot be read.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.database = KeyframeDatabase(
            make_retrieval(config.retrieval), config.map.cached_views, config.map.max_keyframes
        )
        """The keyframes so far."""
        self.verifier = Verifier(config.verification, config.features)
        """Tests pairs of them."""
        self._previous_entries: dict[int, NDArray[np.intp]] = {}  # by session
        self.similarities: NDArray[np.float32] = np.zeros(0, dtype=np.float32)
        """Of the last query to every keyframe before it, in order of addition; 0 if removed."""

    def set_config(self, config: Config) -> None:
        """Take other limits from the next keyframe on; the retrieval method stays."""
        self._config = config
        self.verifier = Verifier(config.verification, config.features)

    def encode(self, keyframe: Keyframe) -> Keyframe:
        """Give a keyframe what the retrieval method compares it by, if that is an embedding."""
        return dataclasses.replace(
            keyframe, encoding=self.encoding(keyframe.frame, keyframe.features)
        )

    def encoding(self, frame: Frame, features: Features) -> Encoding | None:
        """Return what the retrieval method compares an image by; None for its features alone."""
        return self.database.retrieval.encode(frame, features)

    def process(self, keyframe: Keyframe, view: View | None = None) -> LoopQuery:
        """Search for a loop, then remember the keyframe.

        Retrieval -> temporal exclusion -> candidates -> geometric verification, as in the
        paper's Fig. 1, with bag of words or the learned embedding behind ``Retrieval``. Differs
        from the paper: of the candidates, those with the most feature matches are verified.

        Args:
            keyframe: with features.
            view: of this keyframe, where it was made before: of a stored one, whose image is gone.

        Raises:
            InputError: the keyframe was processed before.
        """
        watch = Stopwatch()
        self.database.origins.check_new([KeyframeKey(keyframe.session, keyframe.keyframe_id)])
        if keyframe.encoding is None:
            keyframe = self.encode(keyframe)
        if view is None:
            view = make_view(keyframe)
        with watch.stage('retrieval'):
            similarities = self.database.retrieval.similarities(keyframe)
            self.similarities = np.where(
                self.database.origins.is_alive, similarities, np.float32(0.0)
            )
            found = self._search(view)
        if found.status == Status.LOOP_DETECTED:
            with watch.stage('verification'):
                found = self._verify(view, found)
        with watch.stage('insertion'):
            self.database.add(keyframe, view, [loop.entry for loop in found.loops])
        return make_query(
            view, keyframe.robot_id, found.status, found.candidates, found.loops, watch.stage_ms
        )

    def restore(
        self, rows: KeyframeRows, closures: Sequence[LoopClosure], views: ViewSource
    ) -> None:
        """Make a stored map searchable; see :meth:`KeyframeDatabase.restore`."""
        self.database.restore(rows, closures, views)

    def remove(self, keys: Sequence[KeyframeKey]) -> int:
        """Forget keyframes: none of them is a candidate again. Returns how many were here."""
        return self.database.remove(keys)

    def _search(self, view: View) -> _Found:
        """Choose candidates; the status LOOP_DETECTED here means: worth verifying."""
        origins = self.database.origins
        found = search(
            view,
            self.similarities,
            eligible(view, origins, self._config.retrieval),
            origins.last_entry(view.session),
            self._previous_entries.get(view.session, no_entries()),
            self._config,
        )
        self._previous_entries[view.session] = found.entries
        entries = found.entries.tolist()
        candidates = tuple(self._candidate(entry, found.score[entry]) for entry in entries)
        return _Found(found.status, candidates, tuple(entries))

    def _candidate(self, entry: int, similarity: float) -> Candidate:
        key = self.database.origins.key(entry)
        return Candidate(key.keyframe_id, key.session, float(similarity))

    def _verify(self, query: View, found: _Found) -> _Found:
        """Verify the best matched: several closures of one query average their errors."""
        status = PROGRESS[0]
        loops: list[Loop] = []
        for candidate, entry, match, matches in self._best_matched(query, found):
            if len(loops) == self._config.verification.max_closures:
                break
            verification = self.verifier.verify(query, match, matches)
            status = furthest(status, verification.status)
            if verification.status == Status.LOOP_DETECTED:
                robot_id = self.database.origins.robot_id(candidate.session)
                loops.append(Loop(entry, candidate, match, robot_id, verification))
        loops.sort(key=lambda loop: -loop.candidate.similarity)
        return dataclasses.replace(found, status=status, loops=tuple(loops))

    def _best_matched(
        self, query: View, found: _Found
    ) -> list[tuple[Candidate, int, View, Matches]]:
        """Return the candidates to verify with their entries, views and matches, most first."""
        rows = []
        for candidate, entry in zip(found.candidates, found.entries, strict=True):
            if candidate.similarity >= self._config.retrieval.min_similarity:
                match = self.database.view_of(entry)
                rows.append((candidate, entry, match, self.verifier.match(query, match)))
        best = most_matched([row[3] for row in rows], self._config.verification.max_candidates)
        return [rows[place] for place in best]
