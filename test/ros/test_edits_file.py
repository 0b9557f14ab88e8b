"""What a person has done to closures outlives the node."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip('s3e_gnn_ros.srv')

from graph_bench import Bench, closure

from s3e_gnn_ros import srv
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.ros.edits_file import FILE_NAME, EditsFile
from s3e_gnn_ros.ros.graph_builder import pair_of
from s3e_gnn_ros.types import KeyframeKey

REQUEST = srv.EditClosure.Request
PAIR = KeyframeKey(1, 0), KeyframeKey(2**63, 8)


def bench(file: EditsFile) -> Bench:
    return Bench(file).drive()


def weights(of: Bench) -> dict:
    of.poses()
    return {(m, q): w for m, q, w in of.builder.graph.closure_weights()}


def test_what_was_written_is_read(tmp_path):
    file = EditsFile(tmp_path / 'maps')
    assert file.read() == {}
    assert not (tmp_path / 'maps').exists()  # nothing is made for nothing
    file.write({'removed': [PAIR], 'pinned': []})
    assert file.read() == {'removed': [PAIR], 'pinned': []}


def test_a_new_node_makes_the_edits_again(tmp_path):
    first, wrong = bench(EditsFile(tmp_path)), closure(10, 2, shift_m=4.0)
    items = [closure(8, 0), closure(9, 1), wrong, closure(11, 3)]
    for item in items:
        first.builder.add_closure(item)
    first.builder.edit(REQUEST.REMOVE, pair_of(items[0]))
    first.builder.edit(REQUEST.PIN, pair_of(wrong))
    second = bench(EditsFile(tmp_path))
    for item in items:
        second.builder.add_closure(item)
    assert weights(second) == pytest.approx(weights(first))
    assert weights(second)[pair_of(wrong)] > 0
    assert pair_of(items[0]) not in {pair for pair, w in weights(second).items() if w > 0}
    np.testing.assert_allclose(second.poses(), first.poses(), atol=1e-4)
    second.builder.edit(REQUEST.ADD, pair_of(items[0]))
    second.builder.edit(REQUEST.UNPIN, pair_of(wrong))
    third = bench(EditsFile(tmp_path))
    for item in items:
        third.builder.add_closure(item)
    assert weights(third)[pair_of(items[0])] > 0
    assert weights(third)[pair_of(wrong)] == 0
    assert not first.drops + second.drops + third.drops


def test_a_closure_that_waits_for_its_keyframes_is_edited_when_they_come(tmp_path):
    wrong, removed = closure(10, 2, shift_m=4.0), closure(8, 0)
    pairs = {'pinned': [pair_of(wrong)], 'removed': [pair_of(removed)]}
    EditsFile(tmp_path).write(pairs)
    robot = Bench(EditsFile(tmp_path))
    for item in (wrong, removed, closure(9, 1), closure(11, 3)):
        robot.builder.add_closure(item)
    robot.drive()
    assert not robot.drops
    assert weights(robot)[pair_of(wrong)] > 0
    assert weights(robot).get(pair_of(removed), 0) == 0
    robot.builder.edit(REQUEST.UNPIN, pair_of(wrong))
    robot.builder.edit(REQUEST.ADD, pair_of(removed))
    assert weights(robot)[pair_of(removed)] > 0
    assert weights(robot)[pair_of(wrong)] == 0


def test_two_robots_with_one_folder_keep_both_their_edits(tmp_path):
    robots = bench(EditsFile(tmp_path)), bench(EditsFile(tmp_path))
    for robot, item in zip(robots, (closure(8, 0), closure(9, 1)), strict=True):
        robot.builder.add_closure(item)
        robot.builder.edit(REQUEST.REMOVE, pair_of(item))
    removed = EditsFile(tmp_path).read()['removed']
    assert removed == [pair_of(closure(8, 0)), pair_of(closure(9, 1))]


@pytest.mark.parametrize(
    'content',
    [
        'x',
        '[]',
        '{"removed": 1}',
        '{"removed": [[1, 2, 3]]}',
        '{"removed": [[1, 2, 3, -1]]}',
        '{"removed": [[1, 4294967296, 3, 1]]}',
        '{"removed": [[1, 2, 3, true]]}',
        '[' * 100_000,
    ],
)
def test_a_damaged_file_is_said_once_and_left_alone(tmp_path, content):
    path = tmp_path / FILE_NAME
    path.write_text(content)
    robot = bench(EditsFile(tmp_path))
    robot.builder.add_closure(closure(8, 0))
    robot.builder.edit(REQUEST.REMOVE, pair_of(closure(8, 0)))
    assert pair_of(closure(8, 0)) not in {p for p, w in weights(robot).items() if w > 0}
    assert {reason for reason, _ in robot.drops} == {'edits_file'}
    assert FILE_NAME in robot.drops[0][1]
    assert path.read_text() == content


def test_a_folder_that_cannot_be_made_costs_no_edit(tmp_path):
    (tmp_path / 'maps').write_text('a file')
    robot = bench(EditsFile(tmp_path / 'maps'))
    robot.builder.add_closure(closure(8, 0))
    robot.builder.edit(REQUEST.REMOVE, pair_of(closure(8, 0)))
    assert pair_of(closure(8, 0)) not in {p for p, w in weights(robot).items() if w > 0}
    assert {reason for reason, _ in robot.drops} == {'edits_file'}


def test_a_link_is_not_followed(tmp_path):
    target = tmp_path / 'elsewhere.json'
    target.write_text(json.dumps({'removed': []}))
    (tmp_path / FILE_NAME).symlink_to(target)
    with pytest.raises(InputError, match='symbolic link'):
        EditsFile(tmp_path).read()
    with pytest.raises(InputError, match='symbolic link'):
        EditsFile(tmp_path).write({'removed': [PAIR]})
