import json

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.data.bag_writer import BagWriter
from s3e_gnn_ros.data.drift import drift, parse_drift
from s3e_gnn_ros.data.open_recording import open_recording

NUM_FRAMES = 4


@pytest.fixture
def folder(tmp_path):
    """A 7-Scenes folder: one frame in 100 ms, 10 cm forward each."""
    root = tmp_path / 'lab'
    root.mkdir()
    rng = np.random.default_rng(1)
    for number in range(NUM_FRAMES):
        stem = root / f'frame-{3 * number:06d}'
        pose = np.eye(4)
        pose[2, 3] = 0.1 * number
        cv2.imwrite(f'{stem}.color.png', rng.integers(0, 255, (48, 64, 3)).astype(np.uint8))
        cv2.imwrite(f'{stem}.depth.png', np.full((48, 64), 1000 + number, np.uint16))
        np.savetxt(f'{stem}.pose.txt', pose)
    return root


def convert(*arguments):
    return main(['convert', *map(str, arguments)])


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_convert(folder, tmp_path, capsys, storage, transport):
    bag = tmp_path / 'out' / 'bag'
    noise = 'translation=0.1,rotation_deg=2,seed=4'
    options = ['--storage', storage, '--image-transport', transport]
    options += ['--odometry', 'groundtruth', '--drift', noise, '--json']
    assert convert(folder, bag, *options) == 0
    result = json.loads(capsys.readouterr().out)
    assert result['num_frames'] == result['num_depth'] == result['num_odometry'] == NUM_FRAMES
    assert result['drops'] == {}
    assert next(bag.glob(f'*.{"mcap" if storage == "mcap" else "db3"}')).stat().st_size > 0

    truth = open_recording(folder)
    odometry = drift(truth.ground_truth, parse_drift(noise))
    recording = open_recording(bag)
    np.testing.assert_allclose(recording.odometry.poses, odometry.poses, atol=1e-9)
    np.testing.assert_allclose(recording.ground_truth.poses, truth.ground_truth.poses, atol=1e-9)
    for frame, other in zip(truth.frames(), recording.frames(), strict=True):
        assert frame.stamp_ns == other.stamp_ns
        np.testing.assert_array_equal(frame.depth_m, other.depth_m)
        if transport == 'raw':
            np.testing.assert_array_equal(frame.image, other.image)


def test_without_odometry(folder, tmp_path, capsys):
    assert convert(folder, tmp_path / 'bag', '--odometry', 'none') == 0
    assert (
        '4 frames, 4 with depth, 0 with odometry, 4 with ground truth' in capsys.readouterr().out
    )
    assert open_recording(tmp_path / 'bag').odometry is None


def test_ground_truth_without_drift(folder, tmp_path):
    assert convert(folder, tmp_path / 'bag', '--odometry', 'groundtruth') == 0
    recording = open_recording(tmp_path / 'bag')
    np.testing.assert_allclose(recording.odometry.poses, recording.ground_truth.poses)


def test_bag_to_bag_keeps_its_odometry(folder, tmp_path):
    drifting = ['--odometry', 'groundtruth', '--drift', 'scale=0.1']
    assert convert(folder, tmp_path / 'a', *drifting) == 0
    assert convert(tmp_path / 'a', tmp_path / 'b', '--storage', 'sqlite3') == 0
    first, second = open_recording(tmp_path / 'a'), open_recording(tmp_path / 'b')
    np.testing.assert_allclose(first.odometry.poses, second.odometry.poses, atol=1e-12)
    assert second.odometry.poses[-1][2, 3] == pytest.approx(0.33)


def test_frames_without_odometry_are_counted(folder, tmp_path, capsys):
    file = tmp_path / 'vio.tum'
    file.write_text('0.05 0 0 0 0 0 0 1\n0.25 1 0 0 0 0 0 1\n')
    assert convert(folder, tmp_path / 'bag', '--odometry-file', file, '--json') == 0
    result = json.loads(capsys.readouterr().out)
    assert (result['num_frames'], result['drops']) == (2, {'no_odometry': 2})


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        ([], 'holds no odometry of its own: choose --odometry rgbd, --odometry groundtruth'),
        (['--drift', 'scale=1'], '--drift needs --odometry groundtruth'),
        (['--odometry', 'groundtruth', '--drift', 'spin=1'], "unknown drift 'spin'"),
        (['--odometry', 'none', '--camera', '1,2'], "camera '1,2' has 2 values"),
        (['--odometry', 'none', '--body-camera', '1,2'], "pose '1,2' has 2 values"),
        (['--odometry', 'none', '--depth-scale', '-1'], 'depth_scale is -1.0'),
        (['--odometry-file', '/nowhere'], "cannot read '/nowhere'"),
    ],
)
def test_errors_are_one_line(folder, tmp_path, capsys, options, words):
    assert convert(folder, tmp_path / 'bag', *options) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert words in error[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['lab']


def test_existing_bag(folder, tmp_path, capsys):
    bag = tmp_path / 'bag'
    assert convert(folder, bag, '--odometry', 'none') == 0
    assert convert(folder, bag, '--odometry', 'none') == 2
    assert 'give --overwrite' in capsys.readouterr().err
    assert convert(folder, bag, '--odometry', 'groundtruth', '--overwrite') == 0
    assert open_recording(bag).odometry is not None


def test_overwrite_spares_other_folders(folder, capsys):
    assert convert(folder, folder, '--odometry', 'none', '--overwrite') == 2
    assert 'is no bag' in capsys.readouterr().err
    assert len(list(folder.iterdir())) == 3 * NUM_FRAMES


def test_only_damaged_images(folder, tmp_path, capsys):
    for path in folder.glob('*.color.png'):
        path.write_bytes(b'x')
    assert convert(folder, tmp_path / 'bag', '--odometry', 'none') == 2
    assert 'can be used: 4 image_data' in capsys.readouterr().err
    assert not (tmp_path / 'bag').exists()


def test_interrupt_leaves_nothing(folder, tmp_path, monkeypatch):
    write_ground_truth = BagWriter.write_ground_truth

    def interrupted(writer, stamp_ns, pose):
        if stamp_ns > 0:
            raise KeyboardInterrupt
        write_ground_truth(writer, stamp_ns, pose)

    monkeypatch.setattr(BagWriter, 'write_ground_truth', interrupted)
    assert convert(folder, tmp_path / 'bag', '--odometry', 'none') == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ['lab']
