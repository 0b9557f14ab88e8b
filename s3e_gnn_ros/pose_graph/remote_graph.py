"""A pose graph in a process of its own.

GTSAM keeps Python's interpreter lock while it solves, so that every other thread of its process
waits. Here the others wait for nothing but a socket.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.child import ChildProcess, serve
from s3e_gnn_ros.pose_graph.graph import PoseGraph
from s3e_gnn_ros.pose_graph.graph_columns import GraphColumns, Standing
from s3e_gnn_ros.pose_graph.remote_checker import RemoteChecker
from s3e_gnn_ros.types import KeyframeKey, LoopClosure


class RemoteGraph:
    """Does in another process what :class:`PoseGraph` does, with checks in a third.

    The process starts with the first call, in the thread that makes it, which owns the graph.
    All methods raise ``ChildDiedError`` when the process has died: the graph is lost with it.

    Attributes:
        is_checking: as of the last call, see :attr:`PoseGraph.is_checking`.

    Args:
        config: noise, solver and checks.
    """

    def __init__(self, config: PoseGraphConfig) -> None:
        self.is_checking = False
        self._config = config
        self._child: ChildProcess | None = None
        self._num_keyframes = 0

    def __len__(self) -> int:
        """Return the number of keyframes, as of the last call."""
        return self._num_keyframes

    @property
    def pid(self) -> int | None:
        """Number of the process, once it has started."""
        return None if self._child is None else self._child.pid

    def close(self) -> None:
        """End the process; may be called from another thread."""
        if self._child is not None:
            self._child.close()

    def add_keyframe(
        self,
        key: KeyframeKey,
        stamp_ns: int,
        T_odom_camera: Pose,
        odom_frame_continues: bool = True,
        T_map_camera_fixed: Pose | None = None,
    ) -> None:
        """See :meth:`PoseGraph.add_keyframe`."""
        self._ask(
            'add_keyframe',
            key=key,
            stamp_ns=stamp_ns,
            T=T_odom_camera,
            continues=odom_frame_continues,
            T_fixed=T_map_camera_fixed,
        )

    def add_closure(self, closure: LoopClosure) -> bool:
        """See :meth:`PoseGraph.add_closure`."""
        return bool(self._ask('add_closure', **_fields(closure))['is_in'])

    def replace_closure(self, closure: LoopClosure) -> bool:
        """See :meth:`PoseGraph.replace_closure`."""
        return bool(self._ask('replace_closure', **_fields(closure))['is_in'])

    def remove_closure(self, match: KeyframeKey, query: KeyframeKey) -> None:
        """See :meth:`PoseGraph.remove_closure`."""
        self._ask('remove_closure', match=match, query=query)

    def restore_closure(self, match: KeyframeKey, query: KeyframeKey) -> None:
        """See :meth:`PoseGraph.restore_closure`."""
        self._ask('restore_closure', match=match, query=query)

    def pin_closure(self, match: KeyframeKey, query: KeyframeKey, pinned: bool = True) -> None:
        """See :meth:`PoseGraph.pin_closure`."""
        self._ask('pin_closure', match=match, query=query, pinned=pinned)

    def remove_keyframe(self, key: KeyframeKey) -> None:
        """See :meth:`PoseGraph.remove_keyframe`."""
        self._ask('remove_keyframe', key=key)

    def update(self) -> None:
        """See :meth:`PoseGraph.update`."""
        self._ask('update')

    def finish(self) -> None:
        """See :meth:`PoseGraph.finish`."""
        self._ask('finish')

    def standing(self, key: KeyframeKey) -> Standing:
        """See :meth:`PoseGraph.standing`."""
        return Standing(**self._ask('standing', key=key))

    def columns(self) -> GraphColumns:
        """See :meth:`PoseGraph.columns`."""
        return GraphColumns(**self._ask('columns'))

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        if self._child is None:
            self._child = ChildProcess(__name__)
            self._child.ask({'operation': 'begin', **_fields(self._config)})
        answer = self._child.ask({'operation': operation, **arguments})
        self.is_checking = answer.pop('is_checking')
        self._num_keyframes = answer.pop('num_keyframes')
        if 'refused' in answer:
            raise InputError(answer['refused'])
        if 'bug' in answer:
            raise RuntimeError(f'{operation} of the pose graph: {answer["bug"]}')
        return answer


def _fields(item: Any) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}


# In the process.


class _Server:
    """Holds the graph, and does what messages say."""

    def __init__(self) -> None:
        self._graph = PoseGraph(PoseGraphConfig())

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        operation = message.pop('operation')
        answer: dict[str, Any] = {}
        if operation == 'begin':
            config = PoseGraphConfig(**message)
            self._graph = PoseGraph(config, RemoteChecker(config))
        else:
            answer = self._attempt(_OPERATIONS[operation], message)
        state = {'is_checking': self._graph.is_checking, 'num_keyframes': len(self._graph)}
        return {**answer, **state}

    def _attempt(
        self, operation: Callable[..., dict[str, Any] | None], message: dict[str, Any]
    ) -> dict[str, Any]:
        try:
            return operation(self._graph, **message) or {}
        except InputError as err:
            return {'refused': str(err)}
        except Exception as err:
            # A bug, as in the process that asked: reported there, and the graph goes on.
            return {'bug': f'{type(err).__name__}: {err}'}


def _add_keyframe(
    graph: PoseGraph, key: list[int], stamp_ns: int, T: Pose, continues: bool, T_fixed: Pose | None
) -> None:
    graph.add_keyframe(KeyframeKey(*key), stamp_ns, T, continues, T_fixed)


def _add_closure(graph: PoseGraph, **columns: Any) -> dict[str, Any]:
    return {'is_in': graph.add_closure(LoopClosure(**columns))}


def _replace_closure(graph: PoseGraph, **columns: Any) -> dict[str, Any]:
    return {'is_in': graph.replace_closure(LoopClosure(**columns))}


def _remove_keyframe(graph: PoseGraph, key: list[int]) -> None:
    graph.remove_keyframe(KeyframeKey(*key))


def _standing(graph: PoseGraph, key: list[int]) -> dict[str, Any]:
    return _fields(graph.standing(KeyframeKey(*key)))


def _columns(graph: PoseGraph) -> dict[str, Any]:
    return _fields(graph.columns())


_OPERATIONS: Mapping[str, Callable[..., dict[str, Any] | None]] = MappingProxyType(
    {
        'add_keyframe': _add_keyframe,
        'add_closure': _add_closure,
        'replace_closure': _replace_closure,
        'remove_closure': PoseGraph.remove_closure,
        'restore_closure': PoseGraph.restore_closure,
        'pin_closure': PoseGraph.pin_closure,
        'remove_keyframe': _remove_keyframe,
        'update': PoseGraph.update,
        'finish': PoseGraph.finish,
        'standing': _standing,
        'columns': _columns,
    }
)


if __name__ == '__main__':
    serve(_Server().answer)
