import numpy as np
import pytest
from made_up_map import is_same, make_closure, make_keyframe

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.files import remove_file
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.types import KeyframeKey


@pytest.fixture
def other(tmp_path):
    with MapStore.create(tmp_path / 'b.s3emap', weights_digest='d1', weights_name='w1') as made:
        for number in range(4):
            closures = [make_closure(3, 0, query_session=2, match_session=2)]
            made.add(make_keyframe(number, 2, robot_id='r'), closures if number == 3 else [])
        yield made


def _same_keyframe(a, key_a, b, key_b):
    """Compare all but the key."""
    rows_a, rows_b = a.rows(), b.rows()
    i, j = rows_a.keys.index(key_a), rows_b.keys.index(key_b)
    assert rows_a.stamps_ns[i] == rows_b.stamps_ns[j]
    assert rows_a.robot_ids[i] == rows_b.robot_ids[j]
    assert rows_a.odom_frames[i] == rows_b.odom_frames[j]
    assert np.array_equal(rows_a.T_odom_camera[i], rows_b.T_odom_camera[j])
    assert np.array_equal(rows_a.embeddings[i], rows_b.embeddings[j])
    view_a, view_b = a.view(key_a), b.view(key_b)
    assert view_a.camera == view_b.camera
    assert is_same(view_a.features, view_b.features)
    assert is_same(view_a.depth, view_b.depth)
    assert is_same(view_a.patches, view_b.patches)
    assert np.array_equal(a.thumbnail(key_a), b.thumbnail(key_b))


@pytest.mark.parametrize('batch_size', [None, 1, 3, 100])
def test_all_keyframes_and_closures_are_copied(store, other, batch_size):
    store.add(make_keyframe(0, 1))
    assert store.copy_from(other, batch_size=batch_size) == 4
    assert store.rows().keys == [KeyframeKey(1, 0), *other.rows().keys]
    for key in other.rows().keys:
        _same_keyframe(store, key, other, key)
    assert is_same(store.closures()[0], other.closures()[0])
    assert np.isnan(store.rows().T_map_camera).all()


def test_corrected_poses_move_with_the_map(store, other):
    T_map_other = se3.expmap([0, 0, 1.0, 3, 2, 1])
    T_other_camera = np.stack([se3.expmap([0, 0.1, 0, n, 0, 0]) for n in range(3)])
    other.set_poses(other.rows().keys[:3], T_other_camera)
    store.copy_from(other, T_map_other=T_map_other)
    found = store.rows().T_map_camera
    np.testing.assert_allclose(found[:3], T_map_other @ T_other_camera, atol=1e-12)
    assert np.isnan(found[3]).all()


def test_sessions_get_new_numbers(store, other):
    store.add(make_keyframe(0, 2))
    assert store.copy_from(other, sessions={2: 2**63 + 5}) == 4
    assert store.num_keyframes == 5
    assert {row.session for row in store.sessions()} == {2, 2**63 + 5}
    _same_keyframe(store, KeyframeKey(2**63 + 5, 3), other, KeyframeKey(2, 3))
    assert store.view(KeyframeKey(2**63 + 5, 3)).session == 2**63 + 5
    assert store.closures()[0].query_session == 2**63 + 5


def test_a_second_copy_brings_only_what_is_new(store, other):
    assert store.copy_from(other) == 4
    other.add(make_keyframe(9, 2), [make_closure(9, 1, query_session=2, match_session=2)])
    assert store.copy_from(other) == 1
    assert store.rows().keys == other.rows().keys
    assert all(map(is_same, store.closures(), other.closures()))
    assert len(store.closures()) == 2


def test_an_interrupted_copy_is_completed_by_the_next(store, other):
    for number in range(10, 14):
        other.add(make_keyframe(number, 2, num_points=1000))
    with store.database.read() as connection:
        (pages,) = connection.execute('PRAGMA page_count').fetchone()
        connection.execute(f'PRAGMA max_page_count = {pages + 12}')
    with pytest.raises(InputError, match='the disk is full'):
        store.copy_from(other, batch_size=1)
    num_copied = store.num_keyframes
    assert 4 <= num_copied < 8
    with store.database.read() as connection:
        connection.execute('PRAGMA max_page_count = 100000')
    assert store.copy_from(other, batch_size=1) == 8 - num_copied
    assert store.rows().keys == other.rows().keys
    assert len(store.closures()) == 1


def test_a_map_of_other_weights_is_not_copied(store, tmp_path):
    with MapStore.create(tmp_path / 'c.s3emap', weights_digest='d2') as other:
        other.add(make_keyframe(0))
        with pytest.raises(InputError, match='instead of d1: it must be re-embedded'):
            store.copy_from(other)
    assert store.num_keyframes == 0


def test_a_copy_of_an_open_map_is_whole_and_its_own(store, tmp_path):
    store.add(make_keyframe(0))
    store.add(make_keyframe(1), [make_closure(1, 0)])
    copy = tmp_path / 'copy.s3emap'
    store.save_as(copy)
    store.add(make_keyframe(2))
    assert sorted(p.name for p in tmp_path.iterdir() if 'copy' in p.name) == ['copy.s3emap']
    with MapStore.open(copy) as found:
        assert found.rows().keys == [KeyframeKey(1, 0), KeyframeKey(1, 1)]
        assert is_same(found.view(KeyframeKey(1, 1)), make_keyframe(1).view)
        assert is_same(found.closures()[0], make_closure(1, 0))
        found.add(make_keyframe(7))
    assert store.rows().keys == [KeyframeKey(1, number) for number in range(3)]


def test_a_copy_replaces_another_only_when_told(store, other, tmp_path):
    store.add(make_keyframe(0))
    with pytest.raises(InputError, match='being written'):
        store.save_as(other.path, overwrite=True)
    other.close()
    with pytest.raises(InputError, match='exists already'):
        store.save_as(other.path)
    store.save_as(other.path, overwrite=True)
    with MapStore.open(other.path) as found:
        assert found.rows().keys == [KeyframeKey(1, 0)]
    with pytest.raises(InputError, match='cannot write map'):
        store.save_as(tmp_path / 'a.s3emap' / 'b.s3emap')
    with pytest.raises(InputError, match='being written'):
        store.save_as(store.path, overwrite=True)


def test_a_read_only_map_can_be_saved_as_another(store, tmp_path):
    store.add(make_keyframe(0))
    store.close()
    with MapStore.open(store.path, read_only=True) as original:
        original.save_as(tmp_path / 'c.s3emap')
    with MapStore.open(tmp_path / 'c.s3emap') as copy:
        assert copy.num_keyframes == 1


def test_a_map_is_deleted_with_what_lies_beside_it(store, tmp_path):
    with pytest.raises(InputError, match='being written'):
        remove_file(store.path)
    store.close()
    remove_file(store.path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match='no map'):
        remove_file(store.path)


def test_what_a_killed_copy_left_is_cleared_away(store, tmp_path):
    (tmp_path / '.copy.s3emap.new').write_bytes(b'half a map')
    (tmp_path / '.copy.s3emap.new-wal').write_bytes(b'half a log')
    store.add(make_keyframe(0))
    store.save_as(tmp_path / 'copy.s3emap')
    assert [p.name for p in tmp_path.glob('.copy*')] == []
    with MapStore.open(tmp_path / 'copy.s3emap') as copy:
        assert copy.num_keyframes == 1
