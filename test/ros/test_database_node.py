"""DBoW2's and DLoopDetector's services over DDS: as the Python classes answer, without a crash."""

from __future__ import annotations

import signal
import sys

import numpy as np
import pytest
import synthetic

rclpy = pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.srv')

from rclpy.executors import SingleThreadedExecutor

from s3e_gnn_ros import srv
from s3e_gnn_ros.dbow import (
    Database,
    GeometricalCheck,
    ImageFeatures,
    LoopDetector,
    Parameters,
)
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.processes import Child
from s3e_gnn_ros.types import Status

HEADER = conv.make_header(1_700_000_000_000_000_000, 'camera')
DESCRIPTORS = synthetic.random_descriptors(40, np.random.default_rng(0))


@pytest.fixture(name='frames', scope='module')
def _frames():
    """Return frames along a wall and, a hand's breadth off, back."""
    path = [synthetic.look_at([x, 0.1, 0.6], [x + 0.4, 0.2, 4.0]) for x in np.linspace(-9, 0, 10)]
    aside = np.eye(4)
    aside[:3, 3] = 0.05, 0.02, 0.04
    return [synthetic.make_frame(pose) for pose in (*path, *(p @ aside for p in reversed(path)))]


class Client:
    """A program that calls the node's services."""

    def __init__(self, child):
        self.child = child
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node('client', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._clients = {
            kind: self._node.create_client(kind, name)
            for kind, name in (
                (srv.QueryDatabase, names.QUERY_DATABASE),
                (srv.DetectLoop, names.DETECT_LOOP),
            )
        }
        for client in self._clients.values():
            for _ in range(90):
                child.check_alive()
                if client.wait_for_service(timeout_sec=1.0):
                    break
        self._greet()

    def _greet(self):
        """Wait until the node knows the clients: else an answer is lost, and no request is safe.

        They are announced in the order they are made: who answers the last knows all.
        """
        last = self._node.create_client(srv.GetStatistics, names.DATABASE_STATISTICS)
        for _ in range(90):
            self.child.check_alive()
            if last.wait_for_service(timeout_sec=1.0):
                future = last.call_async(srv.GetStatistics.Request())
                self._executor.spin_until_future_complete(future, timeout_sec=1.0)
                if future.done():
                    return
                last.remove_pending_request(future)
        raise AssertionError('no answer')

    def call(self, request):
        kind = next(k for k in self._clients if isinstance(request, k.Request))
        future = self._clients[kind].call_async(request)
        self._executor.spin_until_future_complete(future, timeout_sec=60.0)
        self.child.check_alive()
        assert future.done(), 'no answer'
        return future.result()

    def close(self):
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)


@pytest.fixture(name='start')
def _start(domain, tmp_path):
    """Return a function that starts the node with parameters and returns a client of it."""
    children, clients = [], []

    def start(**parameters):
        command = [sys.executable, '-m', 's3e_gnn_ros.ros.database_node', '--ros-args']
        for name, value in parameters.items():
            command += ['-p', f'{name.replace("__", ".")}:={value}']
        children.append(Child('database', command, folder=tmp_path))
        clients.append(Client(children[-1]))
        return clients[-1]

    yield start
    for client in clients:
        client.close()
    for child in children:
        child.stop()


def query(frame=None, **fields):
    request = srv.QueryDatabase.Request(**fields)
    if frame is not None:
        request.image = conv.image_to_message(frame.image, HEADER)
    return request


def detect(frame, *, with_depth=True):
    request = srv.DetectLoop.Request(image=conv.image_to_message(frame.image, HEADER))
    if with_depth:
        request.depth = conv.depth_to_message(frame.depth_m, HEADER)
        request.camera_info = conv.camera_to_message(frame.camera, HEADER)
    return request


