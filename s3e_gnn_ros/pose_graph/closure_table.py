"""All loop closures a pose graph knows: those that are in it, and those that were taken out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import check_pose
from s3e_gnn_ros.pose_graph.edge import Edge, strung, turned
from s3e_gnn_ros.pose_graph.keyframe_table import name_of
from s3e_gnn_ros.pose_graph.loops import Loops
from s3e_gnn_ros.pose_graph.noise import check_covariance
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

Pair = tuple[KeyframeKey, KeyframeKey]
"""Match and query of a closure."""


@dataclass(eq=False)
class Closure:
    """One loop closure and what became of it.

    Attributes:
        edge: from match to query.
        is_in: it is part of the graph.
        is_pinned: no check takes it out.
        is_removed: taken out by hand; no check puts it back.
    """

    edge: Edge
    is_in: bool = False
    is_pinned: bool = False
    is_removed: bool = False


class ClosureTable:
    """Closures by match and query, in order of arrival."""

    def __init__(self) -> None:
        """Start empty."""
        self._by_pair: dict[Pair, Closure] = {}

    def __contains__(self, pair: Pair) -> bool:
        """Whether the pair has a closure, in the graph or not."""
        return pair in self._by_pair

    def __len__(self) -> int:
        """Return the number of closures, those taken out included."""
        return len(self._by_pair)

    def get(self, pair: Pair) -> Closure:
        """Return the closure of a pair.

        Raises:
            InputError: there is none.
        """
        pair = KeyframeKey(*pair[0]), KeyframeKey(*pair[1])
        if pair not in self._by_pair:
            raise InputError(f'there is no {closure_name(pair)}')
        return self._by_pair[pair]

    def add(self, edge: Edge) -> Closure:
        """Add a closure that is not in the graph yet."""
        closure = Closure(edge)
        self._by_pair[edge.i, edge.j] = closure
        return closure

    def all(self) -> list[Closure]:
        """Return all closures."""
        return list(self._by_pair.values())

    def inside(self) -> list[Closure]:
        """Return those that are in the graph."""
        return [closure for closure in self._by_pair.values() if closure.is_in]

    def candidates(self) -> list[Closure]:
        """Return those a check judges: all but the ones taken out by hand."""
        return [closure for closure in self._by_pair.values() if not closure.is_removed]

    def detach(self, key: KeyframeKey, neighbour: Edge | None) -> bool:
        """Re-attach the closures of a keyframe that goes to its neighbour.

        One is let go where there is no neighbour, or where the neighbour has that closure already
        or is its other end.

        Args:
            key: the keyframe that goes.
            neighbour: odometry that leads to it from a keyframe that stays, or None.

        Returns:
            Whether it had a closure.
        """
        gone = [closure for pair, closure in self._by_pair.items() if key in pair]
        for closure in gone:
            del self._by_pair[closure.edge.i, closure.edge.j]
        for closure in gone if neighbour is not None else ():
            assert neighbour is not None
            edge = closure.edge
            is_match = edge.i == key
            edge = strung(neighbour, edge) if is_match else strung(edge, turned(neighbour))
            if edge.i != edge.j and (edge.i, edge.j) not in self._by_pair:
                closure.edge = edge
                self._by_pair[edge.i, edge.j] = closure
        return bool(gone)


def loops_of(closures: Sequence[Closure], index: Mapping[KeyframeKey, int]) -> Loops:
    """Return closures as columns, with the rows of their keyframes."""
    edges = [closure.edge for closure in closures]
    return Loops(
        np.array([index[edge.i] for edge in edges], dtype=np.int64),
        np.array([index[edge.j] for edge in edges], dtype=np.int64),
        np.array([edge.T_i_j for edge in edges]).reshape(-1, 4, 4),
        np.array([edge.covariance for edge in edges]).reshape(-1, 6, 6),
    )


def edge_of(closure: LoopClosure, scale_by_similarity: bool) -> Edge:
    """Check a closure and return its constraint.

    Args:
        closure: as it was verified.
        scale_by_similarity: multiply its information by its similarity.

    Raises:
        InputError: a keyframe matched with itself, a pose or covariance out of order, or a
            similarity that cannot scale.
    """
    match = closure.match
    query = closure.query
    name = closure_name((match, query))
    if match == query:
        raise InputError(f'{name} matches a keyframe with itself')
    T_match_query = check_pose(closure.T_match_query, f'pose of the {name}')
    covariance = check_covariance(closure.covariance, f'covariance of the {name}')
    if scale_by_similarity:
        if not 0 < closure.similarity <= 1:
            raise InputError(f'similarity of the {name} is {closure.similarity}, not in (0, 1]')
        covariance = covariance / closure.similarity
    return Edge(match, query, T_match_query, covariance)


def closure_name(pair: Pair) -> str:
    """Return a closure's name for messages."""
    return f'closure of {name_of(pair[0])} and {name_of(pair[1])}'
