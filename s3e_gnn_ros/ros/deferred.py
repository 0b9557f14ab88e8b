"""Services whose answer takes long: a queue works on it while the executor goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.service import Service
from rclpy.task import Future

from s3e_gnn_ros.errors import InputError, S3EError
from s3e_gnn_ros.ros.worker import Worker

_TOO_BUSY = 'the node is too busy: the request waited until its queue was full'
_GONE = 'the node is not configured any more'


@dataclass(frozen=True, eq=False)
class Job:
    """Something for a worker to do.

    Attributes:
        run: does it.
        drop: called instead when the queue is too full for it.
    """

    run: Callable[[], None]
    drop: Callable[[], None] = lambda: None


@dataclass(frozen=True, eq=False)
class _Bound:
    """What a service does, and in whose thread."""

    work: Callable[[Any, Any], None]
    worker: Callable[[], Worker[Job]]
    needs_active: bool


class DeferredServices:
    """Creates services whose work is done on a worker's thread.

    A node here spins on one thread. Its callbacks are cheap and share their state without locks,
    which a MultiThreadedExecutor would end, and it would pay a change of threads for each image
    and each odometry message. So the callback of a service is a coroutine: it queues its work and
    awaits the answer, and the executor takes other callbacks until it is there. The group has to
    be reentrant, because a mutually exclusive one stays held while a coroutine waits; with one
    thread nothing runs in parallel for that.

    They outlive what does their work: when that is gone, who asks is told so, and who is waiting
    gets an answer, which a service that is destroyed could not send any more.

    Args:
        node: owns the services.
        state: returns the lifecycle state of the node.
    """

    def __init__(self, node: Node, state: Callable[[], str] = lambda: 'active') -> None:
        self._node = node
        self._state = state
        self._group = ReentrantCallbackGroup()
        self._services: dict[str, Service] = {}
        self._bound: dict[str, _Bound] = {}

    def owns(self, entity: object) -> bool:
        """Whether a service is one of these."""
        return any(entity is service for service in self._services.values())

    def unbind(self) -> None:
        """Answer from now on that the node is not configured."""
        self._bound.clear()

    def create(
        self,
        service_class: type[Any],
        name: str,
        work: Callable[[Any, Any], None],
        worker: Callable[[], Worker[Job]],
        *,
        needs_active: bool = False,
    ) -> None:
        """Create a service, or let one of the same name have its work done by another.

        Args:
            service_class: its type; most responses have ``success`` and ``message``.
            name: relative name.
            work: called on the worker's thread with request and response, which it fills;
                ``success`` is true unless it says otherwise. What it raises becomes the message.
            worker: returns whose thread it is; a node creates its services before its workers.
            needs_active: refuse unless the node is active: for what changes the map.
        """
        self._bound[name] = _Bound(work, worker, needs_active)
        if name in self._services:
            return

        async def answer(request: Any, response: Any) -> Any:
            bound, state = self._bound.get(name), self._state()
            if bound is None or (bound.needs_active and state != 'active'):
                self._refuse(name, response, f'{self._node.get_name()} is {state}')
            else:
                await self._do(name, bound, request, response)
            return response

        self._services[name] = self._node.create_service(
            service_class, name, answer, callback_group=self._group
        )

    def _do(self, name: str, bound: _Bound, request: Any, response: Any) -> Future:
        """Queue the work; returns what to wait for."""
        executor = self._node.executor
        assert executor is not None  # it is what calls the service
        done: Future = Future(executor=executor)

        def finish() -> None:
            done.set_result(None)
            executor.wake()  # some versions of rclpy look at a future only when woken

        def run() -> None:
            try:
                self._attempt(name, bound.work, request, response)
            finally:
                finish()

        def drop() -> None:
            is_gone = self._bound.get(name) is not bound
            self._refuse(name, response, _GONE if is_gone else _TOO_BUSY)
            finish()

        bound.worker().offer(Job(run, drop))
        return done

    def _attempt(
        self, name: str, work: Callable[[Any, Any], None], request: Any, response: Any
    ) -> None:
        try:
            if hasattr(response, 'success'):
                response.success = True
            work(request, response)
        except S3EError as err:
            self._refuse(name, response, str(err))
        except Exception as err:
            # A bug: the caller gets an answer all the same, and the log the kind of error.
            self._refuse(name, response, f'{type(err).__name__}: {err}')

    def _refuse(self, name: str, response: Any, reason: str) -> None:
        if hasattr(response, 'success'):
            response.success, response.message = False, reason
        self._node.get_logger().warning(f'service {name}: {reason}')


def call_in(worker: Worker[Job], call: Callable[[], None], timeout_s: float) -> None:
    """Let another worker's thread do something, and wait until it has.

    Raises:
        InputError: it has not come to it within the time.
    """
    done = threading.Event()

    def run() -> None:
        try:
            call()
        finally:
            done.set()

    worker.offer(Job(run))
    if not done.wait(timeout_s):
        raise InputError(f'the worker has been busy for {timeout_s:.0f} s')


class OneAtATime:
    """Queues a job unless it waits already: for work on whatever is newest when it begins.

    Args:
        worker: whose thread does it.
        run: what to do.
    """

    def __init__(self, worker: Callable[[], Worker[Job]], run: Callable[[], None]) -> None:
        self._worker = worker
        self._run_job = run
        self._is_waiting = False

    def offer(self) -> None:
        """Queue the job unless it waits already."""
        if not self._is_waiting:
            self._is_waiting = True
            self._worker().offer(Job(self._run, self._drop))

    def _run(self) -> None:
        self._is_waiting = False  # before the work: what comes from now on needs another run
        self._run_job()

    def _drop(self) -> None:
        self._is_waiting = False
