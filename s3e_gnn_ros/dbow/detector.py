"""DLoopDetector in Python, with S3E or bag of words behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.dbow.backend import Prepared
from s3e_gnn_ros.dbow.database import Database, FeaturesLike
from s3e_gnn_ros.dbow.geometry import CandidateCheck, Sight
from s3e_gnn_ros.dbow.islands import TemporalWindow, find_islands
from s3e_gnn_ros.dbow.parameters import GeometricalCheck, Parameters
from s3e_gnn_ros.dbow.results import QueryResults, Result, best
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.verification import Verification
from s3e_gnn_ros.types import Status

NO_ENTRY = -1


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """What became of an image.

    Attributes:
        status: LOOP_DETECTED, or why not: one of DLoopDetector's eight; with
            ``GeometricalCheck.POSE`` also what the verification found wanting.
        query: entry number of the image.
        match: that of the match; where no loop was detected, of the best candidate; -1: none.
        score: of the match in [0, 1]; 0 without.
        verification: of the match, where it came to that; with ``GeometricalCheck.POSE`` and
            depth its ``T_match_query`` (4, 4) is where the camera of the query is.
    """

    status: Status
    query: int
    match: int = NO_ENTRY
    score: float = 0.0
    verification: Verification | None = None

    @property
    def detection(self) -> bool:
        """Whether a loop was detected."""
        return self.status == Status.LOOP_DETECTED


class LoopDetector:
    """Finds loops in a sequence of images: database, islands, temporal and geometrical check.

    Gálvez-López and Tardós, IEEE T-RO 2012, in the order of DLoopDetector's code. What differs:
    with S3E behind, scores are calibrated probabilities, and verified loops become edges of its
    graph. Not for several threads at once.

    Args:
        database: gives vocabulary or networks, but not its entries, as in DLoopDetector.
        parameters: thresholds; DLoopDetector's when None.
    """

    def __init__(self, database: Database, parameters: Parameters | None = None) -> None:
        self.parameters = Parameters() if parameters is None else parameters
        self._database = database.emptied()
        self._database.di_levels = self.parameters.di_levels
        self._start()

    @property
    def database(self) -> Database:
        """The detector's own database: to be read only."""
        return self._database

    def clear(self) -> None:
        """Forget all entries: the next one is 0 again."""
        self._database.clear()
        self._start()

    def detect_loop(self, features: FeaturesLike) -> DetectionResult:
        """Search for a loop, then remember the image.

        Args:
            features: of the next image of the sequence: an :class:`ImageFeatures` with the image,
                or with keypoints and descriptors for 'bow'. Bare descriptors (N, 32) are enough
                without geometrical check.

        Raises:
            InputError: the features lack what the method or the check needs, or the image has
                another size than ``parameters`` say; the image is not remembered then.
        """
        prepared = self._database.prepare(features)
        self._check_size(prepared)
        query = len(self._database)
        sight = self._check.make_sight(query, prepared, self._nodes(prepared))
        comparison = self._database.compare(prepared)
        self._database.add(prepared)
        self._sights.append(sight)
        if query <= self.parameters.dislocal:
            return DetectionResult(Status.CLOSE_MATCHES_ONLY, query)
        is_old = np.arange(query) < query - self.parameters.dislocal
        results = best(comparison, is_old, self.parameters.max_db_results)
        found = self._judge(query, results, float(comparison.scores[-1]))
        if found.detection:
            self._database.join(query, found.match)
        return found

    def _judge(self, query: int, results: QueryResults, ns_factor: float) -> DetectionResult:
        """Decide on the results of a query; ``ns_factor``: its score to the image before it."""
        parameters = self.parameters
        if not results:
            return DetectionResult(Status.NO_DB_RESULTS, query)
        if not parameters.use_nss:
            ns_factor = 1.0
        elif ns_factor < parameters.min_nss_factor:
            return DetectionResult(Status.LOW_NSS_FACTOR, query)
        least = parameters.alpha * ns_factor
        results = QueryResults(result for result in results if result.score >= least)
        if not results:
            return DetectionResult(Status.LOW_SCORES, query)
        islands = find_islands(results, parameters)
        if not islands:
            return _result(Status.NO_GROUPS, query, results[0])
        island = max(islands, key=lambda each: each.score)
        if self._window.push(query, island) <= parameters.k:
            return _result(Status.NO_TEMPORAL_CONSISTENCY, query, island.best)
        verification = self._check.check(self._sights[query], self._sights[island.best.id])
        return _result(verification.status, query, island.best, verification)

    def _start(self) -> None:
        self._sights: list[Sight | None] = []
        self._window = TemporalWindow(self.parameters)
        self._check = CandidateCheck(self.parameters, self._database.config)

    def _nodes(self, prepared: Prepared) -> NDArray[np.intp] | None:
        is_used = self.parameters.geom_check is GeometricalCheck.DI
        if not is_used or prepared.words is None:
            return None
        return self._database.nodes_of(prepared)

    def _check_size(self, prepared: Prepared) -> None:
        expected = self.parameters.image_cols, self.parameters.image_rows
        size = prepared.given.size_px
        if all(expected) and size is not None and size != expected:
            raise InputError(f'image is {size} [px] instead of {expected}')


def _result(
    status: Status, query: int, match: Result, verification: Verification | None = None
) -> DetectionResult:
    return DetectionResult(status, query, match.id, match.score, verification)
