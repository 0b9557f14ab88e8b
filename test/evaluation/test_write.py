"""The whole folder of a run."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.config_file import load_config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation import write
from s3e_gnn_ros.evaluation.run_figures import shrink
from s3e_gnn_ros.geometry.trajectory import Trajectory

DATA = {
    'trajectory_odometry.tum',
    'trajectory_optimised.tum',
    'groundtruth.tum',
    'closures.csv',
    'queries.csv',
    'pose_graph.g2o',
    'config.yaml',
    'metrics.json',
    'report.html',
    'figures',
}
FIGURES = {'trajectory.png', 'error.png', 'similarity.png', 'queries.png', 'latency.png'}


class Page(HTMLParser):
    """Collects what a page would load, and whether its tags close."""

    VOID = frozenset(('meta', 'img', 'br'))

    def __init__(self, text):
        super().__init__()
        self.sources, self.open_tags, self.text = [], [], ''
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.sources += [value for name, value in attrs if name in ('src', 'href')]
        if tag not in self.VOID:
            self.open_tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag

    def handle_data(self, data):
        self.text += data


def names(directory):
    return {path.name for path in directory.iterdir()}


@pytest.fixture(scope='module')
def written(run, tmp_path_factory):
    directory = tmp_path_factory.mktemp('out') / 'new' / 'folder'
    write.write_result(run, directory)
    return directory


def test_every_file_is_there(written):
    assert names(written) == DATA
    assert names(written / 'figures') == FIGURES | {f'closure_{i:04d}.png' for i in range(7)}
    for path in (written / 'figures').iterdir():
        assert path.read_bytes().startswith(b'\x89PNG')


def test_files_read_back(written, run):
    metrics = json.loads((written / 'metrics.json').read_text())
    assert metrics['num_closures'] == 7
    assert load_config(written / 'config.yaml') == Config()
    assert (written / 'pose_graph.g2o').read_text() == run.g2o
    for name in ('trajectory_odometry', 'trajectory_optimised', 'groundtruth'):
        assert np.loadtxt(written / f'{name}.tum').shape == (320, 8)


def test_the_page_is_whole_and_loads_nothing(written):
    page = Page((written / 'report.html').read_text())
    assert page.open_tags == []
    assert len(page.sources) == len(FIGURES) + 7
    assert all(source.startswith('data:image/') for source in page.sources)
    assert 'Loop closure on square <two laps>' in page.text
    assert 'Odometry turned by 0.05 deg per frame.' in page.text
    assert '45 and 5' in page.text


def test_the_same_run_gives_the_same_files(written, run, tmp_path):
    write.write_result(run, tmp_path)
    for path in (p for p in written.rglob('*') if p.is_file()):
        assert (tmp_path / path.relative_to(written)).read_bytes() == path.read_bytes(), path.name


def test_a_poorer_run_leaves_nothing_of_the_last_one(run, make_run, tmp_path):
    write.write_result(run, tmp_path)
    (tmp_path / 'mine.txt').write_text('not ours')
    poorer = make_run(ground_truth=None, similarity=None, closures=run.closures[:1], stage_ms={})
    write.write_result(poorer, tmp_path)
    assert names(tmp_path) == (DATA | {'mine.txt'}) - {'groundtruth.tum'}
    assert names(tmp_path / 'figures') == {'trajectory.png', 'queries.png', 'closure_0000.png'}
    page = Page((tmp_path / 'report.html').read_text())
    assert page.open_tags == []
    assert 'unknown' in page.text


def test_an_empty_run_still_has_a_report(make_run, tmp_path):
    ids, poses = np.zeros(0, dtype=np.int64), np.zeros((0, 4, 4))
    run = make_run(
        stamps_ns=ids, sessions=ids, keyframe_ids=ids, T_odom_camera=poses, T_map_camera=poses,
        similarity=np.zeros((0, 0), np.float32), odometry=Trajectory(ids, poses),
        ground_truth=None, queries=[], closures=[], images={}, wall_s=0.0,
    )  # fmt: skip
    write.write_result(run, tmp_path)
    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    assert metrics['num_frames'] == metrics['num_closures'] == 0
    assert metrics['real_time_factor'] is None
    assert 'No loop was closed.' in (tmp_path / 'report.html').read_text()


def test_a_figure_that_fails_costs_no_data(run, tmp_path, monkeypatch):
    def fail(_):
        raise MemoryError

    monkeypatch.setattr(write, 'trajectory_figure', fail)
    with pytest.raises(MemoryError):
        write.write_result(run, tmp_path)
    assert names(tmp_path) >= DATA - {'report.html'}


def test_a_file_in_the_way_is_a_known_error(run, tmp_path):
    blocked = tmp_path / 'out'
    blocked.write_text('a file')
    with pytest.raises(InputError, match='cannot create folder'):
        write.write_result(run, blocked)
    assert Path(blocked).read_text() == 'a file'


def test_a_large_matrix_keeps_its_single_bright_entries():
    matrix = np.full((25, 25), np.nan, dtype=np.float32)
    matrix[13:, :5] = 0.1
    matrix[24, 3] = 0.9
    small = shrink(matrix, 10)
    assert small.shape == (9, 9)
    assert np.nanmax(small) == small[8, 1] == np.float32(0.9)
    assert np.isnan(small[0, 8])
    assert shrink(matrix, 25) is matrix
