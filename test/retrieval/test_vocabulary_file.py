"""Vocabulary files: round trip, damage, other files, and the one that ships."""

import contextlib

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval import vocabulary_file
from s3e_gnn_ros.retrieval.training import train_vocabulary
from s3e_gnn_ros.retrieval.vocabulary_file import MAGIC, load_vocabulary, save_vocabulary


@pytest.fixture(name='vocabulary', scope='module')
def _vocabulary():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (200, 32), dtype=np.uint8) for _ in range(4)]
    return train_vocabulary(images, branching=5, depth=3)


@pytest.fixture(name='saved')
def _saved(vocabulary, tmp_path):
    path = tmp_path / 'folder' / 'words.npz'
    save_vocabulary(vocabulary, path)
    return path


def _rewrite(path, **changes):
    with np.load(path) as content:
        arrays = dict(content) | changes
    np.savez(path, **{name: value for name, value in arrays.items() if value is not None})


def test_round_trip(vocabulary, saved):
    again = load_vocabulary(saved)
    for name in ('centres', 'num_children', 'idf'):
        np.testing.assert_array_equal(getattr(again, name), getattr(vocabulary, name))
    assert again.depth == vocabulary.depth


def test_same_vocabulary_same_bytes(vocabulary, saved):
    first = saved.read_bytes()
    save_vocabulary(vocabulary, saved)
    assert saved.read_bytes() == first
    assert [f.name for f in saved.parent.iterdir()] == ['words.npz']


@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.99])
def test_truncated_file(saved, share):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r'words\.npz'):
        load_vocabulary(saved)


def test_any_flipped_byte_is_an_error_or_harmless(vocabulary, saved):
    content = bytearray(saved.read_bytes())
    for position in range(0, len(content), max(1, len(content) // 200)):
        damaged = content.copy()
        damaged[position] ^= 0x55
        saved.write_bytes(damaged)
        # An archive has fields that nobody reads: a flip there is harmless.
        with contextlib.suppress(InputError):
            again = load_vocabulary(saved)
            np.testing.assert_array_equal(again.centres, vocabulary.centres)
            np.testing.assert_array_equal(again.idf, vocabulary.idf)


@pytest.mark.parametrize('content', [b'', b'hello', b'PK\x03\x04', b'\x93NUMPY\x01\x00v\x00{'])
def test_other_files(tmp_path, content):
    path = tmp_path / 'other.npz'
    path.write_bytes(content)
    with pytest.raises(InputError, match=r'other\.npz'):
        load_vocabulary(path)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'version': np.array(2)}, 'has version 2 instead of 1'),
        ({'magic': np.array('something')}, 'is not a vocabulary file'),
        ({'magic': None}, 'is not a vocabulary file'),
        ({'idf': None}, 'is not a vocabulary file, or a damaged one'),
        ({'idf': np.array([object()])}, 'is not a vocabulary file, or a damaged one'),
        ({'idf': np.zeros(3, np.float32)}, 'is damaged: .* leaves, but idf has 3'),
        ({'centres': np.zeros((4, 16), np.uint8)}, 'is damaged: descriptors are'),
    ],
)
def test_changed_content(saved, changes, message):
    _rewrite(saved, **changes)
    with pytest.raises(InputError, match=message):
        load_vocabulary(saved)


def test_a_plain_array_is_no_vocabulary(tmp_path):
    path = tmp_path / 'array.npy'
    np.save(path, np.zeros(3))
    with pytest.raises(InputError, match='is not a vocabulary file'):
        load_vocabulary(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(InputError, match='No such file'):
        load_vocabulary(tmp_path / 'none.npz')
    with pytest.raises(InputError, match='Is a directory'):
        load_vocabulary(tmp_path)


def test_unwritable_place(vocabulary, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot write vocabulary'):
        save_vocabulary(vocabulary, tmp_path / 'file' / 'words.npz')


def test_shipped_vocabulary():
    vocabulary = load_vocabulary()
    assert vocabulary.num_words > 10000
    assert MAGIC == 's3e_gnn_ros ORB vocabulary'
    rows = np.random.default_rng(0).integers(0, 256, (500, 32), dtype=np.uint8)
    words, weights = vocabulary.transform(rows)
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    assert len(words) > 100


def test_shipped_vocabulary_missing_from_an_installation(monkeypatch):
    monkeypatch.setattr(vocabulary_file, 'DEFAULT_VOCABULARY', 'retrieval/resources/none.npz')
    with pytest.raises(InputError, match=r'lacks its file .*none\.npz'):
        load_vocabulary()
