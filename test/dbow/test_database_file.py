"""Databases on disk: what was written comes back, and what is damaged is said in one sentence."""

import numpy as np
import pytest
import synthetic
from safetensors.numpy import save_file

from s3e_gnn_ros.dbow import Database, ImageFeatures
from s3e_gnn_ros.dbow.database_file import FORMAT
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.training import train_vocabulary


@pytest.fixture(name='bow')
def _bow(vocabulary, street):
    db = Database(vocabulary=vocabulary)
    for place in range(10):
        db.add(street.see(place).descriptors)
    db.add(np.zeros((0, 32), np.uint8))
    return db


def test_bow_comes_back_as_it_was(bow, vocabulary, street, tmp_path):
    path = tmp_path / 'folder' / 'street.db'
    bow.save(path)
    other = Database(vocabulary=vocabulary)
    other.add(street.see(20).descriptors)
    other.load(path)
    assert len(other) == 11
    for db in (bow, other):
        db.add(street.see(12).descriptors)
    query = street.see(4, 3).descriptors
    assert other.query(query, 0) == bow.query(query, 0)
    mine, theirs = bow.retrieve_features(3), other.retrieve_features(3)
    assert mine.keys() == theirs.keys()
    assert all((mine[node] == theirs[node]).all() for node in mine)
    assert [each.name for each in path.parent.iterdir()] == ['street.db']


def test_s3e_comes_back_with_its_sequences_and_loops(tmp_path):
    images = [synthetic.make_frame(pose).image for pose in synthetic.out_and_back(14)]
    db = Database('s3e')
    for number, image in enumerate(images[:9]):
        db.add(ImageFeatures(image), is_next=number != 5)
    db.join(8, 0)
    db.save(tmp_path / 's3e.db')
    other = db.emptied()
    other.load(tmp_path / 's3e.db')
    for number in (9, 10):
        query = ImageFeatures(images[number])
        assert other.compare(query).ranks_by == pytest.approx(db.compare(query).ranks_by, abs=1e-5)
        assert other.add(query) == db.add(query) == number


def test_an_empty_database_comes_back_empty(vocabulary, tmp_path):
    for db in (Database(vocabulary=vocabulary), Database('s3e')):
        db.save(tmp_path / 'empty.db')
        db.load(tmp_path / 'empty.db')
        assert len(db) == 0


def load_error(db, path):
    """Return the one sentence, after which the database is as before."""
    before = len(db)
    with pytest.raises(InputError) as error:
        db.load(path)
    assert len(db) == before
    assert '\n' not in str(error.value)
    return str(error.value)


def test_every_single_damaged_byte_region_is_noticed(bow, tmp_path):
    path = tmp_path / 'street.db'
    bow.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    positions = [0, 3, 8, 20, len(whole) - 1, *rng.integers(0, len(whole), 60).tolist()]
    for position in positions:
        broken = bytearray(whole)
        broken[position] ^= 0x41
        path.write_bytes(bytes(broken))
        load_error(bow, path)
    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        load_error(bow, path)
    path.write_bytes(whole)
    bow.load(path)


def test_a_header_that_claims_too_much_takes_no_memory(bow, tmp_path):
    header = b'{"words":{"dtype":"I32","shape":[1000000000000],"data_offsets":[0,4000000000000]}}'
    path = tmp_path / 'huge.db'
    path.write_bytes(len(header).to_bytes(8, 'little') + header)
    assert 'is no database, or a damaged one' in load_error(bow, path)


def test_files_of_others_are_refused(bow, vocabulary, street, tmp_path):
    path = tmp_path / 'other.db'
    assert load_error(bow, path) == f"no database '{path}'"
    path.write_text('not a database at all')
    assert 'is no database, or a damaged one' in load_error(bow, path)
    save_file({'words': np.zeros(3, np.int32)}, path)
    assert 'is no database of this package' in load_error(bow, path)
    save_file({'words': np.zeros(3, np.int32)}, path, {'format': FORMAT, 'version': '2'})
    assert 'has version 2 instead of 1' in load_error(bow, path)
    save_file({'words': np.zeros(3, np.int32)}, path, {'format': FORMAT, 'version': '1'})
    assert 'is damaged' in load_error(bow, path)
    Database('s3e').save(path)
    assert "was made by 's3e' instead of 'bow'" in load_error(bow, path)
    images = [street.see(place).descriptors for place in range(8)]
    Database(vocabulary=train_vocabulary(images, branching=4, depth=2)).save(path)
    assert 'was made with another vocabulary' in load_error(bow, path)


@pytest.mark.parametrize(
    'arrays',
    [
        {'words': np.zeros(3, np.int32)},
        {'words': np.zeros(3, np.int64), 'lengths': np.array([3])},
        {'words': np.zeros(3, np.int32), 'lengths': np.array([2])},
        {'words': np.zeros(3, np.int32), 'lengths': np.array([4, -1])},
        {'words': np.full(3, 10**6, np.int32), 'lengths': np.array([3])},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(bow, arrays, tmp_path):
    from s3e_gnn_ros.dbow.database_file import DatabaseFile, write_database

    path = tmp_path / 'wrong.db'
    write_database(path, DatabaseFile('bow', bow._backend.digest, arrays))
    assert f"database '{path}' is damaged" in load_error(bow, path)


def test_a_folder_that_cannot_be_written_is_one_sentence(bow, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot write database'):
        bow.save(tmp_path / 'file' / 'street.db')
