"""Exact and approximate search give the same answers."""

import sys

import numpy as np
import pytest
import torch

from s3e_gnn_ros.errors import DependencyError, InputError
from s3e_gnn_ros.graph.exact_index import ExactIndex
from s3e_gnn_ros.graph.index import GrowingIndex
from s3e_gnn_ros.graph.ivf_index import import_faiss
from s3e_gnn_ros.graph.query import index_queries, index_vectors

DIM = 32


def vectors(num, rng):
    """Clustered logits, as views of places are."""
    places = rng.standard_normal((40, DIM))
    logits = places[rng.integers(40, size=num)] + 0.5 * rng.standard_normal((num, DIM))
    return index_vectors(torch.from_numpy(logits.astype(np.float32))).numpy()


def queries(found):
    q = torch.sigmoid(torch.from_numpy(found[:, :-1]))
    return index_queries(q).numpy()


def test_exact_by_hand():
    index = ExactIndex(2)
    assert index.add(np.array([[1, 0], [0, 1], [3, 3]], dtype=np.float32)).tolist() == [0, 1, 2]
    query = np.array([[1.0, 0.5]], dtype=np.float32)
    assert index.scores(query[0]).tolist() == [1.0, 0.5, 4.5]
    index.remove(np.array([2]))
    index.update(np.array([1]), np.array([[2, 2]], dtype=np.float32))
    scores, ids = index.search(query, 3)
    assert scores.tolist() == [[3.0, 1.0, -np.inf]]
    assert ids.tolist() == [[1, 0, -1]]
    with pytest.raises(InputError, match='no vector 2'):
        index.update(np.array([2]), np.zeros((1, 2), dtype=np.float32))
    with pytest.raises(InputError, match='no vector 3'):
        index.remove(np.array([3]))


def test_exact_over_many_blocks():
    rng = np.random.default_rng(0)
    index, rows = ExactIndex(DIM + 1), vectors(2500, rng)
    rows[2400] = rows[3]  # a tie
    for part in np.split(rows, [1, 1500]):
        index.add(part)
    changed, gone = np.array([0, 1024, 2499]), np.array([7, 1023, 2300])
    rows[changed] = vectors(3, rng)
    index.update(changed, rows[changed])
    index.remove(gone)
    query = queries(rows[3:4])
    expected = rows.astype(np.float64) @ query[0].astype(np.float64)
    expected[gone] = -np.inf
    scores = index.scores(query[0])
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
    found, ids = index.search(query, 20)
    np.testing.assert_allclose(found[0], np.sort(expected)[::-1][:20], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found[0], scores[ids[0]])
    assert scores[3] == pytest.approx(scores[2400], rel=1e-6)
    assert {3, 2400} <= set(ids[0].tolist())


def test_approximate_beyond_the_limit():
    pytest.importorskip('faiss')
    rng = np.random.default_rng(0)
    exact, growing = ExactIndex(DIM + 1), GrowingIndex(DIM + 1, max_exact=1500)
    for count in (1000, 500, 1, 499):
        more = vectors(count, rng)
        np.testing.assert_array_equal(exact.add(more), growing.add(more))
        assert growing.is_exact == (len(growing) <= 1500)
    gone, changed = np.array([3, 1999]), np.array([0, 1700])
    moved = vectors(2, rng)
    for index in (exact, growing):
        index.remove(gone)
        index.update(changed, moved)
    asked = queries(exact.rows(exact.ids()[::100]))
    scores, ids = growing.search(asked, 10)
    true_scores, true_ids = exact.search(asked, 10)
    hits = [len(np.intersect1d(*pair)) for pair in zip(ids, true_ids, strict=True)]
    assert np.mean(hits) > 9.0
    np.testing.assert_allclose(scores[:, 0], true_scores[:, 0], atol=0.1)
    assert not np.isin(gone, growing.search(asked, 500)[1]).any()
    some = np.concatenate([changed, ids[ids >= 0]])
    np.testing.assert_allclose(growing.rows(some), exact.rows(some), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(exact.rows(changed), moved)
    every = growing.scores(asked[0])
    assert every.shape == (2000,)
    assert every.argmax() == ids[0, 0]
    assert np.isneginf(every[gone]).all()
    assert len(growing.add(vectors(3, rng))) == 3
    assert len(growing) == 2003
    compared, found = growing.compared(asked[0])
    assert len(compared) <= 1024
    np.testing.assert_array_equal(growing.scores(asked[0])[compared], found)
    with pytest.raises(InputError, match='only 0 of the vectors'):
        growing.remove(gone[:1])


def test_without_faiss_the_search_stays_exact(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faiss', None)
    index = GrowingIndex(DIM + 1, max_exact=100)
    added = vectors(300, np.random.default_rng(0))
    index.add(added)
    assert index.is_exact
    assert index.search(queries(added[:1]), 1)[1].tolist() == [[0]]
    with pytest.raises(DependencyError, match=r'pip install .*\[index\]'):
        import_faiss()


def test_lists_are_made_anew_for_new_places():
    """Lists of old places know nothing of new ones, which would fall into a few of them."""
    pytest.importorskip('faiss')
    rng = np.random.default_rng(1)
    exact, growing = ExactIndex(DIM + 1), GrowingIndex(DIM + 1, max_exact=1500)
    first, gone = vectors(1600, rng), np.array([5, 1599])
    for index in (exact, growing):
        index.add(first)
        index.remove(gone)
    before = growing._index
    growing.update(np.array([8]), first[9:10])
    exact.update(np.array([8]), first[9:10])
    places = vectors(1600, rng)
    places[:, :-1] *= 1.5
    for index in (exact, growing):
        assert index.add(places)[-1] == 3199
        index.add(places[:1])
    assert growing._index is not before
    assert len(growing) == 3201
    np.testing.assert_array_equal(growing._index.ids(), exact.ids())
    np.testing.assert_allclose(
        growing.rows(exact.ids()), exact.rows(exact.ids()), rtol=1e-3, atol=1e-3
    )
    asked = queries(places[::100])
    found, true = growing.search(asked, 10)[1], exact.search(asked, 10)[1]
    assert np.mean([len(np.intersect1d(*pair)) for pair in zip(found, true, strict=True)]) > 9.0
    assert not np.isin(gone, growing.search(asked, 500)[1]).any()
    after = growing._index
    growing.add(places)
    assert growing._index is after  # not before it has doubled


def test_of_a_few_that_are_left_no_lists_are_made():
    rng = np.random.default_rng(2)
    growing = GrowingIndex(DIM + 1, max_exact=100)
    ids = growing.add(vectors(100, rng))
    growing.remove(ids[:90])
    last = vectors(1, rng)
    assert growing.add(last).tolist() == [100]
    assert growing.is_exact
    assert growing.search(queries(last), 20)[1][0, 0] == 100
