"""The files other programs read."""

import csv
import io
import json

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation import files
from s3e_gnn_ros.evaluation.closure_error import Tolerance, check_closures
from s3e_gnn_ros.geometry.se3 import expmap, pose_from_quat
from s3e_gnn_ros.geometry.trajectory import Trajectory

COLUMNS = (
    'query_id,match_id,query_stamp_ns,match_stamp_ns,tx,ty,tz,qx,qy,qz,qw,'
    'num_inliers,inlier_ratio,similarity,translation_error_m,rotation_error_deg'
)


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_tum_keeps_nanoseconds_and_poses():
    stamps = np.array([1_700_000_000_000_000_001, 1_700_000_001_000_000_000], dtype=np.int64)
    poses = np.array([expmap([0.1, 0.2, 0.3, 1, 2, 3]), expmap([3, 0, 0, -1, 0, 0])])
    lines = files.tum_text(Trajectory(stamps, poses)).splitlines()
    assert lines[0].startswith('1700000000.000000001 ')
    assert lines[1].startswith('1700000001.000000000 ')
    for line, pose in zip(lines, poses, strict=True):
        values = [float(value) for value in line.split()[1:]]
        np.testing.assert_allclose(pose_from_quat(values[:3], values[3:]), pose, atol=1e-8)


def test_closures_have_exactly_the_columns(run):
    checks = check_closures(run.closures, run.ground_truth, run.odometry, Tolerance())
    text = files.closures_csv(run.closures, checks)
    assert text.splitlines()[0] == COLUMNS
    rows = table(text)
    assert len(rows) == len(run.closures)
    first, closure = rows[0], run.closures[0]
    assert (first['query_id'], first['match_id']) == ('45', '5')
    assert int(first['query_stamp_ns']) == closure.query_stamp_ns
    T = pose_from_quat(
        [float(first[name]) for name in ('tx', 'ty', 'tz')],
        [float(first[name]) for name in ('qx', 'qy', 'qz', 'qw')],
    )
    np.testing.assert_allclose(T, closure.T_match_query, atol=1e-8)
    assert float(first['translation_error_m']) == pytest.approx(0.05)
    assert float(first['rotation_error_deg']) == pytest.approx(0, abs=1e-5)


def test_without_truth_the_errors_stay_empty(run):
    checks = check_closures(run.closures, None, run.odometry, Tolerance())
    text = files.closures_csv(run.closures, checks)
    assert text.splitlines()[0] == COLUMNS
    assert {row['translation_error_m'] + row['rotation_error_deg'] for row in table(text)} == {''}


def test_queries_name_their_status(run):
    rows = table(files.queries_csv(run.queries))
    assert len(rows) == len(run.queries)
    assert rows[0]['status'] == 'NO_DB_RESULTS'
    assert rows[0]['best_match_id'] == rows[0]['best_similarity'] == ''
    assert rows[45]['status'] == 'LOOP_DETECTED'
    assert (rows[45]['best_match_id'], rows[45]['best_similarity']) == ('5', '0.500000')


def test_json_is_strict():
    assert json.loads(files.json_text({'a': None})) == {'a': None}
    with pytest.raises(ValueError, match='not JSON compliant'):
        files.json_text({'a': float('nan')})


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / 'metrics.json'
    files.write_atomic(path, 'old')

    def fail(_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(files.os, 'fsync', fail)
    with pytest.raises(InputError, match=r"metrics\.json': No space left"):
        files.write_atomic(path, 'new')
    assert path.read_text() == 'old'
    assert [each.name for each in tmp_path.iterdir()] == ['metrics.json']


def test_a_file_in_the_way_is_a_known_error(tmp_path):
    (tmp_path / 'out').write_text('a file')
    with pytest.raises(InputError, match='cannot create folder'):
        files.make_directory(tmp_path / 'out')
    with pytest.raises(InputError, match='cannot write'):
        files.write_atomic(tmp_path / 'out' / 'metrics.json', '')
