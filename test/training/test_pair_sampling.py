"""Pairs balanced over overlap."""

import sys

import numpy as np
import pytest

from s3e_gnn_ros.errors import DependencyError, InputError
from s3e_gnn_ros.training.pair_sampling import balanced_pairs, overlap_bins, smote_pairs

OVERLAP = np.concatenate([np.full(50, 0.05), np.full(7, 0.55), np.full(3, 0.95)])


def test_bins_are_half_open_and_the_last_is_closed():
    assert overlap_bins(np.array([0.0, 0.1, 0.5, 1.0]), 10).tolist() == [0, 1, 5, 9]
    with pytest.raises(InputError, match=r'1\.5'):
        overlap_bins(np.array([0.5, 1.5]), 10)


def test_balanced_pairs_fill_every_bin_alike():
    pytest.importorskip('imblearn')
    index = balanced_pairs(OVERLAP, 10, seed=0)
    assert np.unique(OVERLAP[index], return_counts=True)[1].tolist() == [50, 50, 50]
    assert set(index) == set(range(60))
    assert (index == balanced_pairs(OVERLAP, 10, seed=0)).all()
    assert sorted(balanced_pairs(OVERLAP[:5])) == [0, 1, 2, 3, 4]


def test_smote_interpolates_vectors_and_overlap_alike():
    pytest.importorskip('imblearn')
    overlap = np.random.default_rng(0).uniform(0, 0.9, 80) ** 2
    vectors = np.column_stack([overlap * 3, 1 - overlap])
    more, overlap_of_more = smote_pairs(vectors, overlap, 5, seed=0)
    counts = np.unique(overlap_bins(overlap_of_more, 5), return_counts=True)[1]
    assert counts.min() == counts.max()
    assert more[:, 0] == pytest.approx(overlap_of_more * 3, abs=1e-5)
    assert more[:80] == pytest.approx(vectors)


def test_a_bin_of_one_stays_as_it_is():
    pytest.importorskip('imblearn')
    overlap = np.array([0.05] * 10 + [0.95])
    vectors, more = smote_pairs(np.zeros((11, 4)), overlap, 10)
    assert vectors.shape == (11, 4)
    assert len(more) == 11


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'imblearn.over_sampling', None)
    with pytest.raises(DependencyError, match='imbalanced-learn'):
        balanced_pairs(OVERLAP)
