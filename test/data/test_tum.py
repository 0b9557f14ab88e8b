from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.data.options import CameraOverride, RecordingOptions
from s3e_gnn_ros.data.tum import CAMERAS, associate
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.geometry import se3

# Real TUM stamps: a float64 of seconds would be off by 100 ns and more.
RGB = ['1305031102.175304', '1305031102.211214', '1305031102.243211', '1305031102.275326']
DEPTH = ['1305031102.160407', '1305031102.226738', '1305031102.248886', '1305031102.295279']


@pytest.fixture
def folder(tmp_path, synthetic):
    root = tmp_path / 'rgbd_dataset_freiburg1_xyz'
    for name, stamps in (('rgb', RGB), ('depth', DEPTH)):
        (root / name).mkdir(parents=True)
        lines = [f'{stamp} {name}/{stamp}.png' for stamp in stamps]
        (root / f'{name}.txt').write_text('\n'.join(['# stamp file', *lines]) + '\n')
    for number, stamp in enumerate(RGB):
        cv2.imwrite(str(root / 'rgb' / f'{stamp}.png'), synthetic.frame(number).image)
    for number, stamp in enumerate(DEPTH):
        raw = np.full((48, 64), 5000 * (number + 1), np.uint16)
        raw[0] = 0
        cv2.imwrite(str(root / 'depth' / f'{stamp}.png'), raw)
    poses = [f'{1305031102.1 + 0.01 * i:.4f} {i} 0 2 0 0 0 1' for i in range(30)]
    (root / 'groundtruth.txt').write_text('\n'.join(['# x', *poses]))
    return root


def test_frames(folder, synthetic):
    recording = open_recording(folder)
    frames = list(recording.frames())
    assert (recording.name, recording.num_frames) == (folder.name, 4)
    assert [frame.stamp_ns for frame in frames] == [int(s.replace('.', '') + '000') for s in RGB]
    np.testing.assert_array_equal(frames[2].image, synthetic.frame(2).image)
    assert [frame.depth_m[1, 1] for frame in frames] == [1, 2, 3, 4]
    assert not frames[0].depth_m[0].any()
    assert frames[0].camera.fx == CAMERAS['freiburg1'].fx
    assert (frames[0].camera.width, frames[0].camera.height) == (64, 48)
    assert frames[0].camera.is_distorted
    np.testing.assert_allclose(frames[0].T_world_camera[:3, 3], [7.5304, 0, 2], atol=1e-4)
    assert recording.odometry is None
    assert not recording.drops


def test_image_without_depth_within_the_slop(folder):
    recording = open_recording(folder, RecordingOptions(sync_slop_s=0.016))
    assert [frame.depth_m[1, 1] for frame in recording.frames()] == [1, 2, 3]
    assert recording.drops == Counter(unsynchronised=1)


def test_without_depth_and_ground_truth(folder):
    (folder / 'depth.txt').unlink()
    (folder / 'groundtruth.txt').unlink()
    recording = open_recording(folder)
    frames = list(recording.frames())
    assert len(frames) == 4
    assert frames[0].depth_m is None
    assert recording.ground_truth is None


def test_camera_file_and_option(folder):
    (folder / 'camera.txt').write_text('500 501 320 240')
    (frame, *_) = open_recording(folder).frames()
    assert (frame.camera.fx, frame.camera.fy, frame.camera.is_distorted) == (500, 501, False)
    options = RecordingOptions(camera=CameraOverride(1.5, 2.5, 3.5, 4.5), depth_scale=1 / 1000)
    (frame, *_) = open_recording(folder, options).frames()
    assert (frame.camera.fx, frame.depth_m[1, 1]) == (1.5, 5.0)


def test_camera_file_that_holds_none(folder):
    (folder / 'camera.txt').write_text('0 501 320 240')
    with pytest.raises(RecordingError, match=r'camera\.txt'):
        open_recording(folder)


def test_unknown_camera_is_noted(folder):
    other = folder.rename(folder.with_name('kitchen'))
    recording = open_recording(other)
    assert next(recording.frames()).camera.fx == 525
    assert 'names no freiburg camera' in recording.notes[0]


def test_damaged_files_are_counted(folder):
    image = folder / 'rgb' / f'{RGB[0]}.png'
    image.write_bytes(image.read_bytes()[:-30])
    (folder / 'rgb' / f'{RGB[1]}.png').unlink()
    (folder / 'depth' / f'{DEPTH[2]}.png').write_bytes(b'')
    cv2.imwrite(str(folder / 'depth' / f'{DEPTH[3]}.png'), np.zeros((48, 64), np.uint8))
    recording = open_recording(folder)
    frames = list(recording.frames())
    assert [frame.depth_m for frame in frames] == [None, None]
    assert recording.drops == Counter(image_data=2, depth_data=1, depth_encoding=1)
    list(recording.frames())
    assert recording.drops['image_data'] == 2


