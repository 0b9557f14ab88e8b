"""Trains a vocabulary tree from the descriptors of many images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.clustering import k_majority
from s3e_gnn_ros.retrieval.vocabulary import Vocabulary, check_descriptors

Progress = Callable[[int, int], None]
"""Called with the work done and the work there is."""


def train_vocabulary(
    images: Sequence[NDArray[np.uint8]],
    *,
    branching: int = 40,
    depth: int = 3,
    seed: int = 0,
    progress: Progress | None = None,
) -> Vocabulary:
    """Cluster descriptors level by level, and weigh the words by how few images show them.

    Args:
        images: descriptors (N_i, 32) uint8 of each training image.
        branching: most children of a node, at least 2.
        depth: most levels below the root, at least 1.
        seed: of everything random; equal input and seed give an equal vocabulary.
        progress: told about the descriptors clustered so far, summed over the levels.

    Raises:
        InputError: wrong parameters or shapes, or fewer than ``branching`` descriptors.
    """
    if branching < 2 or depth < 1:
        raise InputError(f'a tree of branching {branching} and depth {depth} has no words')
    for descriptors in images:
        check_descriptors(descriptors)
    total = sum(len(descriptors) for descriptors in images)
    if total < branching:
        raise InputError(
            f'{len(images)} images give {total} descriptors, too few for branching {branching}'
        )
    centres, num_children, words = _grow(
        np.concatenate(images), branching, depth, np.random.default_rng(seed), progress
    )
    image_ids = np.repeat(np.arange(len(images)), [len(descriptors) for descriptors in images])
    idf = _inverse_document_frequency(words, image_ids, len(images))
    return Vocabulary(centres, num_children, idf)


def _grow(
    descriptors: NDArray[np.uint8],
    branching: int,
    depth: int,
    rng: np.random.Generator,
    progress: Progress | None,
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.intp]]:
    """Split node after node, breadth first.

    Returns:
        centres and child counts as :class:`Vocabulary` keeps them, the word of each descriptor.
    """
    centres: list[NDArray[np.uint8]] = []
    num_children: list[int] = []
    words = np.zeros(len(descriptors), dtype=np.intp)
    num_words = done = 0
    level = [np.arange(len(descriptors))]
    for height in range(depth, -1, -1):
        below: list[NDArray[np.intp]] = []
        for members in level:
            split = height > 0 and not _is_single(descriptors[members])
            if split:
                found, labels = k_majority(descriptors[members], branching, rng)
                centres.append(found)
                num_children.append(len(found))
                below += _groups(members, labels, len(found))
            else:
                num_children.append(0)
                words[members] = num_words
                num_words += 1
            done += len(members) * (1 if split else height)  # a leaf spares the levels below it
            if progress is not None:
                progress(done, depth * len(descriptors))
        level = below
    all_centres = np.concatenate(centres) if centres else np.zeros((0, 32), dtype=np.uint8)
    return all_centres, np.array(num_children, dtype=np.int32), words


def _is_single(descriptors: NDArray[np.uint8]) -> bool:
    """Tell whether all descriptors are equal, so that there is nothing to split."""
    return bool((descriptors == descriptors[0]).all())


def _groups(
    members: NDArray[np.intp], labels: NDArray[np.intp], num_groups: int
) -> list[NDArray[np.intp]]:
    order = np.argsort(labels, kind='stable')
    bounds = np.cumsum(np.bincount(labels, minlength=num_groups))[:-1]
    return np.split(members[order], bounds)


def _inverse_document_frequency(
    words: NDArray[np.intp], image_ids: NDArray[np.intp], num_images: int
) -> NDArray[np.float32]:
    """Return ln(images / images that show the word) (W,); every word has a member."""
    seen = np.unique(np.stack([words, image_ids]), axis=1)
    return np.log(num_images / np.bincount(seen[0])).astype(np.float32)
