import csv
import json
import math
import shutil

import cv2
import numpy as np
import pytest
from synthetic import START_NS, make_frame, out_and_back, write_seven_scenes

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.config_file import load_config
from s3e_gnn_ros.data.bag_writer import BagWriter
from s3e_gnn_ros.geometry import se3

NUM_FRAMES = 24
DRIFT = ['--odometry', 'groundtruth', '--drift', 'translation=0.02,rotation_deg=1,seed=3']
SETTINGS = """/**:
  ros__parameters:
    features: {num_features: 400}
    retrieval: {max_candidates: 1}
"""
COLUMNS = (
    'query_id,match_id,query_stamp_ns,match_stamp_ns,tx,ty,tz,qx,qy,qz,qw,'
    'num_inliers,inlier_ratio,similarity,translation_error_m,rotation_error_deg'
)
FILES = {
    'trajectory_odometry.tum',
    'trajectory_optimised.tum',
    'groundtruth.tum',
    'closures.csv',
    'queries.csv',
    'pose_graph.g2o',
    'metrics.json',
    'config.yaml',
    'report.html',
    'figures',
}


def replay(*arguments):
    return main(['replay', *map(str, arguments)])


def no_constant(text):
    raise AssertionError(f'{text} is no JSON')


@pytest.fixture(scope='module')
def poses():
    return out_and_back(NUM_FRAMES)


@pytest.fixture(scope='module')
def recording(tmp_path_factory, poses):
    return write_seven_scenes(tmp_path_factory.mktemp('data') / 'seq-01', poses)


@pytest.fixture(scope='module')
def settings(tmp_path_factory):
    """Few features and closures: quick."""
    path = tmp_path_factory.mktemp('settings') / 'quick.yaml'
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope='module')
def out(tmp_path_factory, recording, settings):
    """The result folder of the recording."""
    out = tmp_path_factory.mktemp('results') / 'new' / 'corner'
    assert replay(recording, '--out', out, '--config', settings, *DRIFT) == 0
    return out


def rows_of(out):
    with (out / 'closures.csv').open(newline='') as file:
        return list(csv.DictReader(file))


def test_every_file_is_there(out):
    assert {path.name for path in out.iterdir()} == FILES
    assert all(path.stat().st_size > 0 for path in out.rglob('*'))
    figures = {path.name for path in (out / 'figures').iterdir()}
    assert {'trajectory.png', 'error.png', 'similarity.png', 'latency.png'} <= figures
    for path in (out / 'figures').iterdir():
        assert cv2.imread(str(path)) is not None


def test_closures_have_the_columns_and_the_truth(out, poses):
    assert (out / 'closures.csv').read_text().splitlines()[0] == COLUMNS
    rows = rows_of(out)
    assert len(rows) >= 5
    for row in rows:
        quat = [float(row[name]) for name in ('qx', 'qy', 'qz', 'qw')]
        T = se3.pose_from_quat([float(row[name]) for name in ('tx', 'ty', 'tz')], quat)
        T_world_query, T_world_match = (
            poses[round(int(row[name]) * 30 / 1e9 / 9)]
            for name in ('query_stamp_ns', 'match_stamp_ns')
        )
        error = se3.inverse(T) @ se3.inverse(T_world_match) @ T_world_query
        assert se3.translation_m(error) < 0.05
        assert se3.translation_m(error) == pytest.approx(
            float(row['translation_error_m']), abs=1e-5
        )
        assert int(row['match_id']) < int(row['query_id'])
        assert int(row['num_inliers']) >= 20
        assert 0 < float(row['inlier_ratio']) <= 1
        assert 0 < float(row['similarity']) <= 1


def test_metrics_are_strict_json_and_fit_the_tables(out):
    metrics = json.loads((out / 'metrics.json').read_text(), parse_constant=no_constant)
    assert metrics['num_closures'] == len(rows_of(out))
    assert metrics['num_wrong_closures'] == 0
    assert metrics['num_frames'] == NUM_FRAMES
    assert 0 < metrics['ate_rmse_m_optimised'] < metrics['ate_rmse_m_odometry']
    assert {'features', 'retrieval', 'verification', 'optimisation'} <= set(metrics['latency_ms'])
    assert metrics['num_keyframes'] == len((out / 'queries.csv').read_text().splitlines()) - 1
    for name in ('trajectory_odometry.tum', 'trajectory_optimised.tum', 'groundtruth.tum'):
        table = np.loadtxt(out / name)
        assert table.shape == (NUM_FRAMES, 8)
        assert (np.diff(table[:, 0]) > 0).all()


