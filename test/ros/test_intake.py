"""A message may be dropped for any reason; none ends the node."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.statistics import Statistics


@pytest.fixture
def log():
    return []


@pytest.fixture
def statistics():
    return Statistics()


@pytest.fixture
def intake(log, statistics):
    node = SimpleNamespace(
        get_logger=lambda: SimpleNamespace(warning=log.append),
        context=SimpleNamespace(ok=lambda: True),
    )
    return Intake(node, statistics, lambda: None)


@pytest.mark.parametrize(
    ('error', 'reason', 'words'),
    [
        (DropError('image_size', 'too small'), 'image_size', 'too small'),
        (InputError('NaN'), 'invalid', 'NaN'),
        (ZeroDivisionError('by zero'), 'callback_error', 'ZeroDivisionError'),
        (KeyError('camera'), 'callback_error', 'KeyError'),
    ],
)
def test_whatever_a_callback_raises_is_counted(intake, statistics, log, error, reason, words):
    def use(message):
        raise error

    callback = intake.counted('image', use)
    for _ in range(3):
        callback(object())
    assert statistics.counters() == {'received.image': 3, f'drops.{reason}': 3}
    (sentence,) = log  # not one per message
    assert words in sentence


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_an_interrupt_goes_through(intake, error):
    def use():
        raise error

    with pytest.raises(error):
        intake.attempt(use)
