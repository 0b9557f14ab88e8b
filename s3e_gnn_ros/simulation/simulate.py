"""Write a simulated recording as a bag."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from s3e_gnn_ros.data.bag_writer import BagWriter
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.simulation.imu import ImuSamples
from s3e_gnn_ros.simulation.recording import SimulatedRecording
from s3e_gnn_ros.types import Frame


def write_bag(
    recording: SimulatedRecording,
    writer: BagWriter,
    on_frame: Callable[[Frame], None] = lambda _: None,
) -> None:
    """Render a recording and write it in order of stamps.

    Args:
        recording: what to render.
        writer: an entered bag writer.
        on_frame: called after each frame, for progress.
    """
    samples, written = recording.imu(), 0
    for frame in recording.frames():
        due = int(np.searchsorted(samples.stamps_ns, frame.stamp_ns, side='right'))
        _write_imu(writer, samples, written, due)
        written = due
        assert frame.T_odom_camera is not None
        assert frame.T_world_camera is not None
        writer.write_odometry(frame.stamp_ns, frame.T_odom_camera)
        writer.write_ground_truth(frame.stamp_ns, frame.T_world_camera)
        writer.write_frame(frame)
        on_frame(frame)


def _write_imu(writer: BagWriter, samples: ImuSamples, first: int, end: int) -> None:
    for k in range(first, end):
        writer.write_imu(
            int(samples.stamps_ns[k]),
            samples.angular_velocity_rps[k],
            samples.linear_acceleration_mps2[k],
        )


def describe(recording: SimulatedRecording, path: Path) -> dict[str, str | int | float]:
    """Summarise a recording in plain values."""
    truth, odometry = recording.ground_truth, recording.odometry
    assert truth is not None
    assert odometry is not None
    return {
        'bag': str(path),
        'seed': recording.options.seed,
        'num_frames': recording.num_frames,
        'duration_s': round(float(truth.stamps_ns[-1] - truth.stamps_ns[0]) / 1e9, 3),
        'distance_m': round(recording.distance_m, 3),
        'odometry_error_at_end_m': round(_error_at_end_m(truth, odometry), 3),
        'drift': str(recording.options.drift),
    }


def _error_at_end_m(truth: Trajectory, odometry: Trajectory) -> float:
    return float(np.linalg.norm(truth.poses[-1, :3, 3] - odometry.poses[-1, :3, 3]))
