"""What /diagnostics says of the pose graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from s3e_gnn_ros.ros.correction import Correction
from s3e_gnn_ros.ros.graph_health import judge_correction, report_graph
from s3e_gnn_ros.ros.graph_messages import EMPTY
from s3e_gnn_ros.ros.health import Level
from s3e_gnn_ros.types import KeyframeKey

CORRECTION = Correction(KeyframeKey(1, 7), 0, 'odom', np.eye(4), np.eye(4))


def test_closures_that_were_taken_out_are_told_apart():
    snapshot = replace(
        EMPTY,
        keys=[KeyframeKey(1, 0), KeyframeKey(1, 1)],
        weights=np.array([1.0, 0.0, 0.3], np.float32),
    )
    health = report_graph(snapshot, {'odometry_breaks': 2}, (3.0, 8.5))
    assert health.message == '2 keyframes, 2 closures'
    assert health.values == {
        'keyframes': 2,
        'closures': 2,
        'closures taken out': 1,
        'odometry breaks': 2,
        'last optimisation [s ago]': 3.0,
        'last optimisation [ms]': 8.5,
    }
    assert 'last optimisation [ms]' not in report_graph(EMPTY, {}, None).values


@pytest.mark.parametrize(
    ('correction', 'is_used', 'level', 'words'),
    [
        (None, None, Level.OK, 'no odometry'),
        (None, False, Level.OK, 'no keyframe'),
        (CORRECTION, True, Level.OK, 'is corrected'),
        (CORRECTION, False, Level.WARN, 'not of the odometry that comes'),
        (replace(CORRECTION, is_tied=False), False, Level.WARN, 'no loop has led back'),
    ],
)
def test_odometry_that_is_not_corrected_is_a_warning(correction, is_used, level, words):
    health = judge_correction(correction, is_used=is_used)
    assert health.level is level
    assert words in health.message
