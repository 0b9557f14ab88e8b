"""Training: finds clusters that are there, is repeatable, and weighs words by hand."""

import math

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.clustering import k_majority, nearest
from s3e_gnn_ros.retrieval.training import train_vocabulary


def clusters(num_clusters, per_cluster, rng, max_flips=20):
    """Random centres (about 128 bits apart) and copies of them with some bits flipped."""
    centres = rng.integers(0, 2, (num_clusters, 256), dtype=np.uint8)
    labels = np.repeat(np.arange(num_clusters), per_cluster)
    flips = rng.random((len(labels), 256)) < max_flips / 512
    return np.packbits(centres, axis=1), np.packbits(centres[labels] ^ flips, axis=1), labels


def test_k_majority_finds_separable_clusters():
    centres, members, labels = clusters(8, 60, np.random.default_rng(3))
    found, assigned = k_majority(members, 8, np.random.default_rng(0))
    assert {tuple(row) for row in found} == {tuple(row) for row in centres}
    np.testing.assert_array_equal(found[assigned], centres[labels])


def test_k_majority_on_a_sample_still_assigns_everything():
    centres, members, _ = clusters(4, 100, np.random.default_rng(4))
    found, assigned = k_majority(members, 4, np.random.default_rng(0), max_samples=100)
    assert len(assigned) == 400
    assert {tuple(row) for row in found} == {tuple(row) for row in centres}


@pytest.mark.parametrize('num_distinct', [1, 2, 3])
def test_fewer_distinct_descriptors_than_clusters(num_distinct):
    distinct = np.random.default_rng(1).integers(0, 256, (num_distinct, 32), dtype=np.uint8)
    members = np.tile(distinct, (10, 1))
    found, assigned = k_majority(members, 5, np.random.default_rng(0))
    assert len(found) == num_distinct
    np.testing.assert_array_equal(found[assigned], members)


def test_each_centre_has_members_and_is_their_nearest():
    rows = np.random.default_rng(2).integers(0, 256, (300, 32), dtype=np.uint8)
    found, assigned = k_majority(rows, 20, np.random.default_rng(0))
    assert set(assigned) == set(range(len(found)))
    np.testing.assert_array_equal(assigned, nearest(rows, found))


def test_tree_separates_clusters():
    centres, members, labels = clusters(9, 40, np.random.default_rng(5))
    vocabulary = train_vocabulary([members], branching=3, depth=2)
    words = vocabulary.words_of(members)
    assert vocabulary.num_words == 9
    assert len(set(zip(words.tolist(), labels.tolist(), strict=True))) == 9
    assert {tuple(row) for row in vocabulary.centres} >= {tuple(row) for row in centres}


def test_idf_by_hand():
    _, members, _ = clusters(3, 8, np.random.default_rng(6))
    everywhere, twice, once = members[:8], members[8:16], members[16:]
    images = [
        np.concatenate([everywhere[:2], twice[:4], once]),
        np.concatenate([everywhere[2:4], twice[4:]]),
        everywhere[4:6],
        everywhere[6:],
    ]
    vocabulary = train_vocabulary(images, branching=3, depth=1)
    idf = vocabulary.idf[vocabulary.words_of(members[[0, 8, 16]])]
    assert idf.tolist() == pytest.approx([0.0, math.log(4 / 2), math.log(4 / 1)])


def test_training_words_are_the_words_of_transform():
    rng = np.random.default_rng(7)
    images = [rng.integers(0, 256, (150, 32), dtype=np.uint8) for _ in range(4)]
    vocabulary = train_vocabulary(images, branching=4, depth=4)
    shown = [set(vocabulary.words_of(image)) for image in images]
    counts = np.array([sum(word in s for s in shown) for word in range(vocabulary.num_words)])
    assert counts.min() >= 1
    np.testing.assert_allclose(vocabulary.idf, np.log(4 / counts), rtol=1e-6)


def test_equal_seed_equal_vocabulary():
    rng = np.random.default_rng(8)
    images = [rng.integers(0, 256, (150, 32), dtype=np.uint8) for _ in range(3)]
    one, two, other = (
        train_vocabulary(images, branching=4, depth=3, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one.centres, two.centres)
    np.testing.assert_array_equal(one.num_children, two.num_children)
    np.testing.assert_array_equal(one.idf, two.idf)
    assert not np.array_equal(one.centres[:4], other.centres[:4])


def test_images_without_features_count_as_images():
    rng = np.random.default_rng(9)
    rows = rng.integers(0, 256, (20, 32), dtype=np.uint8)
    vocabulary = train_vocabulary([rows, np.zeros((0, 32), np.uint8)], branching=4, depth=1)
    assert vocabulary.idf.tolist() == pytest.approx([math.log(2)] * vocabulary.num_words)


def test_progress_reaches_the_end():
    rows = np.random.default_rng(10).integers(0, 256, (90, 32), dtype=np.uint8)
    seen = []
    images = [rows, rows[:30]]
    train_vocabulary(images, branching=3, depth=3, progress=lambda *a: seen.append(a))
    assert seen[-1] == (360, 360)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ('count', 'options', 'message'),
    [
        (5, {'branching': 11}, '2 images give 10 descriptors, too few for branching 11'),
        (0, {}, 'too few'),
        (50, {'branching': 1}, 'no words'),
        (50, {'depth': 0}, 'no words'),
    ],
)
def test_wrong_input(count, options, message):
    rows = np.random.default_rng(0).integers(0, 256, (count, 32), dtype=np.uint8)
    with pytest.raises(InputError, match=message):
        train_vocabulary([rows, rows], **options)


def test_no_images():
    with pytest.raises(InputError, match='0 images give 0 descriptors'):
        train_vocabulary([])
