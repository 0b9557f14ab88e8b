from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import RecordingError

SHARED = Path(__file__).resolve().parents[2].parent / 'shared'
REDKITCHEN = SHARED / 'data' / 'redkitchen'


@pytest.fixture
def folder(tmp_path, synthetic):
    root = tmp_path / 'office' / 'seq-01'
    root.mkdir(parents=True)
    for number in (0, 2, 3):
        frame = synthetic.frame(number)
        stem = f'frame-{number:06d}'
        raw = np.full((48, 64), 1000 * (number + 1), np.uint16)
        raw[0], raw[1] = 0, 65535
        cv2.imwrite(str(root / f'{stem}.color.png'), frame.image)
        cv2.imwrite(str(root / f'{stem}.depth.png'), raw)
        np.savetxt(root / f'{stem}.pose.txt', frame.T_world_camera)
    return root


def test_frames(folder, synthetic):
    recording = open_recording(folder)
    frames = list(recording.frames())
    assert recording.name == 'office/seq-01'
    assert [frame.stamp_ns for frame in frames] == [0, 66_666_666, 100_000_000]
    assert [frame.depth_m[2, 0] for frame in frames] == [1, 3, 4]
    assert not frames[0].depth_m[:2].any()
    assert (frames[0].camera.fx, frames[0].camera.width) == (585, 64)
    truth = synthetic.frame(2).T_world_camera
    np.testing.assert_allclose(frames[1].T_world_camera, truth, atol=1e-9)
    assert frames[1].T_odom_camera is None
    assert not recording.drops


def test_camera_file_of_the_scene(folder):
    (folder.parent / 'camera-intrinsics.txt').write_text('500 0 320\n0 501 240\n0 0 1\n')
    camera = next(open_recording(folder).frames()).camera
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 501, 320, 240)


def test_invalid_and_missing_poses(folder):
    (folder / 'frame-000000.pose.txt').write_text(' '.join(['-1.#IND'] * 16))
    np.savetxt(folder / 'frame-000002.pose.txt', np.full((4, 4), np.nan))
    (folder / 'frame-000003.pose.txt').unlink()
    recording = open_recording(folder)
    frames = list(recording.frames())
    assert [frame.T_world_camera for frame in frames] == [None] * 3
    assert recording.ground_truth is None
    assert recording.drops == Counter(ground_truth_pose=2)


def test_missing_depth_of_one_frame(folder):
    (folder / 'frame-000002.depth.png').unlink()
    recording = open_recording(folder)
    assert [frame.depth_m is None for frame in recording.frames()] == [False, True, False]
    assert recording.drops == Counter(depth_data=1)


def test_depth_in_the_wrong_unit(folder):
    recording = open_recording(folder, RecordingOptions(depth_scale=1.0))
    assert [frame.depth_m for frame in recording.frames()] == [None] * 3
    assert recording.drops == Counter(depth_unit=3)


def test_scene_names_its_sequences(folder):
    with pytest.raises(RecordingError, match='name one of seq-01'):
        open_recording(folder.parent)


def test_same_frame_twice(folder):
    (folder / 'frame-000002.color.jpg').write_bytes(b'')
    with pytest.raises(RecordingError, match='the same frame'):
        open_recording(folder)


@pytest.mark.skipif(not REDKITCHEN.is_dir(), reason='needs the shared recordings')
def test_redkitchen():
    recording = open_recording(REDKITCHEN)
    assert (recording.num_frames, len(recording.ground_truth)) == (500, 500)
    frames = recording.frames()
    frame = next(frames)
    assert (frame.camera.fx, frame.camera.cx, frame.image.shape) == (585, 320, (480, 640, 3))
    assert next(frames).stamp_ns == 66_666_666
    assert 0.5 < np.median(frame.depth_m[frame.depth_m > 0]) < 5
    assert frame.depth_m.max() < 65
