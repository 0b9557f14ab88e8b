"""What a person has done to closures of the pose graph: taken out, put back, pinned, let go."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from s3e_gnn_ros import srv
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.remote_graph import RemoteGraph
from s3e_gnn_ros.ros.edits_file import EditsFile, Pair
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

_KEPT = MappingProxyType({'pinned': _Request.PIN, 'removed': _Request.REMOVE})
"""What is in force, by its name in the file, and the action that brings it about."""


class GraphEdits:
    """Remembers the edits in force, to make them again in a graph that is built anew.

    Args:
        file: where they outlive the node; None: nowhere.
        drop: called with reason and sentence where the file cannot be read or written.
    """

    def __init__(self, file: EditsFile | None, drop: Callable[[str, str], None]) -> None:
        self._file = file
        self._drop = drop
        self._kept: dict[str, dict[Pair, None]] = {name: {} for name in _KEPT}
        self._is_readable = self._read()

    def note(self, action: int, pair: Pair) -> None:
        """Remember an edit that was made."""
        # Another robot's node may have written since.
        self._is_readable = self._read()
        name = 'removed' if action in (_Request.REMOVE, _Request.ADD) else 'pinned'
        if action == _Request.REMOVE:
            self._kept['pinned'].pop(pair, None)
        if action in _KEPT.values():
            self._kept[name][pair] = None
        else:
            self._kept[name].pop(pair, None)
        self._write()

    def of(self, pair: Pair) -> Iterator[int]:
        """Yield the actions in force of a closure."""
        for name, action in _KEPT.items():
            if pair in self._kept[name]:
                yield action

    def _read(self) -> bool:
        """Take in what is in the file; returns whether it could be read."""
        if self._file is None:
            return False
        try:
            found = self._file.read()
        except InputError as err:
            self._drop('edits_file', str(err))
            return False
        if found:
            self._kept = {name: dict.fromkeys(found.get(name, ())) for name in _KEPT}
        return True

    def _write(self) -> None:
        if self._file is None or not self._is_readable:  # what cannot be read is not replaced
            return
        try:
            self._file.write({name: list(pairs) for name, pairs in self._kept.items()})
        except InputError as err:
            self._drop('edits_file', str(err))
