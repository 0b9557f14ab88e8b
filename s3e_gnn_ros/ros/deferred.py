"""Services whose answer takes long: a queue works on it while the executor goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from s3e_gnn_ros.errors import InputError, S3EError
from s3e_gnn_ros.ros.worker import Worker

_TOO_BUSY = 'the node is too busy: the request waited until its queue was full'


@dataclass(frozen=True, eq=False)
class Job:
    """Something for a worker to do.

    Attributes:
        run: does it.
        drop: called instead when the queue is too full for it.
    """

    run: Callable[[], None]
    drop: Callable[[], None] = lambda: None


class DeferredServices:
    """Creates services whose work is done on a worker's thread.

    A node here spins on one thread. Its callbacks are cheap and share their state without locks,
    which a MultiThreadedExecutor would end, and it would pay a change of threads for each image
    and each odometry message. So the callback of a service is a coroutine: it queues its work and
    awaits the answer, and the executor takes other callbacks until it is there. The group has to
    be reentrant, because a mutually exclusive one stays held while a coroutine waits; with one
    thread nothing runs in parallel for that.

    Args:
        node: owns the services.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._group = ReentrantCallbackGroup()

    def create(
        self,
        service_class: type[Any],
        name: str,
        work: Callable[[Any, Any], None],
        worker: Callable[[], Worker[Job]],
    ) -> None:
        """Create a service.

        Args:
            service_class: its type; most responses have ``success`` and ``message``.
            name: relative name.
            work: called on the worker's thread with request and response, which it fills;
                ``success`` is true unless it says otherwise. What it raises becomes the message.
            worker: returns whose thread it is; a node creates its services before its workers.
        """

        async def answer(request: Any, response: Any) -> Any:
            executor = self._node.executor
            assert executor is not None  # it is what calls this
            done: Future = Future(executor=executor)

            def finish() -> None:
                done.set_result(None)
                executor.wake()  # some versions of rclpy look at a future only when woken

            def run() -> None:
                try:
                    self._attempt(name, work, request, response)
                finally:
                    finish()

            def drop() -> None:
                self._refuse(name, response, _TOO_BUSY)
                finish()

            worker().offer(Job(run, drop))
            await done
            return response

        self._node.create_service(service_class, name, answer, callback_group=self._group)

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
