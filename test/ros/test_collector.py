"""An answer that is lost is asked for again; one that never comes is an error in one sentence."""

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from rclpy.task import Future

from s3e_gnn_ros import srv
from s3e_gnn_ros.errors import S3EError
from s3e_gnn_ros.ros import collector as module
from s3e_gnn_ros.ros import names


class DeafClient:
    """Loses the first requests, as a server does that has not found the reader of the answers.

    Attributes:
        pending: requests that have no answer yet.
    """

    def __init__(self, num_lost):
        self._num_lost = num_lost
        self.pending = []

    def call_async(self, _request):
        future = Future()
        self.pending.append(future)
        if len(self.pending) > self._num_lost:
            future.set_result(
                srv.GetStatistics.Response(counter_names=['frames'], counter_values=[7])
            )
        return future

    def remove_pending_request(self, future):
        self.pending.remove(future)


@pytest.fixture
def collector(domain, monkeypatch):
    monkeypatch.setattr(module, '_ASK_AGAIN_S', 0.02)
    with module.Collector(lambda _keyframe: None) as collector:
        yield collector


@pytest.mark.parametrize('num_lost', [0, 1, 3])
def test_an_answer_that_is_lost_is_asked_for_again(collector, num_lost):
    client = collector._clients[names.LOOP_STATISTICS] = DeafClient(num_lost)
    assert collector.loop_status().counters == {'frames': 7}
    assert client.pending == []  # late answers to the others find nobody


def test_an_answer_that_never_comes_is_an_error(collector, monkeypatch):
    monkeypatch.setattr(module, '_CALL_TIMEOUT_S', 0.2)
    collector._clients[names.LOOP_STATISTICS] = DeafClient(1000)
    with pytest.raises(S3EError, match='get_statistics has not answered within 0 s'):
        collector.loop_status()
