"""Pairs balanced over overlap."""

import sys

import numpy as np
import pytest

from s3e_gnn_ros.errors import DependencyError, InputError
from s3e_gnn_ros.training.pair_sampling import balanced_pairs, overlap_bins

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


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'imblearn.over_sampling', None)
    with pytest.raises(DependencyError, match='imbalanced-learn'):
        balanced_pairs(OVERLAP)
