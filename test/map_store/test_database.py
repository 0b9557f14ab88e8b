"""Files that are no maps, that were damaged, that cannot be written, or have another writer."""

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_map import is_same, make_closure, make_keyframe

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.map_store import schema
from s3e_gnn_ros.map_store.paths import companion
from s3e_gnn_ros.map_store.store import MapStore


def _make(path, num_keyframes=3):
    with MapStore.create(path, weights_digest='d1', weights_name='w1') as store:
        for number in range(num_keyframes):
            store.add(make_keyframe(number), [make_closure(number, 0)] if number else [])
    return path


def _edit(path, *statements):
    """Change a file behind the program's back."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def _read_all(path):
    with MapStore.open(path, read_only=True) as store:
        keys = store.rows().keys
        views = list(store.views(keys))
        thumbnails = [store.thumbnail(key) for key in keys]
        return keys, views, thumbnails, store.closures(), store.edges(), store.sessions()


@pytest.fixture(params=[True, False], ids=['read_only', 'writing'])
def read_only(request):
    return request.param


def test_no_such_file(tmp_path, read_only):
    with pytest.raises(InputError, match=r"^no map '.*nothing.s3emap'$"):
        MapStore.open(tmp_path / 'nothing.s3emap', read_only=read_only)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_map(tmp_path, read_only):
    with pytest.raises(InputError, match='is no map'):
        MapStore.open(tmp_path, read_only=read_only)


@pytest.mark.parametrize('content', [b'', b'hello', b'# a text file\n' * 1000, bytes(10_000)])
def test_another_file_is_no_map_and_stays_as_it_is(tmp_path, content, read_only):
    path = tmp_path / 'a.s3emap'
    path.write_bytes(content)
    with pytest.raises(InputError, match='is no map'):
        MapStore.open(path, read_only=read_only)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_another_database_is_no_map(tmp_path, read_only):
    path = tmp_path / 'a.s3emap'
    _edit(path, 'CREATE TABLE keyframe (id INTEGER)')
    with pytest.raises(InputError, match='is no map: its application id is 0'):
        MapStore.open(path, read_only=read_only)


def test_a_newer_version_is_told(tmp_path, read_only):
    path = _make(tmp_path / 'a.s3emap')
    _edit(path, f'PRAGMA user_version = {schema.VERSION + 1}')
    with pytest.raises(InputError, match=f'of version {schema.VERSION + 1}, this program reads'):
        MapStore.open(path, read_only=read_only)


@pytest.mark.parametrize(
    ('statement', 'table'),
    [
        ('DROP TABLE thumbnail', 'thumbnail'),
        ('ALTER TABLE meta ADD COLUMN more TEXT', 'meta'),
        ('CREATE TABLE other (id INTEGER)', 'other'),
        ('CREATE VIEW seen AS SELECT * FROM view', 'seen'),
        ('CREATE TRIGGER t AFTER INSERT ON view BEGIN DELETE FROM view; END', 't'),
    ],
)
def test_other_tables_views_and_triggers_are_refused(tmp_path, statement, table):
    path = _make(tmp_path / 'a.s3emap')
    _edit(path, statement)
    with pytest.raises(InputError, match=f"is damaged: its table '{table}' is another"):
        MapStore.open(path)


@pytest.mark.parametrize('share', [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_told(tmp_path, share, read_only):
    path = _make(tmp_path / 'a.s3emap', 8)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r'is damaged|is no map'):
        MapStore.open(path, read_only=read_only)


def test_every_byte_of_the_header_may_flip(tmp_path):
    """Either it does not matter, or one sentence tells; never another error or other content."""
    whole = _make(tmp_path / 'whole.s3emap')
    expected = _read_all(whole)
    content = whole.read_bytes()
    sentences = []
    for at in range(100):
        path = tmp_path / f'{at}.s3emap'
        damaged = bytearray(content)
        damaged[at] ^= 0xFF
        path.write_bytes(damaged)
        try:
            found = _read_all(path)
        except InputError as err:
            sentences.append(str(err))
        else:
            assert found[0] == expected[0]
            assert all(map(is_same, found[1], expected[1]))
            assert all(map(is_same, found[3], expected[3]))
        path.unlink()
    assert len(sentences) > 30
    assert all('.s3emap' in sentence for sentence in sentences)


def test_random_bytes_may_flip_anywhere(tmp_path):
    """A view is never another than was written; anything else is told in one sentence."""
    whole = _make(tmp_path / 'whole.s3emap', 6)
    expected = _read_all(whole)
    content = whole.read_bytes()
    generator = random.Random(1)
    num_told = 0
    for number in range(150):
        path = tmp_path / f'{number}.s3emap'
        damaged = bytearray(content)
        for _ in range(generator.choice([1, 4, 64])):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            found = _read_all(path)
        except InputError:
            num_told += 1
        else:
            views = {(view.session, view.keyframe_id): view for view in expected[1]}
            for view in found[1]:
                same = views.get((view.session, view.keyframe_id))
                assert same is None or is_same(view.features, same.features)
        path.unlink()
    assert num_told > 20


@pytest.mark.parametrize(
    'statement',
    [
        "UPDATE keyframe SET T_odom_camera = 'text'",
        'UPDATE keyframe SET T_odom_camera = zeroblob(8)',
        "UPDATE keyframe SET T_odom_camera = x'" + 'f87f' * 64 + "'",
        "UPDATE keyframe SET stamp_ns = 'soon'",
        "UPDATE keyframe SET keyframe_id = 'first' WHERE keyframe_id = 0",
        "UPDATE origin SET session = 'one'",
        "UPDATE encoding SET embedding = x'" + '0000803f' * 16 + "'",  # of length 4
        'UPDATE encoding SET embedding = zeroblob(63) WHERE seq = 1',
        "UPDATE encoding SET embedding = 'text'",
    ],
)
def test_wrong_values_in_the_columns_are_told(tmp_path, statement):
    path = _make(tmp_path / 'a.s3emap')
    _edit(path, statement)
    with MapStore.open(path) as store, pytest.raises(InputError, match='is damaged'):
        _ = store.rows(), store.sessions()


@pytest.mark.parametrize(
    'statement',
    [
        "UPDATE view SET data = 'text'",
        'UPDATE view SET data = zeroblob(20)',
        'DELETE FROM camera',
        "UPDATE camera SET width = 'wide'",
        "UPDATE camera SET distortion = x'00'",
        "UPDATE keyframe SET stamp_ns = 'soon'",
        "UPDATE encoding SET patches = 'text'",
    ],
)
def test_wrong_values_of_a_view_are_told(tmp_path, statement):
    path = _make(tmp_path / 'a.s3emap')
    _edit(path, statement)
    with pytest.raises(InputError, match=r'a\.s3emap'), MapStore.open(path) as store:
        store.view(make_keyframe(1).key)


@pytest.mark.parametrize(
    'statement',
    [
        'UPDATE edge SET kind = 17',
        "UPDATE edge SET T_i_j = 'text'",
        'UPDATE edge SET covariance = zeroblob(3)',
        'UPDATE edge SET T_i_j = NULL',
        "UPDATE edge SET similarity = 'much'",
    ],
)
def test_wrong_values_of_an_edge_are_told(tmp_path, statement):
    path = _make(tmp_path / 'a.s3emap')
    _edit(path, statement)
    with MapStore.open(path) as store, pytest.raises(InputError, match='is damaged'):
        _ = store.edges(), store.closures()


def test_a_map_that_does_not_name_its_weights_is_told(tmp_path):
    path = _make(tmp_path / 'a.s3emap')
    _edit(path, "UPDATE meta SET value = 'none' WHERE name = 'weights'")
    with pytest.raises(InputError, match='is damaged'):
        MapStore.open(path)


def test_what_a_crash_damaged_is_found_when_it_is_opened(tmp_path, read_only):
    path = _make(tmp_path / 'a.s3emap', 8)
    _edit(path, "UPDATE meta SET value = '1' WHERE name = 'in_use'")
    content = bytearray(path.read_bytes())
    content[schema.PAGE_BYTES * 12 : schema.PAGE_BYTES * 13] = b'\xa5' * schema.PAGE_BYTES
    path.write_bytes(content)
    with pytest.raises(InputError, match='is damaged'):
        MapStore.open(path, read_only=read_only)


def test_a_read_only_map_can_be_read_and_not_written(tmp_path):
    path = _make(tmp_path / 'a.s3emap')
    with MapStore.open(path, read_only=True) as store:
        assert store.is_read_only
        with pytest.raises(InputError, match='opened read-only'):
            store.add(make_keyframe(9))
        assert store.num_keyframes == 3
    assert list(tmp_path.iterdir()) == [path]


def test_a_read_only_file_cannot_be_opened_for_writing(unprivileged):
    path = _make(unprivileged / 'a.s3emap')
    path.chmod(0o444)
    with pytest.raises(InputError, match='cannot be written: it is read-only'):
        MapStore.open(path)
    assert len(_read_all(path)[0]) == 3


def test_a_map_in_a_read_only_folder_can_be_read(unprivileged):
    path = _make(unprivileged / 'a.s3emap')
    unprivileged.chmod(0o555)
    with pytest.raises(InputError, match=r'cannot write map .*: Permission denied'):
        MapStore.open(path)
    assert len(_read_all(path)[0]) == 3
    with pytest.raises(InputError, match='cannot write map'):
        MapStore.create(unprivileged / 'b.s3emap', weights_digest='')
    with pytest.raises(InputError, match='cannot write map'):
        MapStore.create(unprivileged / 'new' / 'b.s3emap', weights_digest='')


def test_a_map_with_a_log_in_a_read_only_folder_is_told(unprivileged):
    path = unprivileged / 'copy.s3emap'
    with MapStore.create(unprivileged / 'a.s3emap', weights_digest='') as store:
        store.add(make_keyframe(0))
        shutil.copy(store.path, path)
        shutil.copy(companion(store.path, '-wal'), companion(path, '-wal'))
    unprivileged.chmod(0o555)
    with pytest.raises(InputError, match='not closed by its writer'):
        MapStore.open(path, read_only=True)
    unprivileged.chmod(0o755)
    assert len(_read_all(path)[0]) == 1


def test_an_unreadable_file_is_told(unprivileged, read_only):
    path = _make(unprivileged / 'a.s3emap')
    path.chmod(0)
    with pytest.raises(InputError, match=r'a\.s3emap'):
        MapStore.open(path, read_only=read_only)


def test_a_full_disk_is_told_and_nothing_is_lost(store):
    store.add(make_keyframe(0))
    with store.database.read() as connection:
        (pages,) = connection.execute('PRAGMA page_count').fetchone()
        connection.execute(f'PRAGMA max_page_count = {pages + 2}')
    with pytest.raises(InputError, match=r'cannot write map .*: the disk is full'):
        store.add(make_keyframe(1, num_points=2000), [make_closure(1, 0)])
    assert store.rows().keys == [make_keyframe(0).key]
    assert store.closures() == []
    with store.database.read() as connection:
        connection.execute(f'PRAGMA max_page_count = {10 * pages}')
    store.add(make_keyframe(1), [make_closure(1, 0)])
    assert store.num_keyframes == 2


def test_a_second_writer_is_told(store, tmp_path):
    with pytest.raises(InputError, match='is being written by another process'):
        MapStore.open(store.path)
    with pytest.raises(InputError, match='is being written by another process'):
        MapStore.create(store.path, weights_digest='', overwrite=True)
    store.add(make_keyframe(0))
    store.close()
    with MapStore.open(store.path) as again:
        assert again.num_keyframes == 1


_WRITER = """
import sys
from pathlib import Path
from made_up_map import make_keyframe
from s3e_gnn_ros.map_store.store import MapStore
store = MapStore.open(sys.argv[1])
store.add(make_keyframe(0))
print('ready', flush=True)
sys.stdin.readline()
store.add(make_keyframe(1))
print('ready', flush=True)
sys.stdin.readline()
"""


def test_another_process_can_read_while_one_writes(tmp_path):
    path = _make(tmp_path / 'a.s3emap', 0)
    command = [sys.executable, '-c', _WRITER, str(path)]
    folder = str(Path(__file__).parents[1])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': folder},
    ) as writer:
        assert writer.stdout.readline() == 'ready\n'
        with pytest.raises(InputError, match='is being written by another process'):
            MapStore.open(path)
        with MapStore.open(path, read_only=True) as reader:
            assert reader.num_keyframes == 1
            writer.stdin.write('\n')
            writer.stdin.flush()
            assert writer.stdout.readline() == 'ready\n'
            assert reader.num_keyframes == 2
            assert is_same(reader.view(make_keyframe(1).key), make_keyframe(1).view)
        writer.kill()
    assert len(_read_all(path)[0]) == 2
    with MapStore.open(path) as store:
        assert store.num_keyframes == 2


def test_a_reader_in_the_writers_process_does_not_drop_its_locks(tmp_path):
    path = _make(tmp_path / 'a.s3emap')
    with MapStore.open(path) as store:
        store.add(make_keyframe(7))
        for _ in range(3):
            assert len(_read_all(path)[0]) == 4
        # Another process that reads and closes would remove the log if it believed to be alone.
        code = (
            'import sys; from s3e_gnn_ros.map_store.store import MapStore\n'
            'with MapStore.open(sys.argv[1], read_only=True) as s: print(s.num_keyframes)'
        )
        done = subprocess.run(
            [sys.executable, '-c', code, str(path)], capture_output=True, text=True, check=True
        )
        assert done.stdout == '4\n'
        assert companion(path, '-wal').exists()
        store.add(make_keyframe(8))
    assert len(_read_all(path)[0]) == 5


def test_a_closed_store_is_told_and_leaves_nothing_beside_the_file(tmp_path):
    path = _make(tmp_path / 'a.s3emap')
    store = MapStore.open(path)
    store.close()
    store.close()
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match='it is closed already'):
        store.add(make_keyframe(9))
    with pytest.raises(InputError, match='it is closed already'):
        store.rows()
