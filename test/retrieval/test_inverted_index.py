"""The inverted index against the definition of the score, written out densely."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval import inverted_index
from s3e_gnn_ros.retrieval.inverted_index import InvertedIndex

NUM_WORDS = 30
EMPTY = (np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))


def vector(rng, num_words=NUM_WORDS, most=12):
    words = np.sort(rng.choice(num_words, rng.integers(1, most + 1), replace=False))
    weights = rng.random(len(words)) + 0.01
    return words.astype(np.int32), (weights / weights.sum()).astype(np.float32)


def dense(sparse, num_words=NUM_WORDS):
    full = np.zeros(num_words)
    full[sparse[0]] = sparse[1]
    return full


def l1_score(one, two):
    """DBoW2's definition."""
    return 1.0 - 0.5 * np.abs(dense(one) - dense(two)).sum()


def test_by_hand():
    index = InvertedIndex(4)
    words = np.array([0, 1, 3], dtype=np.int32)
    index.add((words, np.array([0.25, 0.25, 0.5], dtype=np.float32)))
    index.add((words[:2], np.array([0.9, 0.1], dtype=np.float32)))
    index.add((np.array([2], dtype=np.int32), np.ones(1, dtype=np.float32)))
    query = (words[[0, 2]], np.array([0.4, 0.6], dtype=np.float32))
    # Shared weight: min(.4, .25) + min(.6, .5) = .75; min(.4, .9) = .4; none.
    assert index.scores(query).tolist() == pytest.approx([0.75, 0.4, 0.0])
    assert index.scores(query).dtype == np.float32


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 20))
def test_score_equals_definition(seed, count):
    rng = np.random.default_rng(seed)
    vectors = [vector(rng) for _ in range(count)]
    index = InvertedIndex(NUM_WORDS)
    for each in vectors:
        index.add(each)
    query = vector(rng)
    expected = [l1_score(query, each) for each in vectors]
    np.testing.assert_allclose(index.scores(query), expected, atol=1e-6)


@pytest.mark.parametrize('max_block', [64, 256, 2048])
def test_many_interleaved_additions_and_queries(max_block, monkeypatch):
    monkeypatch.setattr(inverted_index, '_MAX_BLOCK_ENTRIES', max_block)
    rng = np.random.default_rng(0)
    index, table = InvertedIndex(NUM_WORDS), np.zeros((0, NUM_WORDS))
    for step in range(700):
        new = vector(rng) if step % 50 else EMPTY
        assert index.add(new) == step
        table = np.vstack([table, dense(new)])
        if step % 7 == 0 or step % 64 in (62, 63, 0):
            query = vector(rng)
            expected = np.minimum(table, dense(query)).sum(axis=1)
            np.testing.assert_allclose(index.scores(query), expected, atol=1e-6)
    assert len(index) == 700


def test_entry_scores_one_against_itself_wherever_it_lies():
    rng = np.random.default_rng(1)
    vectors = [vector(rng) for _ in range(200)]
    index = InvertedIndex(NUM_WORDS)
    for each in vectors:
        index.add(each)
    for number in (0, 63, 64, 127, 128, 191, 192, 199):
        scores = index.scores(vectors[number])
        assert scores[number] == pytest.approx(1.0, abs=1e-6)
        assert scores.max() <= 1.0


def test_empty_query_and_empty_index():
    index = InvertedIndex(NUM_WORDS)
    assert index.scores(EMPTY).shape == (0,)
    assert index.scores(vector(np.random.default_rng(0))).shape == (0,)
    for _ in range(130):
        index.add(EMPTY)
    index.add(vector(np.random.default_rng(0)))
    assert not index.scores(EMPTY).any()
    assert index.scores(EMPTY).shape == (131,)


def test_memory_grows_with_the_postings():
    rng = np.random.default_rng(2)
    index = InvertedIndex(NUM_WORDS)
    sizes = []
    for _ in range(256):
        index.add(vector(rng))
        sizes.append(index.num_bytes)
    assert sizes[-1] > sizes[0]
    assert sizes[-1] < 256 * 12 * 8 + 4 * (NUM_WORDS + 1) + 4 * NUM_WORDS


@pytest.mark.parametrize('max_waiting', [1, 7, 1000])
def test_removed_entries_score_nothing_and_the_others_as_before(max_waiting, monkeypatch):
    monkeypatch.setattr(inverted_index, '_MAX_WAITING', max_waiting)
    rng = np.random.default_rng(1)
    index, vectors, gone = InvertedIndex(NUM_WORDS), [], set()
    for number in range(400):
        vectors.append(vector(rng))
        assert index.add(vectors[-1]) == number
        if number % 3 == 2:
            victim = int(rng.choice(sorted(set(range(number + 1)) - gone)))
            index.remove(victim)
            gone.add(victim)
    query = vector(rng)
    expected = [0.0 if i in gone else l1_score(query, v) for i, v in enumerate(vectors)]
    np.testing.assert_allclose(index.scores(query), expected, atol=1e-6)
    with pytest.raises(InputError, match=f'has no entry {min(gone)}'):
        index.remove(min(gone))
    with pytest.raises(InputError, match='has no entry 400'):
        index.remove(400)


def test_removed_entries_give_their_memory_back(monkeypatch):
    monkeypatch.setattr(inverted_index, '_MAX_WAITING', 64)
    rng = np.random.default_rng(2)
    index = InvertedIndex(2000)
    for _ in range(256):
        index.add(vector(rng, 2000, most=900))
    full = index.num_bytes
    for number in range(192):
        index.remove(number)
    assert index.num_bytes < 0.5 * full
