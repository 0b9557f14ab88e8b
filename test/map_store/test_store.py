import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from made_up_map import is_same, make_closure, make_keyframe

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.map_store.records import EdgeKind, SessionRow, StoredEdge
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.types import KeyframeKey


def _fill(store, num_keyframes=5, session=1):
    keyframes = [make_keyframe(number, session) for number in range(num_keyframes)]
    for keyframe in keyframes:
        store.add(keyframe)
    return keyframes


def test_an_empty_map(store):
    assert (store.num_keyframes, store.weights_digest, store.weights_name) == (0, 'd1', 'w1')
    assert (store.version, store.is_read_only) == (1, False)
    rows = store.rows()
    assert rows.keys == []
    assert rows.T_odom_camera.shape == rows.T_map_camera.shape == (0, 4, 4)
    assert rows.embeddings is None
    assert store.closures() == store.edges() == store.sessions() == []


@pytest.mark.parametrize('reopened', [False, True])
def test_what_was_added_comes_back(store, reopened):
    keyframes = _fill(store)
    if reopened:
        store.close()
        store = MapStore.open(store.path, read_only=True)
    rows = store.rows()
    assert rows.keys == [k.key for k in keyframes]
    assert rows.stamps_ns.tolist() == [k.stamp_ns for k in keyframes]
    assert np.array_equal(rows.T_odom_camera, [k.T_odom_camera for k in keyframes])
    assert np.isnan(rows.T_map_camera).all()
    assert rows.T_map_camera.shape == (5, 4, 4)
    assert np.array_equal(rows.embeddings, [k.embedding for k in keyframes])
    assert rows.embeddings.dtype == np.float32
    assert set(rows.odom_frames) == {'odom_1'}
    assert set(rows.camera_frames) == {'camera_optical'}
    for keyframe, view in zip(keyframes, store.views(rows.keys), strict=True):
        assert is_same(view, keyframe.view)
        thumbnail = store.thumbnail(keyframe.key)
        assert thumbnail.shape == keyframe.thumbnail.shape
        assert np.abs(thumbnail.astype(int) - keyframe.thumbnail).mean() < 30
    assert store.num_bytes >= 5 * 2000
    store.close()


def test_a_keyframe_may_lack_what_is_optional(store):
    whole = make_keyframe(0)
    bare = dataclasses.replace(
        make_keyframe(1),
        view=dataclasses.replace(make_keyframe(1).view, depth=None, patches=None),
        embedding=None,
        thumbnail=None,
        T_map_camera=se3.expmap([0.1, 0, 0, 1, 2, 3]),
    )
    store.add(bare)
    assert store.rows().embeddings is None
    store.add(whole)
    rows = store.rows()
    assert np.isnan(rows.embeddings[0]).all()
    assert np.array_equal(rows.embeddings[1], whole.embedding)
    assert np.array_equal(rows.T_map_camera[0], bare.T_map_camera)
    assert np.isnan(rows.T_map_camera[1]).all()
    assert is_same(store.view(bare.key), bare.view)
    assert store.thumbnail(bare.key) is None


def test_the_order_is_that_of_addition_and_sessions_use_all_64_bits(store):
    keys = [(2**64 - 1, 3), (5, 0), (2**63, 2**32 - 1), (5, 7)]
    for session, number in keys:
        store.add(make_keyframe(number, session))
    assert store.rows().keys == [KeyframeKey(*key) for key in keys]
    assert store.view(KeyframeKey(*keys[0])).session == 2**64 - 1
    with pytest.raises(InputError, match='64 bits'):
        store.add(make_keyframe(0, 2**64))


def test_sessions_are_summed_up(store):
    for number in (0, 1, 5):
        store.add(make_keyframe(number, 7, robot_id='r1'))
    store.add(make_keyframe(2, 3, robot_id='r2'))
    stamp = make_keyframe(0, 7).stamp_ns
    assert store.sessions() == [
        SessionRow(7, 'r1', 'odom_7', 'camera_optical', 3, stamp, stamp + 5 * 10**9),
        SessionRow(3, 'r2', 'odom_3', 'camera_optical', 1, stamp + 2 * 10**9, stamp + 2 * 10**9),
    ]
    assert store.rows().robot_ids == ['r1', 'r1', 'r1', 'r2']


def test_a_keyframe_is_added_once(store):
    _fill(store, 2)
    with pytest.raises(InputError, match='keyframe 1/1 is in the map already'):
        store.add(make_keyframe(1))
    assert store.num_keyframes == 2


