"""``s3e-gnn explain`` as a user types it."""

import json

import cv2
import numpy as np
import pytest
from synthetic import out_and_back, write_seven_scenes

from s3e_gnn_ros.cli.main import main
from s3e_gnn_ros.map_store.records import EdgeKind
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.types import KeyframeKey

SETTINGS = """
/**:
  ros__parameters:
    retrieval: {method: bow, min_keyframe_gap: 3, min_time_gap_s: 0.5, max_candidates: 2}
    features: {num_features: 300}
"""
SESSION = 1_763_852_541_000_000_000  # as the nodes number theirs


@pytest.fixture(scope='module')
def maps(tmp_path_factory):
    """A folder with the map of a room, made from the command line."""
    folder = tmp_path_factory.mktemp('maps')
    (folder / 'settings.yaml').write_text(SETTINGS)
    recording = write_seven_scenes(folder / 'recording', out_and_back(12), numbers_apart=30)
    status = main(
        [
            *('map', 'build', str(recording), 'room', '--directory', str(folder)),
            *('--odometry', 'groundtruth', '--session', str(SESSION)),
            *('--config', str(folder / 'settings.yaml')),
        ]
    )
    assert status == 0
    return folder


def explain(folder, *words, name='room'):
    settings = str(folder / 'settings.yaml')
    return main(['explain', name, *words, '--directory', str(folder), '--config', settings])


@pytest.fixture(scope='module')
def closure(maps):
    """One of the closures of the map."""
    with MapStore.open(maps / 'room.s3emap', read_only=True) as store:
        return store.closures()[-1]


def test_a_loop_from_retrieval_to_the_back_end(maps, closure, capsys, tmp_path):
    out = tmp_path / 'a' / 'story'
    ends = str(closure.query_id), f'{SESSION}/{closure.match_id}'
    assert explain(maps, *ends, '--out', str(out)) == 0
    text = capsys.readouterr().out
    assert (out / 'story.txt').read_text() == text
    told = json.loads((out / 'story.json').read_text())
    assert told['query']['session'] == told['match']['session'] == SESSION
    assert (told['stage'], told['status']) == ('loop', 'LOOP_DETECTED')
    assert told['then']['similarity'] == pytest.approx(closure.similarity, abs=1e-5)
    assert told['then']['keyframes'] == closure.query_id
    assert told['now']['keyframes'] == 10
    assert told['then']['rank'] in (1, 2)
    found = told['verification']
    assert found['inliers'] == closure.num_inliers == told['back_end']['inliers']
    assert found['inliers'] / found['matches'] == pytest.approx(closure.inlier_ratio)
    np.testing.assert_allclose(found['T_match_query'], closure.T_match_query)
    back_end = told['back_end']
    assert back_end['weight'] == back_end['solved_anew']['weight'] == 1.0
    assert back_end['solved_anew']['is_in']
    assert back_end['chi2'] < back_end['solved_anew']['max_chi2']
    num_rings = back_end['solved_anew']['num_rings']
    assert back_end['solved_anew']['num_consistent'] == num_rings > 0
    assert back_end['solved_anew']['gnc_weight'] == 1.0
    for line in (
        f'closure      {SESSION}/{closure.query_id} -> {SESSION}/{closure.match_id}',
        f'consistent with {num_rings} of the {num_rings} other closures',
        f'{closure.num_inliers} of {found["matches"]} matches agree',
        'in the pose graph with weight 1.00',
    ):
        assert line in text
    assert cv2.imread(str(out / 'matches.png')).shape == (540, 1288, 3)


def test_no_loop_as_json(maps, capsys):
    assert explain(maps, '5', '4', '--json') == 0
    told = json.loads(capsys.readouterr().out)
    assert (told['stage'], told['status']) == ('exclusion', 'CLOSE_MATCHES_ONLY')
    assert told['then']['exclusion']['gap'] == 1
    assert told['then']['rank'] is None
    assert told['back_end'] is None
    assert '1 keyframes apart, not more than 3' in told['verdict']
    assert told['limits']['retrieval']['min_keyframe_gap'] == 3


def test_asked_the_wrong_way_round(maps, closure, capsys):
    assert explain(maps, str(closure.match_id), str(closure.query_id)) == 0
    text = capsys.readouterr().out
    assert 'the detector was asked the other way round' in text
    assert f'{SESSION}/{closure.query_id} -> {SESSION}/{closure.match_id}' in text


def test_a_closure_taken_out_by_hand(maps, closure, capsys, tmp_path):
    copy = tmp_path / 'copy.s3emap'
    ends = [KeyframeKey(SESSION, number) for number in (closure.query_id, closure.match_id)]
    with MapStore.open(maps / 'room.s3emap', read_only=True) as store:
        store.save_as(copy)
    with MapStore.open(copy) as store:
        store.reject_closure(*ends)
        assert len(store.edges(EdgeKind.REJECTED)) == 1
    words = str(closure.query_id), str(closure.match_id), '--json'
    assert explain(maps, *words, name=str(copy)) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['stage'] == 'loop'
    assert 'taken out of the pose graph by hand' in told['verdict']
    report = told['back_end']['solved_anew']
    assert report['is_removed']
    assert not report['is_in']
    assert report['num_consistent'] > 0  # weighed as if it were put back
    assert told['back_end']['weight'] is None


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (('3', '3'), 'keyframe 3 of session'),
        (('99', '3'), 'there is no keyframe 99 of session'),
        (('3', '7/2'), 'there is no keyframe 2 of session 7'),
        (('three', '2'), "keyframe 'three' is not written as SESSION/ID or ID"),
        (('/3', '2'), "keyframe '/3' is not written"),
        (('3', 'x/2'), "keyframe 'x/2' is not written"),
        (('3', '1/2/3'), "keyframe '1/2/3' is not written"),
    ],
)
def test_bad_keyframes(maps, capsys, words, sentence):
    assert_refused(explain(maps, *words), capsys, sentence)


def assert_refused(status, capsys, sentence):
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ''
    assert captured.err.startswith('s3e-gnn explain: ')
    assert captured.err.count('\n') == 1
    assert sentence in captured.err


def test_no_such_map(maps, capsys):
    assert_refused(explain(maps, '1', '2', name='nowhere'), capsys, 'nowhere.s3emap')


def test_a_map_of_other_weights(maps, capsys):
    assert_refused(
        main(['explain', 'room', '1', '2', '--directory', str(maps)]), capsys, 'weights'
    )


def test_several_sessions_have_to_be_named(maps, capsys, tmp_path):
    with (
        MapStore.open(maps / 'room.s3emap', read_only=True) as room,
        MapStore.create(tmp_path / 'two.s3emap', weights_digest='') as store,
    ):
        store.copy_from(room)
        store.copy_from(room, sessions={SESSION: 9})
    name = str(tmp_path / 'two.s3emap')
    assert_refused(explain(maps, '1', '2', name=name), capsys, 'has 2 sessions')
    assert explain(maps, '9/8', f'{SESSION}/8', '--json', name=name) == 0
    told = json.loads(capsys.readouterr().out)
    assert told['stage'] == 'loop'
    assert not told['then']['exclusion']['is_same_session']
    assert 'the map holds no closure of it' in told['verdict']


def test_a_folder_that_cannot_be_written(maps, capsys, tmp_path):
    (tmp_path / 'file').write_text('')
    status = explain(maps, '5', '4', '--out', str(tmp_path / 'file'))
    assert_refused(status, capsys, 'cannot be written')
