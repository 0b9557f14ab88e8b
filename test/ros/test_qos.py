"""Middleware that cannot tell what it lost is used all the same."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.ros import qos
from s3e_gnn_ros.ros.statistics import Statistics


def test_a_middleware_without_the_event_goes_without_the_count(monkeypatch):
    def create(self, *_args):
        if self.message_lost is not None:
            raise qos.UnsupportedEventTypeError
        return ['other']

    monkeypatch.setattr(qos.SubscriptionEventCallbacks, 'create_event_handlers', create)
    callbacks = qos.count_lost(Statistics())
    assert callbacks.create_event_handlers(None, None, '/image') == ['other']
    assert callbacks.message_lost is None


def test_a_middleware_with_the_event_keeps_the_count(monkeypatch):
    monkeypatch.setattr(
        qos.SubscriptionEventCallbacks,
        'create_event_handlers',
        lambda self, *_args: [self.message_lost],
    )
    statistics = Statistics()
    (lost,) = qos.count_lost(statistics).create_event_handlers(None, None, '/image')
    lost(type('Event', (), {'total_count_change': 3}))
    assert statistics.counters() == {'drops.lost_in_transport': 3}