def test_an_unknown_keyframe_is_told(store):
    with pytest.raises(InputError, match='does not hold keyframe 1/9'):
        store.view(KeyframeKey(1, 9))
    assert store.thumbnail(KeyframeKey(1, 9)) is None


def test_closures_come_back_with_stamps_and_robots(store):
    store.add(make_keyframe(0, 1, robot_id='a'))
    closure = make_closure(4, 0, query_session=2)
    store.add(make_keyframe(4, 2, robot_id='b'), [closure])
    (found,) = store.closures()
    assert is_same(found, dataclasses.replace(closure, query_robot_id='b', match_robot_id='a'))


def test_the_embedding_of_a_bare_wall_is_kept(store):
    wall = dataclasses.replace(make_keyframe(0), embedding=np.zeros(16, np.float32))
    other = make_keyframe(1)
    store.add(wall)
    store.add(other)
    store.close()
    with MapStore.open(store.path, read_only=True) as again:
        assert np.array_equal(again.rows().embeddings, [wall.embedding, other.embedding])


def test_keyframe_and_closures_are_one_transaction(store):
    store.add(make_keyframe(0))
    with pytest.raises(InputError, match='needs keyframe 1/7, which the map does not hold'):
        store.add(make_keyframe(1), [make_closure(1, 0), make_closure(1, 7)])
    assert store.num_keyframes == 1
    assert store.closures() == []
    store.add(make_keyframe(1), [make_closure(1, 0)])
    assert len(store.closures()) == 1


@pytest.mark.parametrize(
    'wrong',
    [
        {'T_odom_camera': np.full((4, 4), np.nan)},
        {'T_odom_camera': np.eye(3)},
        {'T_map_camera': np.full((4, 4), np.inf)},
        {'embedding': np.full(16, np.nan, np.float32)},
        {'embedding': np.full(16, 0.5, np.float32)},
        {'embedding': np.full((2, 8), 0.25, np.float32)},
        {'thumbnail': np.zeros((0, 0), np.uint8)},
    ],
)
def test_values_that_cannot_be_are_refused_and_nothing_is_written(store, wrong):
    with pytest.raises(InputError):
        store.add(dataclasses.replace(make_keyframe(0), **wrong))
    assert store.num_keyframes == 0
    store.add(make_keyframe(0))


def test_edges_of_every_kind(store):
    _fill(store, 3)
    i, j = KeyframeKey(1, 0), KeyframeKey(1, 1)
    odometry = StoredEdge(EdgeKind.ODOMETRY, i, j, se3.expmap([0.1, 0, 0, 0, 0, 1]), np.eye(6))
    covisible = StoredEdge(EdgeKind.COVISIBLE, i, j, weight=0.25)
    store.add_edge(odometry)
    store.add_closure(make_closure(1, 0))
    store.add(make_keyframe(3), edges=[covisible])
    assert [edge.kind for edge in store.edges()] == [0, 1, 3]
    (found,) = store.edges(EdgeKind.ODOMETRY)
    assert is_same(found, odometry)
    (found,) = store.edges(EdgeKind.COVISIBLE)
    assert is_same(found, covisible)
    assert len(store.closures()) == 1


def test_a_closure_is_added_once_replaced_and_removed(store):
    _fill(store, 3)
    query, match = KeyframeKey(1, 2), KeyframeKey(1, 0)
    store.add_closure(make_closure(2, 0))
    with pytest.raises(InputError, match='CLOSURE edge 1/2 -> 1/0 is in the map already'):
        store.add_closure(make_closure(2, 0))
    better = dataclasses.replace(make_closure(2, 0), T_match_query=np.eye(4), num_inliers=7)
    store.replace_closure(better)
    (found,) = store.closures()
    assert is_same(found, better)
    store.remove_closure(query, match)
    assert store.closures() == []
    for change in (
        lambda: store.remove_closure(query, match),
        lambda: store.replace_closure(better),
        lambda: store.reject_closure(query, match),
        lambda: store.restore_closure(query, match),
    ):
        with pytest.raises(InputError, match=r'edge 1/2 -> 1/0 is in the map$'):
            change()


def test_a_closure_is_rejected_and_restored(store):
    _fill(store, 3)
    query, match = KeyframeKey(1, 2), KeyframeKey(1, 0)
    closure = make_closure(2, 0)
    store.add_closure(closure)
    store.reject_closure(query, match)
    assert store.closures() == []
    assert [edge.kind for edge in store.edges()] == [EdgeKind.REJECTED]
    (found,) = store.closures(EdgeKind.REJECTED)
    assert is_same(found, closure)
    store.restore_closure(query, match)
    (found,) = store.closures()
    assert is_same(found, closure)
    store.reject_closure(query, match)
    store.add_closure(closure)  # it was found again
    store.reject_closure(query, match)
    assert len(store.edges()) == 1


