"""The whole recording: repeatable with any number of processes, and its options."""

from dataclasses import replace

import numpy as np
import pytest

from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.simulation import recording as module
from s3e_gnn_ros.simulation.motion import MotionLimits
from s3e_gnn_ros.simulation.recording import SimulatedRecording, SimulationOptions

SHORT = SimulationOptions(seed=0, max_frames=4, camera=module.D455.scaled(0.5))


@pytest.fixture(name='make')
def _make(building, monkeypatch):
    """Recordings of one building that is made only once."""
    monkeypatch.setattr(module, 'make_building', lambda seed: building)
    return SimulatedRecording


def test_frames_are_repeatable_with_one_or_two_processes(make):
    alone = list(make(SHORT).frames())
    for other in (list(make(SHORT).frames()), list(make(replace(SHORT, workers=2)).frames())):
        assert len(other) == 4
        for a, b in zip(alone, other, strict=True):
            assert a.stamp_ns == b.stamp_ns
            assert a.image.tobytes() == b.image.tobytes()
            assert a.depth_m.tobytes() == b.depth_m.tobytes()
            assert (a.T_odom_camera == b.T_odom_camera).all()


def test_is_a_recording_with_poses(make):
    recording: Recording = make(SHORT)
    frames = list(recording.frames())
    assert recording.num_frames == len(frames) == 4
    for k, frame in enumerate(frames):
        assert frame.image.shape == (240, 320, 3)
        assert frame.depth_m.shape == (240, 320)
        assert frame.stamp_ns == module.START_NS + k * 100_000_000
        assert (frame.T_world_camera == recording.ground_truth.poses[k]).all()
        assert (frame.T_odom_camera == recording.odometry.poses[k]).all()
    assert not recording.drops


def test_noise_differs_from_frame_to_frame_but_can_be_left_out(make):
    clean = replace(SHORT, colour_noise=None, depth_noise=None)
    (a, *_), (b, *_) = list(make(SHORT).frames()), list(make(clean).frames())
    both = (a.depth_m > 0) & (b.depth_m > 0)
    error = np.abs(a.depth_m - b.depth_m)[both]
    assert 0 < np.median(error) < 0.05
    assert (b.depth_m > 0).all()


def test_default_drives_two_laps_and_drifts(make):
    recording = make(SimulationOptions(seed=0))
    truth, odometry = recording.ground_truth.poses, recording.odometry.poses
    assert 650 < recording.num_frames < 900
    assert 45 < recording.distance_m < 55
    assert np.allclose(truth[0], odometry[0], atol=1e-12)
    error = np.linalg.norm(truth[:, :3, 3] - odometry[:, :3, 3], axis=1)
    assert 0.01 * recording.distance_m < error[-1] < 0.06 * recording.distance_m


def test_another_seed_drifts_and_drives_differently(make):
    first, second = make(SHORT), make(replace(SHORT, seed=5))
    assert not np.allclose(first.odometry.poses[-1], second.odometry.poses[-1])
    assert not np.allclose(
        first.motion.poses(np.array([60.0])), second.motion.poses(np.array([60.0]))
    )


def test_imu_covers_the_frames(make):
    recording = make(SHORT)
    stamps = recording.imu().stamps_ns
    assert stamps[0] == recording.ground_truth.stamps_ns[0]
    assert stamps[-1] == recording.ground_truth.stamps_ns[-1]
    assert len(stamps) == 61


@pytest.mark.parametrize(
    ('changes', 'count'),
    [
        ({'duration_s': 1.0}, 10),
        ({'duration_s': 1.0, 'max_frames': 4}, 4),
        ({'rate_hz': 30.0, 'duration_s': 0.5}, 15),
        ({'duration_s': 1e-9}, 1),
    ],
)
def test_only_the_beginning(make, changes, count):
    assert make(SimulationOptions(**changes)).num_frames == count


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'seed': -1}, 'seed is -1'),
        ({'rate_hz': 0.0}, 'rate_hz is 0.0'),
        ({'rate_hz': float('nan')}, 'rate_hz is nan'),
        ({'duration_s': -1.0}, 'duration is -1.0'),
        ({'max_frames': 0}, 'max_frames is 0'),
        ({'workers': 0}, 'workers is 0'),
    ],
)
def test_refuses(changes, words):
    with pytest.raises(InputError, match=words):
        SimulationOptions(**changes)


def test_says_when_the_route_cuts_corners(make):
    with pytest.raises(InputError, match=r'drive slower'):
        make(replace(SHORT, limits=MotionLimits(speed_mps=6.0, yaw_rate_dps=2000.0)))
