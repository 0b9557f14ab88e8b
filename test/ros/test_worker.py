"""The bounded queue and its thread."""

from __future__ import annotations

import threading

import pytest

from s3e_gnn_ros.ros.worker import Worker

TIMEOUT_S = 10.0


class Gate:
    """Holds the worker at its first item until it is opened."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()
        self.seen: list[int] = []

    def __call__(self, item: int) -> None:
        self.entered.set()
        assert self.open.wait(TIMEOUT_S)
        self.seen.append(item)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


def test_items_are_handled_in_order_and_idleness_is_told(gate):
    idle = threading.Event()
    gate.open.set()
    worker = Worker(gate, capacity=100, name='t', on_idle=idle.set)
    for item in range(50):
        worker.offer(item)
    while len(gate.seen) < 50:
        assert idle.wait(TIMEOUT_S)
        idle.clear()
    assert gate.seen == list(range(50))
    assert worker.close()


def test_a_full_queue_drops_the_oldest_and_says_so(gate):
    dropped = []
    worker = Worker(gate, capacity=2, name='t', on_drop=dropped.append)
    worker.offer(0)
    assert gate.entered.wait(TIMEOUT_S)
    for item in (1, 2, 3, 4):
        worker.offer(item)
    assert dropped == [1, 2]
    assert (worker.depth, worker.is_busy) == (2, True)
    gate.open.set()
    while worker.depth or worker.is_busy:
        pass
    assert gate.seen == [0, 3, 4]
    worker.close()


def test_an_error_does_not_end_the_thread():
    errors, done = [], threading.Event()

    def handle(item: int) -> None:
        if item == 0:
            raise ValueError('bad item')
        done.set()

    worker = Worker(handle, capacity=5, name='t', on_error=errors.append)
    worker.offer(0)
    worker.offer(1)
    assert done.wait(TIMEOUT_S)
    assert [str(err) for err in errors] == ['bad item']
    assert worker.close()


def test_close_drops_what_waits_and_what_comes_later(gate):
    dropped = []
    worker = Worker(gate, capacity=5, name='t', on_drop=dropped.append)
    worker.offer(0)
    assert gate.entered.wait(TIMEOUT_S)
    worker.offer(1)
    threading.Timer(0.05, gate.open.set).start()
    assert worker.close()
    worker.offer(2)
    assert gate.seen == [0]
    assert dropped == [1, 2]
