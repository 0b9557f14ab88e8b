"""``s3e-gnn map`` as a user types it."""

import json

import cv2
import numpy as np
import pytest
from synthetic import out_and_back, write_seven_scenes

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.map_store.store import MapStore

SETTINGS = """
/**:
  ros__parameters:
    retrieval: {method: bow, min_keyframe_gap: 3, min_time_gap_s: 0.5}
    features: {num_features: 300}
"""


@pytest.fixture(scope='module')
def room(tmp_path_factory):
    """A folder of maps with one map, made from the command line."""
    folder = tmp_path_factory.mktemp('maps')
    (folder / 'settings.yaml').write_text(SETTINGS)
    recording = write_seven_scenes(folder / 'recording', out_and_back(12), numbers_apart=30)
    status = main(
        [
            *('map', 'build', str(recording), 'first', '--directory', str(folder)),
            *('--odometry', 'groundtruth', '--session', '5'),
            *('--config', str(folder / 'settings.yaml')),
        ]
    )
    assert status == 0
    return folder


def run(folder, *words):
    return main(['map', words[0], '--directory', str(folder), *words[1:]])


def test_a_map_is_listed_and_described(room, capsys):
    assert run(room, 'list') == 0
    assert 'first: 11 keyframes in 1 sessions' in capsys.readouterr().out
    assert run(room, 'info', 'first', '--json') == 0
    told = json.loads(capsys.readouterr().out)
    assert (told['keyframes'], told['schema'], told['weights']) == (11, 1, '')
    assert told['session'] == [
        {'session': 5, 'robot_id': '', 'keyframes': 11, 'seconds': pytest.approx(11.0, abs=1.0)}
    ]
    assert told['closures'] > 0


def test_a_map_is_copied_exported_and_deleted(room, capsys, tmp_path):
    assert run(room, 'save-as', 'first', str(tmp_path / 'copy')) == 0
    assert (
        run(
            room,
            'export',
            str(tmp_path / 'copy.s3emap'),
            str(tmp_path / 'a.tum'),
            '--format',
            'tum',
        )
        == 0
    )
    assert len((tmp_path / 'a.tum').read_text().splitlines()) == 11
    assert run(room, 'export', 'first', str(tmp_path / 'vins'), '--format', 'vins') == 0
    assert run(room, 'import', str(tmp_path / 'vins'), str(tmp_path / 'again')) == 0
    assert run(tmp_path, 'list') == 0
    out = capsys.readouterr().out
    assert 'again: 11 keyframes' in out
    assert 'copy: 11 keyframes' in out
    assert run(tmp_path, 'delete', 'again') == 0
    assert not (tmp_path / 'again.s3emap').exists()


def test_two_maps_are_merged(room, capsys, tmp_path):
    settings = str(room / 'settings.yaml')
    recording = write_seven_scenes(tmp_path / 'again', out_and_back(8), numbers_apart=30)
    assert (
        run(
            room,
            'build',
            str(recording),
            str(tmp_path / 'b'),
            '--odometry',
            'groundtruth',
            '--config',
            settings,
        )
        == 0
    )
    words = ('first', str(tmp_path / 'b'), str(tmp_path / 'both'))
    assert run(room, 'merge', *words, '--config', settings, '--json') == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index('{') :])['new_closures'] > 0
    assert run(tmp_path, 'info', 'both', '--json') == 0
    assert json.loads(capsys.readouterr().out)['sessions'] == 2


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (('info', 'nothing'), 'nothing.s3emap'),
        (('info', '../first'), 'first'),
        (('info', 'a b'), "'a b'"),
        (('delete', 'nothing'), 'nothing'),
        (('import', 'no_such_folder', 'x'), 'pose_graph.txt'),
        (('merge', 'first', 'first', 'first'), 'first'),
        (('save-as', 'first', 'first'), 'first'),
    ],
)
def test_bad_input_is_one_line_and_status_two(room, capsys, words, message):
    assert run(room, *words) == 2
    err = capsys.readouterr().err
    assert err.startswith('s3e-gnn map: ')
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_damaged_map_is_listed_with_its_problem(room, capsys, tmp_path):
    (tmp_path / 'broken.s3emap').write_bytes(b'SQLite format 3\0' + bytes(100))
    assert run(tmp_path, 'list') == 0
    assert capsys.readouterr().out.startswith('broken: ')
    assert run(tmp_path, 'info', 'broken') == 2


def test_a_map_holds_images_of_a_bare_wall(tmp_path, capsys):
    """They have no keypoint, and an embedding of 0."""
    poses = out_and_back(12)
    recording = write_seven_scenes(tmp_path / 'recording', poses, numbers_apart=30)
    for number in (4, 5, 9):
        path = recording / f'frame-{30 * number:06d}.color.png'
        cv2.imwrite(str(path), np.full_like(cv2.imread(str(path)), 127))
    for session, name in enumerate(('walls', 'again'), 1):
        words = ('--odometry', 'groundtruth', '--session', str(session))
        assert run(tmp_path, 'build', *words, str(recording), name) == 0
    with MapStore.open(tmp_path / 'walls.s3emap', read_only=True) as store:
        embeddings = store.rows().embeddings
    is_blank = np.logical_not(embeddings.any(axis=1))
    assert is_blank.any()
    assert np.allclose(np.linalg.norm(embeddings[~is_blank], axis=1), 1.0, atol=1e-3)
    capsys.readouterr()
    assert run(tmp_path, 'merge', 'walls', 'again', 'both', '--json') == 0
    out = capsys.readouterr().out
    assert json.loads(out[out.index('{') :])['new_closures'] > 0
