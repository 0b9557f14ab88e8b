"""What a person has done to closures of the pose graph: taken out, put back, pinned, let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from s3e_gnn_ros import srv
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.types import KeyframeKey

_Request = srv.EditClosure.Request

_Edit = Callable[[PoseGraph | RemoteGraph, KeyframeKey, KeyframeKey], object]

EDITS: Mapping[int, _Edit] = MappingProxyType(
    {
        _Request.REMOVE: lambda graph, match, query: graph.remove_closure(match, query),
        _Request.ADD: lambda graph, match, query: graph.restore_closure(match, query),
        _Request.PIN: lambda graph, match, query: graph.pin_closure(match, query),
        _Request.UNPIN: lambda graph, match, query: graph.pin_closure(match, query, False),
    }
)
"""What each action of srv EditClosure does with match and query."""


class GraphEdits:
    """Remembers the edits in force, to make them again in a graph that is built anew."""

    def __init__(self) -> None:
        self._removed: dict[tuple[KeyframeKey, KeyframeKey], None] = {}
        self._pinned: dict[tuple[KeyframeKey, KeyframeKey], None] = {}

    def note(self, action: int, pair: tuple[KeyframeKey, KeyframeKey]) -> None:
        """Remember an edit that was made."""
        kept = self._removed if action in (_Request.REMOVE, _Request.ADD) else self._pinned
        if action in (_Request.REMOVE, _Request.PIN):
            kept[pair] = None
        else:
            kept.pop(pair, None)

    def forget(self, pair: tuple[KeyframeKey, KeyframeKey]) -> None:
        """Forget a closure that is gone with a keyframe of its."""
        self._removed.pop(pair, None)
        self._pinned.pop(pair, None)

    def all(self) -> Iterator[tuple[int, tuple[KeyframeKey, KeyframeKey]]]:
        """Yield action and pair of each edit in force."""
        for pair in self._pinned:
            yield _Request.PIN, pair
        for pair in self._removed:
            yield _Request.REMOVE, pair
