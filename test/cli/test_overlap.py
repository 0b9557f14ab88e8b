"""``s3e-gnn overlap`` on a corner of a room, and the pictures it draws."""

import json

import cv2
import numpy as np
import pytest
from synthetic import out_and_back, write_seven_scenes

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation import bench_overlap
from s3e_gnn_ros.evaluation.figure_style import png_bytes
from s3e_gnn_ros.evaluation.overlap_figure import comparison_figure, overlap_figure

NUM_FRAMES = 12


def overlap(*arguments):
    return main(['overlap', *map(str, arguments)])


@pytest.fixture(scope='module')
def recording(tmp_path_factory):
    poses = out_and_back(NUM_FRAMES)
    return write_seven_scenes(tmp_path_factory.mktemp('data') / 'seq-01', poses)


def test_writes_arrays_and_heatmap(recording, tmp_path, capsys):
    out = tmp_path / 'iou.npz'
    assert overlap(recording, '--out', out, '--json') == 0
    result = json.loads(capsys.readouterr().out)
    arrays = np.load(out)
    N = result['num_keyframes']
    assert 3 < N <= NUM_FRAMES
    assert arrays['overlap'].shape == arrays['symmetric'].shape == (N, N)
    assert arrays['overlap'].dtype == arrays['symmetric'].dtype == np.float32
    assert (np.diag(arrays['overlap']) == 1).all()
    np.testing.assert_array_equal(arrays['symmetric'], arrays['symmetric'].T)
    assert (np.diff(arrays['stamps_ns']) > 0).all()
    assert arrays['T_world_camera'].shape == (N, 4, 4)
    # The camera comes back the way it went.
    assert arrays['overlap'][0, -1] > 0.9 > arrays['overlap'][0, N // 2] > 0.1
    assert result['num_pairs'] == N * (N - 1) // 2 == result['num_pairs_overlapping']
    assert result['drops'] == {}
    assert cv2.imread(str(tmp_path / 'iou.png')) is not None


def test_options_and_text(recording, tmp_path, capsys):
    out, figure = tmp_path / 'iou.npz', tmp_path / 'picture.png'
    options = ['--min-translation', 0, '--min-rotation', 0, '--width', 20, '--tolerance', 0.02]
    assert overlap(recording, '--out', out, '--figure', figure, *options) == 0
    text = capsys.readouterr().out
    assert f'{NUM_FRAMES} keyframes, 66 of 66 pairs overlap' in text
    assert str(figure) in text
    assert np.load(out)['overlap'].shape == (NUM_FRAMES, NUM_FRAMES)
    assert not (tmp_path / 'iou.png').exists()
    # The same recording gives the same bytes.
    before = [file.read_bytes() for file in (out, figure)]
    assert overlap(recording, '--out', out, '--figure', figure, *options) == 0
    assert before == [file.read_bytes() for file in (out, figure)]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--out', 'missing/iou.npz'], "there is no folder 'missing'"),
        (['--out', 'iou.txt'], "--out is 'iou.txt'"),
        (['--out', 'folder.npz'], "--out is 'folder.npz', which is a folder"),
        (['--out', 'iou.npz', '--figure', 'iou.jpg'], "--figure is 'iou.jpg'"),
        (['--out', 'iou.npz', '--device', 'abacus'], "no device 'abacus'"),
        (['--out', 'iou.npz', '--width', '0'], 'width_px is 0'),
        (['--out', 'iou.npz', '--max-depth', '0'], 'depth from 0.1 m to 0.0 m'),
        (['--out', 'iou.npz', '--tolerance', '1'], 'tolerance_m is 1.0'),
        (['--out', 'iou.npz', '--odometry', 'rgbd'], '--odometry and --drift have no meaning'),
    ],
)
def test_wrong_options_are_one_line(recording, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder.npz').mkdir()
    assert overlap(recording, *options) == 2
    assert message in last_line(capsys)
    assert not list(tmp_path.glob('iou*'))


@pytest.mark.parametrize(
    ('pattern', 'message'), [('*.pose.txt', 'no ground truth poses'), ('*.depth.png', 'no depth')]
)
def test_a_recording_without_truth_or_depth(tmp_path, capsys, pattern, message):
    folder = write_seven_scenes(tmp_path / 'seq-01', out_and_back(3))
    for path in folder.glob(pattern):
        path.unlink()
    assert overlap(folder, '--out', tmp_path / 'iou.npz') == 2
    assert message in last_line(capsys)


def last_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ''
    *_, line = captured.err.strip().splitlines()
    assert line.startswith('s3e-gnn overlap: ')
    return line


def test_figures():
    true = np.random.default_rng(0).random((5, 8)).astype(np.float32)
    true[0, 0] = np.nan
    figure = comparison_figure(true, true * 0.9)
    titles = [axes.get_title(loc='left') for axes in figure.axes]
    assert titles[:2] == ['True', 'Predicted']
    largest = np.nanmax(true) * 0.1
    assert titles[2] == f'Error: mean {np.nanmean(true) * 0.1:.3f}, max {largest:.3f}'
    images = [axes.images[0] for axes in figure.axes[:3]]
    assert [image.get_clim() for image in images] == [(0, 1), (0, 1), (0, 0.1)]
    for drawn in (figure, overlap_figure(np.eye(3), 'x'), overlap_figure(np.eye(0), 'x')):
        assert png_bytes(drawn).startswith(b'\x89PNG')
    with pytest.raises(InputError, match=r'\(5, 8\)'):
        overlap_figure(true, 'x')
    with pytest.raises(InputError, match='the predicted'):
        comparison_figure(true, true[:3])


def test_rows_of_the_benchmark(monkeypatch):
    monkeypatch.setattr(bench_overlap, '_NUM_VIEWS', 8)
    monkeypatch.setattr(bench_overlap, '_NUM_LOOPED', 1)
    rows = bench_overlap.overlap_rows()
    ends = ['with culling', 'without culling', 'plain loop']
    assert [row.name for row in rows] == [f'overlap of a pair, {end}' for end in ends]
    assert all((row.samples_ms > 0).all() for row in rows)
