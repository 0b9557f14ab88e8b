"""Asking for what is missing: patient while an answer is on its way, never twice at once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from s3e_gnn_ros.ros import recovery as module
from s3e_gnn_ros.ros.recovery import Recovery
from s3e_gnn_ros.types import KeyframeKey


class FakeFuture:
    def __init__(self):
        self.callback = None
        self.response = None

    def add_done_callback(self, callback):
        self.callback = callback
        if self.response is not None:
            callback(self)

    def cancelled(self):
        return False

    def exception(self):
        return None

    def result(self):
        return self.response


class Scene:
    """A node whose clock and whose service the test moves by hand."""

    def __init__(self, monkeypatch):
        self.now_s = 1000.0
        self.is_ready = True
        self.finds_us = True
        self.num_greetings = 0
        self.gap = None
        self.requests = []
        self.in_flight = []
        self.answers = []
        self.given_up = []
        monkeypatch.setattr(module.time, 'monotonic', lambda: self.now_s)
        logger = SimpleNamespace(info=lambda _text: None, warning=lambda _text: None)
        self.recovery = Recovery(
            SimpleNamespace(
                create_client=lambda *_: self,
                create_timer=lambda *_, **__: None,
                get_logger=lambda: logger,
            ),
            lambda: self.gap,
            self.answers.append,
            self.given_up.append,
        )

    def service_is_ready(self):
        return self.is_ready

    def call_async(self, request):
        future = FakeFuture()
        start = request.session, request.first_id
        if start == module._NOTHING:
            self.num_greetings += 1
            if self.finds_us:
                future.response = SimpleNamespace(keyframes=[], closures=[])
                return future
        else:
            self.requests.append(start)
        self.in_flight.append(future)
        return future

    def remove_pending_request(self, future):
        self.in_flight.remove(future)

    def wait(self, seconds):
        for _ in range(round(seconds * 4)):
            self.now_s += 0.25
            self.recovery._check()

    def answer(self, *keyframes):
        future = self.in_flight.pop()
        future.response = SimpleNamespace(keyframes=list(keyframes), closures=[])
        future.callback(future)


@pytest.fixture
def scene(monkeypatch):
    return Scene(monkeypatch)


def test_a_slow_answer_is_waited_for_and_asked_for_once(scene):
    scene.gap = KeyframeKey(7, 0)  # live keyframes come while the history is on its way
    scene.wait(30)
    assert scene.requests == [(0, 0)]
    assert scene.given_up == []
    scene.gap = None
    scene.answer('keyframe')
    scene.wait(10)
    assert scene.requests == [(0, 0)]
    assert len(scene.answers) == 1
    assert scene.given_up == []


def test_a_gap_is_asked_for_before_it_is_given_up(scene):
    scene.gap = KeyframeKey(7, 3)
    scene.wait(20)
    scene.answer()  # to the question for all, from before the gap
    scene.wait(0.25)
    assert scene.requests == [(0, 0), (7, 3)]
    assert scene.given_up == []
    scene.answer()
    scene.wait(0.25)
    assert scene.given_up == [7]


def test_a_gap_is_given_up_when_nobody_can_be_asked(scene):
    scene.is_ready = False
    scene.gap = KeyframeKey(7, 3)
    scene.wait(4)
    assert scene.given_up == []
    scene.wait(2)
    assert scene.given_up == [7]
    assert scene.requests == []


def test_a_request_lost_with_its_server_is_made_again(scene):
    scene.wait(1)
    scene.is_ready = False
    scene.wait(1)
    assert scene.in_flight == []
    scene.is_ready = True
    scene.wait(1)
    assert scene.requests == [(0, 0), (0, 0)]
    assert len(scene.in_flight) == 1


def test_answers_that_are_lost_before_the_server_has_found_us_are_soon_asked_for(scene):
    scene.finds_us = False
    scene.wait(5)
    assert scene.num_greetings == 2
    assert scene.requests == []  # a long history is sent once, when it arrives
    scene.finds_us = True
    scene.wait(2)
    assert scene.requests == [(0, 0)]
    scene.answer('keyframe')
    assert len(scene.answers) == 1
    assert scene.in_flight == []


def test_a_request_that_is_never_answered_does_not_last_for_ever(scene):
    scene.wait(59)
    assert len(scene.requests) == 1
    scene.wait(3)
    assert len(scene.requests) == 2
    assert len(scene.in_flight) == 1
