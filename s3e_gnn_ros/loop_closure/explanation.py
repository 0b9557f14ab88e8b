"""Why two keyframes were joined by a loop, or why not: the whole way again, for one pair."""

from __future__ import annotations

from dataclasses import dataclass

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.loop_closure.archive import Archive
from s3e_gnn_ros.loop_closure.matching import most_matched
from s3e_gnn_ros.loop_closure.moment import Ending, Moment, SearchStory, Stage
from s3e_gnn_ros.loop_closure.verification import Verification, Verifier
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.types import KeyframeKey, Status


@dataclass(frozen=True, eq=False)
class Explanation:
    """The story of a pair of keyframes in the front end.

    Attributes:
        query: the keyframe that asks.
        match: the other.
        query_view: what is kept of the query.
        match_view: what is kept of the match.
        then: the search when the query came, among older keyframes alone; None where the match
            came later.
        now: the search among all others that there are.
        verification: of the pair, whether or not the detector came to it.
        num_more_matched: candidates with more feature matches, which are verified before it.
        num_better_loops: loops of these, where they could take its place.
        config: the limits.
    """

    query: KeyframeKey
    match: KeyframeKey
    query_view: View
    match_view: View
    then: SearchStory | None
    now: SearchStory
    verification: Verification
    num_more_matched: int
    num_better_loops: int
    config: Config

    @property
    def ending(self) -> Ending:
        """What ended the pair's way through the detector when the query came."""
        if self.then is None:
            return Ending(Stage.ORDER, None)
        if self.then.ending is not None:
            return self.then.ending
        if self.num_more_matched >= self.config.verification.max_candidates:
            return Ending(Stage.MATCHES, None)
        if self.num_better_loops >= self.config.verification.max_closures:
            return Ending(Stage.MAX_CLOSURES, None)
        status = self.verification.status
        is_loop = status == Status.LOOP_DETECTED
        return Ending(Stage.LOOP if is_loop else Stage.VERIFICATION, status)


def explain(
    archive: Archive, config: Config, query: KeyframeKey, match: KeyframeKey
) -> Explanation:
    """Go the way from retrieval to a closure again, for one pair.

    Args:
        archive: all keyframes.
        config: method and limits, as the detector has them.
        query: the keyframe that asks.
        match: the other.

    Raises:
        InputError: one of them is unknown, both are the same, or the keyframes do not fit the
            retrieval method.
    """
    if query == match:
        raise InputError(
            f'keyframe {query.keyframe_id} of session {query.session} is no match of itself'
        )
    row, entry = archive.row(query), archive.row(match)
    then, better = None, []
    verifier = Verifier(config.verification, config.features)
    if entry < row:
        past = Moment(archive, row, config)
        then = past.story(row, entry)
        better = _more_matched(verifier, archive, row, entry, past.rivals(row, entry))
    now = Moment(archive, len(archive.rows.keys), config)
    views = archive.view(row), archive.view(entry)
    return Explanation(
        query=query,
        match=match,
        query_view=views[0],
        match_view=views[1],
        then=then,
        now=now.story(row, entry),
        verification=verifier.verify(*views),
        num_more_matched=len(better),
        num_better_loops=_num_loops(verifier, archive, row, better, config),
        config=config,
    )


def _more_matched(
    verifier: Verifier, archive: Archive, row: int, entry: int, rivals: list[int]
) -> list[int]:
    """Return the candidates that are verified before an entry, in that order."""
    if entry not in rivals:
        return []
    matches = [verifier.match(archive.view(row), archive.view(rival)) for rival in rivals]
    order = [rivals[place] for place in most_matched(matches, len(rivals))]
    return order[: order.index(entry)]


def _num_loops(
    verifier: Verifier, archive: Archive, row: int, better: list[int], config: Config
) -> int:
    """Count the loops of better candidates; 0 where they are too few to take any place."""
    limits = config.verification
    if not limits.max_closures <= len(better) < limits.max_candidates:
        return 0
    query = archive.view(row)
    return sum(
        verifier.verify(query, archive.view(entry)).status == Status.LOOP_DETECTED
        for entry in better
    )
