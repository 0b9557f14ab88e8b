"""Equally many pairs of every similarity: most pairs overlap hardly at all or nearly wholly.

The paper balances pairs with SMOTE (Chawla et al., 2002), which makes new samples between
neighbouring feature vectors of a rare class. Between two pairs of images there is no image, so
for training an encoder, pairs are repeated instead (:func:`balanced_pairs`). Where a sample is
a vector already, a pair of embeddings for the graph network or for the calibration, SMOTE fits
as it is (:func:`smote_pairs`).
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError, InputError

_NUM_NEIGHBOURS = 5  # of SMOTE, its paper's


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


def smote_pairs(
    vectors: NDArray[np.floating], overlap: NDArray[np.floating], num_bins: int = 10, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add pairs between neighbouring pairs of the same bin until all bins are equally full.

    The overlap is interpolated along with the vector. Bins with fewer than two pairs have no
    neighbours and stay as they are.

    Args:
        vectors: (K, F), one per pair.
        overlap: (K,) of each pair.
        num_bins: of overlap.
        seed: of the interpolation.

    Returns:
        Vectors (M, F) and overlaps (M,), the given ones first.

    Raises:
        InputError: an overlap outside 0 to 1.
        DependencyError: imbalanced-learn is not installed.
    """
    bins = overlap_bins(overlap, num_bins)
    joint = np.column_stack([vectors, overlap]).astype(np.float32)
    present, counts = np.unique(bins, return_counts=True)
    wanted = {int(b): int(counts.max()) for b, c in zip(present, counts, strict=True) if c > 1}
    if len(present) > 1 and wanted:
        neighbours = min(_NUM_NEIGHBOURS, int(counts[counts > 1].min()) - 1)
        sampler = _over_sampling().SMOTE(
            sampling_strategy=wanted, k_neighbors=neighbours, random_state=seed
        )
        joint = np.asarray(sampler.fit_resample(joint, bins)[0], np.float32)
    return joint[:, :-1], np.clip(joint[:, -1], 0, 1)


def _over_sampling() -> Any:
    try:
        return importlib.import_module('imblearn.over_sampling')
    except ImportError as err:
        raise DependencyError(
            "balanced pairs need imbalanced-learn: pip install 's3e_gnn_ros[training]'"
        ) from err
