"""Groups of results that lie together, and their consistency over successive queries.

Gálvez-López and Tardós, "Bags of Binary Words for Fast Place Recognition in Image Sequences",
IEEE T-RO 2012, sections V-B and V-C; the bounds as DLoopDetector's code has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from s3e_gnn_ros.dbow.parameters import Parameters
from s3e_gnn_ros.dbow.results import QueryResults, Result


@dataclass(frozen=True)
class Island:
    """Results of entries that follow one another closely.

    Attributes:
        first: lowest entry.
        last: highest entry.
        score: sum of the scores.
        best: the best result.
    """

    first: int
    last: int
    score: float
    best: Result

    def gap_to(self, other: Island) -> int:
        """Return the distance of two islands; negative where they overlap."""
        return max(self.first - other.last, other.first - self.last)


def find_islands(results: QueryResults, parameters: Parameters) -> list[Island]:
    """Group results, which come best first, into islands in ascending order of entries.

    Each is at least ``min_matches_per_group`` entries long, counted from its first to its last,
    but for a single result, which is an island in any case.
    """
    groups: list[list[_Ranked]] = []
    ranked = [_Ranked(result.id, rank, result) for rank, result in enumerate(results)]
    for each in sorted(ranked):
        if groups and each.id - groups[-1][-1].id < parameters.max_intragroup_gap:
            groups[-1].append(each)
        else:
            groups.append([each])
    islands = [_island(group) for group in groups]
    least = parameters.min_matches_per_group if len(results) > 1 else 0
    return [island for island in islands if island.last - island.first + 1 >= least]


class _Ranked(NamedTuple):
    id: int
    rank: int
    result: Result


def _island(group: list[_Ranked]) -> Island:
    best = min(group, key=lambda each: each.rank).result
    score = sum(each.result.score for each in group)
    return Island(group[0].id, group[-1].id, score, best)


class TemporalWindow:
    """Counts how many successive queries have matched islands that lie together.

    Args:
        parameters: largest gaps.
    """

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._num_consistent = 0
        self._last: tuple[int, Island] | None = None

    def push(self, query: int, island: Island) -> int:
        """Add the island that a query matched.

        Returns:
            How many queries in a row are consistent, this one included.
        """
        if self._last is not None and self._fits(query, island, *self._last):
            self._num_consistent += 1
        else:
            self._num_consistent = 1
        self._last = query, island
        return self._num_consistent

    def _fits(self, query: int, island: Island, last_query: int, last: Island) -> bool:
        parameters = self._parameters
        return (
            query - last_query <= parameters.max_distance_between_queries
            and island.gap_to(last) <= parameters.max_distance_between_groups
        )
