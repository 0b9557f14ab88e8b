from collections import Counter

import cv2
import numpy as np
import pytest
import yaml

from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.geometry import se3

START_NS = 1403636579763555584
T_BS = se3.expmap([0.1, -0.2, 1.5, 0.02, 0.06, 0.01])


@pytest.fixture
def folder(tmp_path, synthetic):
    root = tmp_path / 'MH_01_easy'
    cam0 = root / 'mav0' / 'cam0'
    (cam0 / 'data').mkdir(parents=True)
    stamps = [START_NS + number * 50_000_000 for number in range(3)]
    rows = [f'{stamp},{stamp}.png' for stamp in stamps]
    (cam0 / 'data.csv').write_text('\r\n'.join(['#timestamp [ns],filename', *rows, '']))
    for number, stamp in enumerate(stamps):
        image = synthetic.frame(number).image[:, :, 0]
        cv2.imwrite(str(cam0 / 'data' / f'{stamp}.png'), image)
    settings = {
        'T_BS': {'rows': 4, 'cols': 4, 'data': T_BS.ravel().tolist()},
        'resolution': [64, 48],
        'camera_model': 'pinhole',
        'intrinsics': [45.8, 45.7, 36.7, 24.8],
        'distortion_model': 'radial-tangential',
        'distortion_coefficients': [-0.28, 0.07, 0.0002, 1.8e-05],
    }
    (cam0 / 'sensor.yaml').write_text('#sensor\n' + yaml.safe_dump(settings))
    truth = root / 'mav0' / 'state_groundtruth_estimate0'
    truth.mkdir()
    rows = [f'{START_NS + i * 5_000_000},{i},2,3,0,1,0,0,0,0,0' for i in range(-2, 30)]
    (truth / 'data.csv').write_text('\n'.join(['#timestamp, p, q wxyz', *rows]))
    return root


@pytest.mark.parametrize('inside', ['', 'mav0'])
def test_frames(folder, synthetic, inside):
    recording = open_recording(folder / inside)
    frames = list(recording.frames())
    assert (recording.name, len(frames)) == ('MH_01_easy', 3)
    assert frames[1].stamp_ns == START_NS + 50_000_000
    np.testing.assert_array_equal(frames[1].image, synthetic.frame(1).image[:, :, 0])
    assert frames[0].depth_m is None
    camera = frames[0].camera
    assert (camera.fx, camera.cy, camera.distortion[0]) == (45.8, 24.8, -0.28)
    # q = (w 0, x 1, 0, 0) turns the body by 180 degrees about x
    T_world_body = se3.make_pose(np.diag([1, -1, -1]), [10, 2, 3])
    np.testing.assert_allclose(frames[1].T_world_camera, T_world_body @ T_BS, atol=1e-9)
    assert not recording.drops


def test_body_camera_option(folder):
    options = RecordingOptions(T_body_camera=np.eye(4))
    (frame, *_) = open_recording(folder, options).frames()
    np.testing.assert_allclose(frame.T_world_camera[:3, 3], [0, 2, 3], atol=1e-9)


def test_without_ground_truth(folder):
    (folder / 'mav0' / 'state_groundtruth_estimate0' / 'data.csv').unlink()
    recording = open_recording(folder)
    assert recording.ground_truth is None
    assert len(list(recording.frames())) == 3


def test_bad_lines_are_counted(folder):
    table = folder / 'mav0' / 'cam0' / 'data.csv'
    table.write_text(table.read_text() + 'now,x.png\n5\n-7,x.png\n')
    truth = folder / 'mav0' / 'state_groundtruth_estimate0' / 'data.csv'
    truth.write_text(truth.read_text() + f'\n{2 * START_NS},nan,2,3,0,1,0,0\n5,1,2\n')
    recording = open_recording(folder)
    assert len(list(recording.frames())) == 3
    assert recording.drops == Counter(stamp=2, image_list=1, ground_truth_pose=2)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('intrinsics', [0, 45, 36, 24]),
        ('intrinsics', [45]),
        ('resolution', None),
        ('distortion_model', 'omni'),
        ('distortion_coefficients', [1.0]),
        ('T_BS', {'data': [1.0] * 16}),
        ('T_BS', {'data': [1.0] * 9}),
    ],
)
def test_bad_sensor_file(folder, key, value):
    path = folder / 'mav0' / 'cam0' / 'sensor.yaml'
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), key: value}))
    with pytest.raises(RecordingError, match=r'sensor\.yaml.* holds no valid'):
        open_recording(folder)


@pytest.mark.parametrize('content', ['a: [', '7', ''])
def test_sensor_file_that_is_none(folder, content):
    (folder / 'mav0' / 'cam0' / 'sensor.yaml').write_text(content)
    with pytest.raises(RecordingError, match=r'sensor\.yaml'):
        open_recording(folder)


def test_missing_sensor_file(folder):
    (folder / 'mav0' / 'cam0' / 'sensor.yaml').unlink()
    with pytest.raises(RecordingError, match='cannot read'):
        open_recording(folder)
