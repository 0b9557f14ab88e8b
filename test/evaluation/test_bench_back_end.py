"""The bench of what a robot waits for."""

from __future__ import annotations

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.evaluation.bench_back_end import time_back_end


def test_callbacks_and_gaps_are_timed_through_a_check_in_one_process_and_in_its_own() -> None:
    timings = time_back_end((60,), PoseGraphConfig(), 0)
    assert [timing.name for timing in timings] == [
        'callback 60 poses, one process',
        'odometry gap 60 poses, one process',
        'callback 60 poses, its own',
        'odometry gap 60 poses, its own',
    ]
    for callbacks, gaps in (timings[:2], timings[2:]):
        assert len(callbacks.samples_ms) >= 20
        assert len(gaps.samples_ms) > len(callbacks.samples_ms)  # odometry comes more often
        assert (callbacks.samples_ms > 0).all()
        assert (gaps.samples_ms >= 5.0).all()  # it sleeps as long in between
