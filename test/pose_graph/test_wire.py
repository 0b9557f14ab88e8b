"""What goes through the wire comes out as it went in."""

from __future__ import annotations

import socket
import threading

import numpy as np
import pytest

from s3e_gnn_ros.pose_graph.wire import receive, send


@pytest.mark.parametrize(
    'value',
    [
        None,
        True,
        -(2**62),
        0.1 + 0.2,
        float('inf'),
        'Umlaut \u00fc',
        [1, [2, 'x']],
        np.eye(4),
        np.zeros((0, 6, 6)),
        np.array([[True, False]]),
        np.arange(7, dtype=np.int64)[::2],
        np.array([np.nan, -0.0, 1e-300], np.float32),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back(value: object) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, {'value': value, 'after': np.array([7])})
        message = receive(theirs)
    assert list(message) == ['value', 'after']
    assert message['after'].tolist() == [7]
    if isinstance(value, np.ndarray):
        np.testing.assert_array_equal(message['value'], value)
        assert message['value'].dtype == value.dtype
        assert message['value'].flags.writeable
    else:
        assert message['value'] == value


def test_more_than_the_socket_holds() -> None:
    ours, theirs = socket.socketpair()
    large = np.random.default_rng(0).random(1_000_000)
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, {'large': large}))
        sender.start()
        np.testing.assert_array_equal(receive(theirs)['large'], large)
        sender.join()


@pytest.mark.parametrize('cut', [0, 3, 20])
def test_an_end_in_the_middle_is_an_end(cut: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, {'a': np.arange(9)})
        begun = theirs.recv(cut) if cut else b''
    ours, theirs = socket.socketpair()
    with theirs:
        ours.sendall(begun)
        ours.close()
        with pytest.raises(EOFError):
            receive(theirs)


def test_objects_are_not_sent() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(TypeError, match='an array of object cannot be sent'):
        send(ours, {'a': np.array([object()])})