def test_weights_of_closures(store):
    _fill(store, 3)
    store.add_closure(make_closure(2, 0))
    store.add_closure(make_closure(2, 1))
    key = [KeyframeKey(1, number) for number in range(4)]
    assert store.set_weights([(key[0], key[2], 0.25), (key[0], key[3], 0.5)]) == 1
    assert [edge.weight for edge in store.edges()] == [0.25, 1.0]


def test_corrected_poses(store):
    keyframes = _fill(store)
    T = np.stack([se3.expmap([0, 0, 0.1 * n, n, 0, 0]) for n in range(3)])
    keys = [keyframes[3].key, KeyframeKey(9, 9), keyframes[0].key]
    assert store.set_poses(keys, T) == 2
    found = store.rows().T_map_camera
    assert np.array_equal(found[3], T[0])
    assert np.array_equal(found[0], T[2])
    assert np.isnan(found[[1, 2, 4]]).all()
    assert store.set_poses([], np.zeros((0, 4, 4))) == 0
    T[1, 0, 0] = np.nan
    with pytest.raises(InputError, match='not finite'):
        store.set_poses(keys, T)
    with pytest.raises(InputError, match='for 2 keyframes'):
        store.set_poses(keys[:2], T)


def test_removed_keyframes_take_everything_of_theirs_along(store):
    keyframes = _fill(store)
    store.add_closure(make_closure(2, 0))
    store.add_closure(make_closure(4, 3))
    assert store.remove([keyframes[0].key, KeyframeKey(9, 9), keyframes[1].key]) == 2
    assert store.rows().keys == [k.key for k in keyframes[2:]]
    assert [c.query_id for c in store.closures()] == [4]
    with store.database.read() as connection:
        for table in ('view', 'thumbnail', 'encoding'):
            assert connection.execute(f'SELECT count(*) FROM {table}').fetchone() == (3,)
    store.add(keyframes[0])
    assert store.rows().keys[-1] == keyframes[0].key
    assert is_same(store.view(keyframes[0].key), keyframes[0].view)


def test_a_map_that_is_added_to_and_pruned_does_not_grow(store):
    for number in range(40):
        store.add(make_keyframe(number))
    store.close()
    size = store.path.stat().st_size
    with MapStore.open(store.path) as again:
        for number in range(40, 120):
            again.remove([KeyframeKey(1, number - 40)])
            again.add(make_keyframe(number))
    assert store.path.stat().st_size < 1.1 * size


def test_there_is_one_map_of_a_name(store, tmp_path):
    _fill(store)
    store.close()
    with pytest.raises(InputError, match='exists already'):
        MapStore.create(store.path, weights_digest='')
    with MapStore.create(store.path, weights_digest='', overwrite=True) as new:
        assert new.num_keyframes == 0
        assert new.weights_digest == ''
    with MapStore.create(tmp_path / 'sub' / 'b.s3emap', weights_digest='') as other:
        assert other.num_keyframes == 0


def test_a_map_left_by_a_crash_is_replaced_whole(store, tmp_path):
    """Its log must not be applied to the map that takes its place."""
    _fill(store)
    new = tmp_path / 'new.s3emap'
    for suffix in ('', '-wal'):
        (tmp_path / f'new.s3emap{suffix}').write_bytes(
            (tmp_path / f'a.s3emap{suffix}').read_bytes()
        )
    assert (tmp_path / 'new.s3emap-wal').stat().st_size > 0
    with MapStore.create(new, weights_digest='other', overwrite=True) as made:
        assert (made.num_keyframes, made.weights_digest) == (0, 'other')


def test_other_weights_are_told(store):
    store.check_weights('d1')
    with pytest.raises(InputError, match=r"made with weights 'w1' \(d1\) instead of d2: .*re-emb"):
        store.check_weights('d2')
    with pytest.raises(InputError, match='instead of none'):
        store.check_weights('')


def test_threads_may_write_and_read_at_once(store):
    def write(session):
        for number in range(10):
            store.add(make_keyframe(number, session))

    def read(num_reads):
        for _ in range(num_reads):
            for view in store.views(store.rows().keys[-2:]):
                assert is_same(view, make_keyframe(view.keyframe_id, view.session).view)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(write, session) for session in (1, 2, 3)] + [pool.submit(read, 20)]
    for each in done:
        each.result()
    assert store.num_keyframes == 30
    for session in (1, 2, 3):
        ids = [key.keyframe_id for key in store.rows().keys if key.session == session]
        assert ids == list(range(10))
