"""The vocabulary tree: hand-computed vectors, and trees that are none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.training import train_vocabulary
from s3e_gnn_ros.retrieval.vocabulary import Vocabulary


def descriptor(*bytes_set):
    """All zero but for these bytes, which are 255."""
    row = np.zeros(32, dtype=np.uint8)
    row[list(bytes_set)] = 255
    return row


def tiny_vocabulary():
    """A root with three children; the second is split once more. Words: A, C, B0, B1."""
    a, b, c = descriptor(0, 1), descriptor(10, 11), descriptor(20, 21)
    b0, b1 = descriptor(10), descriptor(10, 11, 12)
    return Vocabulary(
        centres=np.stack([a, b, c, b0, b1]),
        num_children=np.array([3, 0, 2, 0, 0, 0], dtype=np.int32),
        idf=np.array([1.0, 2.0, 0.0, 4.0], dtype=np.float32),
    )


A, C, B0, B1 = descriptor(0, 1, 2), descriptor(20), descriptor(10), descriptor(10, 11, 12, 13)


def test_properties_follow_the_tree():
    vocabulary = tiny_vocabulary()
    assert (vocabulary.branching, vocabulary.depth) == (3, 2)
    assert (vocabulary.num_words, vocabulary.num_nodes) == (4, 5)


def test_descriptors_fall_to_their_leaves():
    words = tiny_vocabulary().words_of(np.stack([A, B0, B1, C, A]))
    assert words.tolist() == [0, 2, 3, 1, 0]


def test_transform_by_hand():
    # A twice and C, B0, B1 once: tf-idf 2 * 1, 1 * 2, 1 * 0 and 1 * 4, in all 8.
    words, weights = tiny_vocabulary().transform(np.stack([A, B1, C, B0, A]))
    assert words.tolist() == [0, 1, 3]  # word 2, on every training image, says nothing
    assert weights.tolist() == [0.25, 0.25, 0.5]
    assert (words.dtype, weights.dtype) == (np.int32, np.float32)


@pytest.mark.parametrize('descriptors', [np.zeros((0, 32), dtype=np.uint8), B0[None]])
def test_nothing_that_weighs_gives_an_empty_vector(descriptors):
    words, weights = tiny_vocabulary().transform(descriptors)
    assert words.shape == weights.shape == (0,)


@pytest.mark.parametrize(
    'wrong',
    [np.zeros((3, 16), np.uint8), np.zeros(32, np.uint8), np.zeros((3, 32), np.float32)],
)
def test_other_descriptors_are_refused(wrong):
    with pytest.raises(InputError, match=r'descriptors are .* instead of'):
        tiny_vocabulary().transform(wrong)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'num_children': [3, 0, 2, 0, 0]}, 'num_children'),
        ({'num_children': [3, 0, 1, 0, 0, 0]}, 'do not add up'),
        ({'num_children': [3, 0, 3, 0, -1, 0]}, 'do not add up'),
        ({'num_children': [0, 3, 2, 0, 0, 0]}, 'node 1 of the tree hangs on no other'),
        ({'num_children': [1, 0, 4, 0, 0, 0]}, 'hangs on no other'),
        ({'idf': [1.0, 2.0, 0.0]}, '4 leaves, but idf has 3'),
        ({'idf': [1.0, 2.0, 0.0, math.nan]}, 'not finite'),
        ({'idf': [1.0, 2.0, 0.0, -1.0]}, 'negative'),
    ],
)
def test_broken_trees_are_refused(changes, message):
    good = tiny_vocabulary()
    arrays = {
        'centres': good.centres,
        'num_children': np.array(changes.get('num_children', good.num_children), dtype=np.int32),
        'idf': np.array(changes.get('idf', good.idf), dtype=np.float32),
    }
    with pytest.raises(InputError, match=message):
        Vocabulary(**arrays)


def test_a_root_alone_is_no_tree():
    with pytest.raises(InputError, match='only a root'):
        Vocabulary(np.zeros((0, 32), np.uint8), np.zeros(1, np.int32), np.ones(1, np.float32))


def test_arrays_are_frozen():
    vocabulary = tiny_vocabulary()
    with pytest.raises(ValueError, match='read-only'):
        vocabulary.idf[0] = 5.0


def _slow_word(vocabulary, row):
    """Walk down the tree for one descriptor, one child at a time."""
    first = [1]
    for count in vocabulary.num_children:
        first.append(first[-1] + int(count))
    node = 0
    while vocabulary.num_children[node]:
        children = range(first[node], first[node + 1])
        node = min(
            children, key=lambda c: int(np.unpackbits(row ^ vocabulary.centres[c - 1]).sum())
        )
    return int((vocabulary.num_children[:node] == 0).sum())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), branching=st.integers(2, 5), depth=st.integers(1, 4))
def test_words_equal_a_walk_one_by_one(seed, branching, depth):
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 256, (40, 32), dtype=np.uint8) for _ in range(3)]
    vocabulary = train_vocabulary(images, branching=branching, depth=depth, seed=seed)
    rows = rng.integers(0, 256, (10, 32), dtype=np.uint8)
    assert vocabulary.words_of(rows).tolist() == [_slow_word(vocabulary, row) for row in rows]