@pytest.mark.parametrize('method', ['bow', 's3e'])
def test_a_front_end_gets_what_the_python_classes_answer(start, frames, method):
    client = start(retrieval__method=method, retrieval__min_keyframe_gap=4)
    database = Database(method)
    parameters = Parameters(dislocal=4, geom_check=GeometricalCheck.POSE)
    detector = LoopDetector(database, parameters)
    for index, frame in enumerate(frames):
        seen = ImageFeatures(frame.image, camera=frame.camera, depth_m=frame.depth_m)
        answer = client.call(query(frame, max_results=4, max_id=index - 4, add=True))
        expected = database.query(seen, 4, index - 4)
        assert answer.success, answer.message
        assert answer.entry_id == database.add(seen) == index
        assert list(answer.ids) == expected.ids
        assert list(answer.scores) == pytest.approx(expected.scores, abs=1e-5)
        answer, expected = client.call(detect(frame)), detector.detect_loop(seen)
        assert (answer.status, answer.query, answer.match) == (
            expected.status,
            expected.query,
            expected.match,
        )
        assert answer.message == Status(answer.status).name
        assert answer.score == pytest.approx(expected.score, abs=1e-5)
    assert answer.status == Status.LOOP_DETECTED
    assert abs(answer.match - 0) <= 3
    alone = client.call(query(frames[5], max_results=1, max_id=-1))
    assert alone.entry_id == -1
    assert list(alone.ids) == database.query(ImageFeatures(frames[5].image), is_next=False).ids
    assert client.call(query(frames[5], max_results=0, max_id=-1)).ids.tolist() == []


def test_bow_takes_bare_descriptors_and_s3e_says_what_it_needs(start):
    client = start(retrieval__method='bow')
    packed = DESCRIPTORS.ravel().tolist()
    for index in range(3):
        answer = client.call(query(descriptors=packed, max_results=-1, max_id=-1, add=True))
        assert (answer.success, answer.entry_id) == (True, index)
        assert list(answer.ids) == list(range(index))
        assert list(answer.scores) == pytest.approx([1.0] * index, abs=1e-5)


def bad_requests(frame):
    """Requests that cannot be used, and a word of what each is answered."""
    cut = query(frame, add=True)
    cut.image.data = cut.image.data[:100]
    strange = query(frame, add=True)
    strange.image.encoding = 'rot13'
    other_size = detect(frame)
    other_size.camera_info.width = 100
    no_camera = detect(frame)
    no_camera.camera_info = type(no_camera.camera_info)()
    uncalibrated = detect(frame)
    uncalibrated.camera_info.k = np.zeros(9)
    millimetres = detect(frame)
    millimetres.depth = conv.depth_to_message(frame.depth_m * 1000.0, HEADER)
    return [
        (query(add=True), 'neither'),
        (cut, 'has 100 bytes'),
        (strange, 'rot13'),
        (query(frame, keypoints_px=[1.0, 2.0, 3.0], add=True), 'keypoints_px has 3 values'),
        (query(frame, keypoints_px=[1.0, float('nan')], add=True), 'not finite'),
        (query(frame, descriptors=[1] * 33, add=True), 'descriptors have 33 bytes'),
        (query(descriptors=[1] * 32, keypoints_px=[1.0] * 4, add=True), '1 descriptors belong'),
        (srv.DetectLoop.Request(), 'encoding'),
        (other_size, 'camera'),
        (no_camera, 'depth came without camera_info'),
        (uncalibrated, 'camera'),
        (millimetres, 'depth'),
    ]


def test_bad_requests_get_a_sentence_and_change_nothing(start, frames):
    client = start(retrieval__method='bow')
    for request, words in bad_requests(frames[0]):
        answer = client.call(request)
        assert not answer.success
        assert words in answer.message
        assert '\n' not in answer.message
        assert -1 in (getattr(answer, 'entry_id', 0), getattr(answer, 'query', 0))
    assert client.call(query(frames[0], add=True)).entry_id == 0
    assert client.call(detect(frames[0])).query == 0
    client.child.process.send_signal(signal.SIGTERM)
    assert client.child.process.wait(20) == 0
    assert 'Traceback' not in client.child.log.read_text()


def test_s3e_asks_for_the_image(start, frames):
    client = start()
    answer = client.call(query(descriptors=DESCRIPTORS.ravel().tolist(), add=True))
    assert not answer.success
    assert "'s3e' needs the image" in answer.message
    assert client.call(query(frames[0], add=True)).entry_id == 0


def test_the_node_refuses_to_start_without_its_vocabulary(domain, tmp_path):
    command = [sys.executable, '-m', 's3e_gnn_ros.ros.database_node', '--ros-args']
    command += ['-p', 'retrieval.method:=bow', '-p', 'retrieval.vocabulary:=/no/such/file']
    with Child('database', command, folder=tmp_path) as child:
        assert child.process.wait(60) == 2
        log = child.log.read_text()
        assert "cannot read '/no/such/file'" in log
        assert 'Traceback' not in log
