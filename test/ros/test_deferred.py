"""Services that take long are answered, whatever happens, and nobody waits meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from rclpy.executors import SingleThreadedExecutor

from s3e_gnn_ros import srv
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.ros.deferred import DeferredServices, Job, OneAtATime, call_in
from s3e_gnn_ros.ros.worker import Worker


def make_worker(capacity=10):
    return Worker(
        lambda job: job.run(), capacity=capacity, name='test', on_drop=lambda job: job.drop()
    )


class Scene:
    """A server and a client on one single-threaded executor."""

    def __init__(self, work, capacity=10):
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('server', context=self._context)
        self.worker = make_worker(capacity)
        DeferredServices(self.node).create(srv.DeleteMap, 'work', work, lambda: self.worker)
        self._client = self.node.create_client(srv.DeleteMap, 'work')
        self.executor = SingleThreadedExecutor(context=self._context)
        self.executor.add_node(self.node)
        assert self._client.wait_for_service(10.0)

    def ask(self, name=''):
        return self._client.call_async(srv.DeleteMap.Request(name=name))

    def wait(self, *futures):
        end_s = time.monotonic() + 20
        while not all(future.done() for future in futures):
            assert time.monotonic() < end_s
            self.executor.spin_once(timeout_sec=0.1)
        return [future.result() for future in futures]

    def close(self):
        self.worker.close()
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture
def make_scene(domain):
    scenes = []

    def make(*args, **kwargs):
        scenes.append(Scene(*args, **kwargs))
        return scenes[-1]

    yield make
    for scene in scenes:
        scene.close()


def test_the_executor_goes_on_while_work_is_done(make_scene):
    may_end = threading.Event()
    threads = []

    def work(_request, _response):
        threads.append(threading.current_thread())
        assert may_end.wait(20)

    scene = make_scene(work)
    ticks = []
    scene.node.create_timer(0.01, lambda: ticks.append(threading.current_thread()))
    future = scene.ask()
    end_s = time.monotonic() + 20
    while len(ticks) < 20 or not threads:
        assert time.monotonic() < end_s
        scene.executor.spin_once(timeout_sec=0.1)
    assert not future.done()
    may_end.set()
    (answer,) = scene.wait(future)
    assert answer.success
    assert threads[0] is not threading.current_thread()
    assert set(ticks) == {threading.current_thread()}


@pytest.mark.parametrize(
    ('error', 'message'),
    [(InputError('no such map'), 'no such map'), (KeyError('x'), "KeyError: 'x'")],
)
def test_what_work_raises_is_the_answer(make_scene, error, message):
    def work(_request, _response):
        raise error

    scene = make_scene(work)
    (answer,) = scene.wait(scene.ask())
    assert not answer.success
    assert answer.message == message


def test_work_may_say_no_by_itself(make_scene):
    def work(request, response):
        response.success, response.message = False, f'not {request.name}'

    scene = make_scene(work)
    first, second = scene.wait(scene.ask('a'), scene.ask('b'))
    assert {first.message, second.message} == {'not a', 'not b'}
    assert not first.success


def test_a_request_that_finds_no_room_is_answered(make_scene):
    has_begun, may_end = threading.Event(), threading.Event()

    def work(_request, _response):
        has_begun.set()
        may_end.wait(20)

    scene = make_scene(work, capacity=1)
    futures = [scene.ask()]  # is worked on
    end_s = time.monotonic() + 20
    while not has_begun.is_set():
        assert time.monotonic() < end_s
        scene.executor.spin_once(timeout_sec=0.1)
    futures += [scene.ask(), scene.ask()]  # one waits, one is too many
    while not any(future.done() for future in futures):
        assert time.monotonic() < end_s
        scene.executor.spin_once(timeout_sec=0.1)
    may_end.set()
    answers = scene.wait(*futures)
    assert sorted(answer.success for answer in answers) == [False, True, True]
    assert 'too busy' in next(a.message for a in answers if not a.success)


def test_one_at_a_time_joins_what_waits():
    worker, begin, seen = make_worker(), threading.Event(), []
    worker.offer(Job(lambda: begin.wait(20)))
    job = OneAtATime(lambda: worker, lambda: seen.append(1))
    for _ in range(5):
        job.offer()
    begin.set()
    call_in(worker, lambda: None, 20.0)
    assert seen == [1]
    job.offer()
    call_in(worker, lambda: None, 20.0)
    assert seen == [1, 1]
    worker.close()


def test_one_at_a_time_survives_being_dropped():
    worker, begin, seen = make_worker(capacity=1), threading.Event(), []
    worker.offer(Job(lambda: begin.wait(20)))
    while not worker.is_busy:
        pass
    job = OneAtATime(lambda: worker, lambda: seen.append(1))
    job.offer()
    worker.offer(Job(lambda: None))  # takes its place
    begin.set()
    while worker.depth or worker.is_busy:  # in this order: what waits is at work next
        pass
    assert seen == []
    job.offer()
    while worker.depth or worker.is_busy:
        pass
    assert seen == [1]
    worker.close()


def test_call_in_gives_up():
    worker, begin = make_worker(), threading.Event()
    worker.offer(Job(lambda: begin.wait(20)))
    with pytest.raises(InputError, match='busy'):
        call_in(worker, lambda: None, 0.05)
    begin.set()
    worker.close()