def test_image_of_another_size(folder):
    cv2.imwrite(str(folder / 'rgb' / f'{RGB[2]}.png'), np.zeros((24, 32, 3), np.uint8))
    recording = open_recording(folder)
    assert len(list(recording.frames())) == 3
    assert recording.drops == Counter(image_size=1)


def test_bad_lines_are_counted(folder):
    list_file = folder / 'rgb.txt'
    list_file.write_text(list_file.read_text() + 'soon rgb/x.png\nnan rgb/x.png\n17\n')
    poses = folder / 'groundtruth.txt'
    bad = ['1305031103 nan 0 0 0 0 0 1', '1305031104 0 0 0 0 0 0 2', '1305031105 1', 'x y']
    poses.write_text(poses.read_text() + '\n' + '\n'.join([*bad, '1305031102.1 0 0 0 0 0 0 1']))
    recording = open_recording(folder)
    assert len(list(recording.frames())) == 4
    expected = Counter(stamp=2, image_list=1, ground_truth_pose=4, time_backwards=1)
    assert recording.drops == expected


def test_stamps_that_go_backwards(folder):
    lines = (folder / 'rgb.txt').read_text().splitlines()
    (folder / 'rgb.txt').write_text('\n'.join([lines[1], lines[3], lines[2], lines[4]]))
    recording = open_recording(folder)
    assert len(list(recording.frames())) == 3
    assert recording.drops == Counter(time_backwards=1)


def test_empty_list(folder):
    (folder / 'rgb.txt').write_text('# nothing\n')
    with pytest.raises(RecordingError, match='holds no frame'):
        open_recording(folder)


def test_ground_truth_without_any_pose(folder):
    (folder / 'groundtruth.txt').write_text('# nothing\n')
    with pytest.raises(RecordingError, match='holds no valid pose'):
        open_recording(folder)


def test_binary_list(folder):
    (folder / 'rgb.txt').write_bytes(b'\xff\xfe\x00\x01')
    with pytest.raises(RecordingError, match='no text file'):
        open_recording(folder)


def test_odometry_file_of_the_body(folder, tmp_path):
    file = tmp_path / 'vio.tum'
    file.write_text('1305031102.1 1 0 0 0 0 0 1\n1305031102.3 3 0 0 0 0 0 1\n')
    T_body_camera = se3.make_pose(None, [0, 0, 0.5])
    options = RecordingOptions(odometry_file=file, T_body_camera=T_body_camera)
    recording = open_recording(folder, options)
    (frame, *_) = recording.frames()
    np.testing.assert_allclose(frame.T_odom_camera[:3, 3], [1.75304, 0, 0.5], atol=1e-5)


def test_odometry_file_is_missing(folder, tmp_path):
    with pytest.raises(RecordingError, match='cannot read'):
        open_recording(folder, RecordingOptions(odometry_file=tmp_path / 'none.tum'))


stamps = st.lists(st.integers(0, 200), unique=True, max_size=12)


def test_the_nearest_pair_goes_first():
    ours, others = np.array([0, 10, 20]), np.array([9, 24])
    assert associate(ours, others, 10).tolist() == [-1, 0, 1]
    assert associate(ours, others, 9).tolist() == [-1, 0, 1]
    assert associate(ours, others[:1], 10).tolist() == [-1, 0, -1]
    assert associate(ours, np.array([14]), 10).tolist() == [-1, 0, -1]


@given(ours=stamps, others=stamps, slop=st.integers(0, 30))
def test_association_is_greedy(ours, others, slop):
    partners = associate(np.array(ours, np.int64), np.array(others, np.int64), slop)
    distance = {(i, j): abs(a - b) for i, a in enumerate(ours) for j, b in enumerate(others)}
    chosen = [(i, j) for i, j in enumerate(partners.tolist()) if j >= 0]
    assert len({j for _, j in chosen}) == len(chosen)
    assert all(distance[pair] <= slop for pair in chosen)
    for (i, j), gap in distance.items():  # a pair is left only for one at least as near
        rivals = [distance[pair] for pair in chosen if pair[0] == i or pair[1] == j]
        assert gap > slop or min(rivals, default=slop + 1) <= gap
