"""A node in the test's own process, whose callbacks are called without any transport."""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

# The transport's own: what they do is not of this package.
_FOREIGN = ('rcl_interfaces.', 'lifecycle_msgs.', 'type_description_interfaces.')
_TIMEOUT_S = 300.0
_BUG = re.compile(r'^[A-Za-z_.]*(Error|Exception|Warning)\b: |while (taking|processing) a')


@contextmanager
def node_of(
    make: Callable[..., Any], parameters: Mapping[str, Any], **options: Any
) -> Iterator[Rig]:
    """Make a node with its own context and executor, configured and active.

    Args:
        make: its class.
        parameters: by dotted name.
        options: of rclpy's Node.
    """
    import rclpy  # noqa: TID251
    from rclpy.executors import SingleThreadedExecutor  # noqa: TID251
    from rclpy.lifecycle import TransitionCallbackReturn  # noqa: TID251
    from rclpy.parameter import Parameter  # noqa: TID251

    context = rclpy.Context()
    rclpy.init(context=context)
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    executor = SingleThreadedExecutor(context=context)
    with _watched() as (bugs, workers):
        node = make(context=context, parameter_overrides=overrides, **options)
        executor.add_node(node)
        try:
            for step in (node.trigger_configure, node.trigger_activate):
                assert step() == TransitionCallbackReturn.SUCCESS
            yield Rig(node, bugs, workers)
        finally:
            node.close()
            executor.shutdown()
            node.destroy_node()
            rclpy.shutdown(context=context)


@contextmanager
def _watched() -> Iterator[tuple[list[str], list[Any]]]:
    """Collect what the nodes made meanwhile find unexpected, and the workers behind them."""
    from s3e_gnn_ros.ros.intake import Intake
    from s3e_gnn_ros.ros.worker import Worker

    bugs: list[str] = []
    workers: list[Any] = []
    drop, init = Intake.drop, Worker.__init__

    def watched_drop(self: Any, reason: str, sentence: str) -> None:
        if reason.endswith('_error') or is_bug(sentence):
            where = traceback.format_exc() if sys.exc_info()[0] else ''
            bugs.append(f'{reason}: {sentence}\n{where}')
        drop(self, reason, sentence)

    def watched_init(self: Any, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        workers.append(self)

    with (
        mock.patch.object(Intake, 'drop', watched_drop),
        mock.patch.object(Worker, '__init__', watched_init),
    ):
        yield bugs, workers


class Rig:
    """Calls the callbacks of a node.

    Args:
        node: see :func:`node_of`.
        bugs: grows by what was unexpected.
        workers: of the node.
    """

    def __init__(self, node: Any, bugs: list[str], workers: list[Any]) -> None:
        self.node = node
        self._bugs = bugs
        self._workers = workers

    @property
    def subscriptions(self) -> dict[str, Any]:
        """By topic and number: a topic may have two."""
        own = (s for s in self.node.subscriptions if not _is_foreign(s.msg_type))
        return {f'{each.topic_name}#{number}': each for number, each in enumerate(own)}

    @property
    def services(self) -> dict[str, Any]:
        """By name."""
        own = (s for s in self.node.services if not _is_foreign(s.srv_type))
        return {service.service_name: service for service in own}

    def give(self, topic: str, message: Any) -> None:
        """Let a subscription take a message; what it raises is a bug by itself."""
        self.subscriptions[topic].callback(message)

    def ask(self, name: str, request: Any = None) -> Any:
        """Let a service answer; without a request, to an empty one."""
        service = self.services[name]
        request = service.srv_type.Request() if request is None else request
        executor = self.node.executor
        task = executor.create_task(service.callback, request, service.srv_type.Response())
        end_s = time.monotonic() + _TIMEOUT_S
        while not task.done() and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.02)
        assert task.done(), f'{name} has not answered'
        response = task.result()
        text = getattr(response, 'message', '')
        if not getattr(response, 'success', True) and is_bug(text):
            self._bugs.append(f'{name}: {text}')
        return response

    def settle(self) -> None:
        """Run timers and wait until the workers rest."""
        end_s = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < end_s:
            self.node.executor.spin_once(timeout_sec=0.0)
            if all(worker.depth == 0 and not worker.is_busy for worker in self._workers):
                return
            time.sleep(0.002)
        raise AssertionError('the workers do not come to rest')

    def assert_no_bugs(self) -> None:
        """Fail when anything was unexpected since the last time."""
        bugs = self._bugs[:]
        self._bugs.clear()
        assert not bugs, '\n'.join(bugs)


def is_bug(text: str) -> bool:
    """Whether a refusal tells of an error that nobody foresaw."""
    return _BUG.search(text) is not None


def _is_foreign(interface: type) -> bool:
    return interface.__module__.startswith(_FOREIGN)