def test_the_report_needs_no_network(out):
    page = (out / 'report.html').read_text()
    assert 'data:image' in page
    for text in ('src="http', 'href="http', '<link', '<script src'):
        assert text not in page


def test_a_second_run_gives_the_same_bytes_and_json(recording, settings, out, tmp_path, capsys):
    again = tmp_path / 'again'
    options = ['--config', settings, '--json', *DRIFT]
    assert replay(recording, '--out', again, *options) == 0
    printed = json.loads(capsys.readouterr().out, parse_constant=no_constant)
    written = json.loads((again / 'metrics.json').read_text())
    assert printed == written
    for name in ('closures.csv', 'queries.csv', 'pose_graph.g2o', 'trajectory_optimised.tum'):
        assert (again / name).read_bytes() == (out / name).read_bytes()
    timed = {'latency_ms', 'wall_s', 'real_time_factor'}
    before = json.loads((out / 'metrics.json').read_text())
    same = [{k: v for k, v in m.items() if k not in timed} for m in (before, written)]
    assert same[0] == same[1]
    assert not any(math.isnan(v) for v in written.values() if isinstance(v, float))


def test_a_bag_with_its_own_odometry_and_settings(tmp_path, poses, capsys):
    with BagWriter(tmp_path / 'bag') as writer:
        for number, T in enumerate(poses[:6]):
            frame = make_frame(T, START_NS + number * 300_000_000)
            writer.write_frame(frame)
            writer.write_odometry(frame.stamp_ns, T)
    config = tmp_path / 'mine.yaml'
    config.write_text('/**:\n  ros__parameters:\n    features:\n      num_features: 321\n')
    options = ['--config', config, '--retrieval', 'bow']
    assert replay(tmp_path / 'bag', '--out', tmp_path / 'out', *options) == 0
    text = capsys.readouterr().out
    assert '6 frames' in text
    assert str(tmp_path / 'out' / 'report.html') in text
    assert load_config(tmp_path / 'out' / 'config.yaml').features.num_features == 321
    # No ground truth: no such file, and no error in the table.
    assert not (tmp_path / 'out' / 'groundtruth.tum').exists()
    assert json.loads((tmp_path / 'out' / 'metrics.json').read_text())['ate_ratio'] is None


def one_line(capsys):
    captured = capsys.readouterr()
    assert captured.out == ''
    line = [line for line in captured.err.splitlines() if not line.startswith('replay:')]
    assert len(line) == 1, captured.err
    assert line[0].startswith('s3e-gnn replay: ')
    return line[0]


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (['--retrieval', 'netvlad'], 'netvlad'),
        (['--live', '--odometry', 'rgbd'], '--odometry rgbd'),
        (['--config', '/nowhere/x.yaml'], '/nowhere/x.yaml'),
        (['--odometry-file', '/nowhere/odometry.txt'], '/nowhere/odometry.txt'),
        (['--drift', 'translation=0.1'], '--drift'),
        (['--odometry', 'groundtruth', '--drift', 'sideways=1'], 'sideways'),
        (['--camera', '1,2,3'], '1,2,3'),
        (['--odometry', 'none'], 'no frame with an image and a pose'),
        ([], 'no odometry of its own'),
    ],
)
def test_wrong_options_are_one_line(recording, tmp_path, capsys, options, expected):
    assert replay(recording, '--out', tmp_path / 'out', *options) == 2
    assert expected in one_line(capsys)
    assert not list((tmp_path / 'out').glob('*'))


def test_a_wrong_recording_is_one_line(tmp_path, capsys):
    missing, empty, file = (tmp_path / name for name in ('missing', 'empty', 'file.txt'))
    empty.mkdir()
    file.write_text('hello')
    for path in (missing, empty, file):
        assert replay(path, '--out', tmp_path / 'out') == 2
        assert str(path) in one_line(capsys)
    assert not (tmp_path / 'out').exists()


def test_broken_images_are_counted_and_a_result_in_the_way_is_named(recording, tmp_path, capsys):
    broken = tmp_path / 'seq-02'
    shutil.copytree(recording, broken)
    for path in sorted(broken.glob('*.color.png'))[:-2]:
        path.write_bytes(b'no picture')
    assert replay(broken, '--out', tmp_path / 'out', '--json', *DRIFT) == 0
    metrics = json.loads(capsys.readouterr().out)
    assert metrics['num_frames'] == 2
    assert sum(metrics['drops'].values()) == NUM_FRAMES - 2
    (tmp_path / 'file').write_text('')
    assert replay(broken, '--out', tmp_path / 'file', *DRIFT) == 2
    assert str(tmp_path / 'file') in one_line(capsys)
