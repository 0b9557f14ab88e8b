"""Checks in a process of their own, so that the graph goes on meanwhile."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Mapping
from typing import Any

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.pose_graph.check import Check, CheckResult, LocalChecker
from s3e_gnn_ros.pose_graph.child import ChildDiedError, ChildProcess, serve
from s3e_gnn_ros.pose_graph.keyframe_table import OdometryColumns
from s3e_gnn_ros.pose_graph.loops import Loops
from s3e_gnn_ros.pose_graph.wire import Message

_NICE = 5
"""A check may take its time; what it competes with on a small computer may not."""


class RemoteChecker:
    """Hands each check to a process, which starts with the first one.

    Where that dies its check is lost, and the next one starts another.

    Args:
        config: which methods, with which probabilities.
    """

    def __init__(self, config: PoseGraphConfig) -> None:
        self._config = config
        self._child: ChildProcess | None = None
        self._sender: threading.Thread | None = None

    def begin(self, check: Check) -> None:
        """Hand a check over, without waiting until it has been taken: that may start up first."""
        try:
            if self._child is None:
                self._child = ChildProcess(__name__)
        except ChildDiedError:
            return  # as is told when the result is asked for
        message = {'config': dataclasses.asdict(self._config), **_columns(check)}
        self._sender = threading.Thread(target=_send, args=(self._child, message), daemon=True)
        self._sender.start()

    def result(self, *, wait: bool) -> CheckResult | None:
        """Return what it has found; None: nothing yet.

        Raises:
            ChildDiedError: it will not find anything.
        """
        if self._child is None:
            raise ChildDiedError('the process that checks loop closures has died')
        if not (wait or self._child.has_message()):
            return None
        try:
            found = self._child.receive()
        except ChildDiedError:
            self._end()
            raise
        return CheckResult(found['is_in'], found['poses'])

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
        if self._sender is not None:
            self._sender.join()
        self._child = self._sender = None


def _send(child: ChildProcess, message: Message) -> None:
    with contextlib.suppress(ChildDiedError):  # as is told when the result is asked for
        child.send(message)


def _columns(check: Check) -> dict[str, Any]:
    odometry, loops = check.odometry, check.loops
    return {
        **{f'odometry.{name}': value for name, value in _fields(odometry).items()},
        **{f'loops.{name}': value for name, value in _fields(loops).items()},
        'is_pinned': check.is_pinned,
        'is_in': check.is_in,
        'poses': check.poses,
        'generation': check.generation,
    }


def _fields(item: Any) -> dict[str, Any]:
    return {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}


def _check(columns: Mapping[str, Any]) -> Check:
    odometry = OdometryColumns(
        *(columns[f'odometry.{field.name}'] for field in dataclasses.fields(OdometryColumns))
    )
    loops = Loops(*(columns[f'loops.{field.name}'] for field in dataclasses.fields(Loops)))
    return Check(
        odometry,
        loops,
        columns['is_pinned'],
        columns['is_in'],
        columns['poses'],
        columns['generation'],
    )


class _Server:
    """What runs in the process."""

    def __init__(self) -> None:
        self._checker: LocalChecker | None = None

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._checker is None:
            self._checker = LocalChecker(PoseGraphConfig(**message['config']))
        self._checker.begin(_check(message))
        result = self._checker.result(wait=True)
        assert result is not None
        return {'is_in': result.is_in, 'poses': result.poses}


if __name__ == '__main__':
    os.nice(_NICE)
    serve(_Server().answer)
