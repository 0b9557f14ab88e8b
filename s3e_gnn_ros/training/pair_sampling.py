"""Equally many pairs of every similarity: most pairs overlap hardly at all or nearly wholly.

The paper balances pairs with SMOTE (Chawla et al., 2002), which makes new samples between
neighbouring feature vectors of a rare class. Between two pairs of images there is no image, and a
calibration fitted to made-up pairs would no longer be a probability: pairs are repeated instead.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError, InputError


def overlap_bins(overlap: NDArray[np.floating], num_bins: int) -> NDArray[np.intp]:
    """Number the bin (K,) of each overlap (K,) in [0, 1]; all bins have the same width.

    Raises:
        InputError: a value lies outside, or there is no bin.
    """
    if num_bins < 1:
        raise InputError(f'overlap cannot be sorted into {num_bins} bins')
    outside = overlap[~((overlap >= 0) & (overlap <= 1))]
    if len(outside):
        raise InputError(f'overlap {outside[0]} lies outside 0 to 1')
    return np.minimum((overlap * num_bins).astype(np.intp), num_bins - 1)


def balanced_pairs(
    overlap: NDArray[np.floating], num_bins: int = 10, seed: int = 0
) -> NDArray[np.intp]:
    """Choose pairs, each at least once, so that every bin that has any has equally many.

    Differs from the paper: pairs of rare overlap are repeated, none is made up; views drawn
    anew, patches drawn anew and mirroring see to it that a repetition is not the same sample.

    Args:
        overlap: (K,) of each pair.
        num_bins: of overlap.
        seed: of the choice, and of the order.

    Returns:
        (M,) indices of pairs, shuffled.

    Raises:
        InputError: an overlap outside 0 to 1.
        DependencyError: imbalanced-learn is not installed.
    """
    bins = overlap_bins(overlap, num_bins)
    index = np.arange(len(overlap))
    if len(np.unique(bins)) > 1:
        sampler = _over_sampling().RandomOverSampler(random_state=seed)
        sampler.fit_resample(index[:, None], bins)
        index = np.asarray(sampler.sample_indices_, np.intp)
    return np.random.default_rng(seed).permutation(index)


def _over_sampling() -> Any:
    try:
        return importlib.import_module('imblearn.over_sampling')
    except ImportError as err:
        raise DependencyError(
            "balanced pairs need imbalanced-learn: pip install 's3e_gnn_ros[training]'"
        ) from err
