"""k-majority: k-means in Hamming space, where the mean of a cluster is the majority of each bit.

Grana et al., "A fast approach for integrating ORB descriptors in the bag of words model", 2013.
Descriptors are rows of +1 and -1 here: a . b = 256 - 2 * hamming(a, b), so that distances and
bit counts are matrix products, and exact ones (integers below 2^24 in float32).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.retrieval.hamming import DESCRIPTOR_BITS, distances_to_all, to_planes

_CHUNK = 65536  # descriptors compared at a time: bounds the memory of an assignment


def k_majority(
    descriptors: NDArray[np.uint8],
    num_clusters: int,
    rng: np.random.Generator,
    *,
    max_iterations: int = 15,
    max_samples: int = 40000,
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Cluster binary descriptors.

    Args:
        descriptors: (N, 32) uint8, N at least 1.
        num_clusters: wanted number of clusters.
        rng: draws the seeds and the samples.
        max_iterations: of assignment and update.
        max_samples: the centres are found on at most this many descriptors, drawn at random.

    Returns:
        centres (K, 32) uint8 and the nearest centre (N,) of each descriptor. Each centre is the
        nearest of at least one descriptor; K is less than ``num_clusters`` where fewer remain.
    """
    if len(descriptors) <= num_clusters:
        centres = np.unique(descriptors, axis=0)
    else:
        samples = descriptors
        if len(descriptors) > max_samples:
            drawn = rng.choice(len(descriptors), max_samples, replace=False)
            samples = descriptors[drawn]
        signs = to_signs(samples)
        centres = _to_bytes(_lloyd(signs, _seeds(signs, num_clusters, rng), max_iterations))
        centres = np.unique(centres, axis=0)
    return _drop_unused(centres, nearest(descriptors, centres))


def nearest(descriptors: NDArray[np.uint8], centres: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return the index (N,) of the nearest of K centres; the first of equals."""
    planes, query = to_planes(centres), to_planes(descriptors)
    chunks = range(0, len(descriptors), _CHUNK)
    labels = [distances_to_all(query[:, i : i + _CHUNK], planes).argmin(axis=1) for i in chunks]
    return np.concatenate(labels)


def to_signs(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the bits of descriptors (N, 32) as (N, 256) float32 of +1 (set) and -1."""
    return np.unpackbits(descriptors, axis=1).astype(np.float32) * 2.0 - 1.0


def _to_bytes(signs: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.packbits(signs > 0.0, axis=1)


def _seeds(
    signs: NDArray[np.float32], num_clusters: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw seeds by greedy k-means++ (Arthur and Vassilvitskii 2007).

    Each seed is the best of a few draws in proportion to the distance from the seeds before it;
    a Hamming distance is already a squared Euclidean one.
    """
    num_draws = 2 + int(np.log(num_clusters))
    chosen = [int(rng.integers(len(signs)))]
    gaps = DESCRIPTOR_BITS - signs @ signs[chosen[0]]  # (N,) to the nearest seed so far
    for _ in range(num_clusters - 1):
        cumulative = np.cumsum(gaps, dtype=np.float64)
        if cumulative[-1] == 0.0:
            break  # fewer distinct descriptors than clusters
        draws = np.searchsorted(cumulative, rng.random(num_draws) * cumulative[-1], side='right')
        draws = np.minimum(draws, len(signs) - 1)
        remaining = np.minimum(gaps[:, None], DESCRIPTOR_BITS - signs @ signs[draws].T)  # (N, D)
        best = int(remaining.sum(axis=0, dtype=np.float64).argmin())
        chosen.append(int(draws[best]))
        gaps = remaining[:, best]
    return signs[chosen]


def _lloyd(
    signs: NDArray[np.float32], centres: NDArray[np.float32], max_iterations: int
) -> NDArray[np.float32]:
    """Alternate assignment and majority until nothing changes."""
    labels = np.full(len(signs), -1)
    for _ in range(max_iterations):
        previous, labels = labels, (signs @ centres.T).argmax(axis=1)
        if np.array_equal(previous, labels):
            break
        members = (labels == np.arange(len(centres))[:, None]).astype(np.float32)  # (K, N)
        votes = members @ signs  # (K, 256)
        # A tie, and a cluster without members, keeps the bit it had.
        centres = np.where(votes == 0.0, centres, np.sign(votes)).astype(np.float32)
    return centres


def _drop_unused(
    centres: NDArray[np.uint8], labels: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    used, labels = np.unique(labels, return_inverse=True)
    return centres[used], labels
