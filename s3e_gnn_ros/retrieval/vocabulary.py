"""The bag-of-words vocabulary: a tree of binary words with their inverse document frequencies.

Gálvez-López and Tardós, "Bags of Binary Words for Fast Place Recognition in Image Sequences",
IEEE T-RO 2012; Nistér and Stewénius, "Scalable Recognition with a Vocabulary Tree", CVPR 2006.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.hamming import (
    DESCRIPTOR_BYTES,
    distances_to_blocks,
    to_planes,
)

BowVector = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Distinct words (M,) in ascending order, and their weights (M,), positive, with the sum 1."""


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """A tree whose leaves are words; immutable.

    Nodes are numbered breadth first: the root is 0, the children of a node follow one another,
    and those of node i come before those of node i + 1. Words are the leaves in this order.

    Attributes:
        centres: (T, 32) uint8, the descriptor of each node 1 .. T; the root needs none.
        num_children: (T + 1,) int32 of each node from the root on; 0 marks a leaf.
        idf: (W,) float32, ln(images / images that show the word), at least 0.

    Raises:
        InputError: the arrays do not describe such a tree.
    """

    centres: NDArray[np.uint8]
    num_children: NDArray[np.int32]
    idf: NDArray[np.float32]
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        """Check the tree and freeze its arrays."""
        _check_arrays(self.centres, self.num_children, self.idf)
        object.__setattr__(self, 'depth', _depth(self.num_children))
        num_leaves = int((self.num_children == 0).sum())
        if num_leaves != len(self.idf):
            raise InputError(
                f'the tree has {num_leaves} leaves, but idf has {len(self.idf)} values'
            )
        for array in (self.centres, self.num_children, self.idf):
            array.setflags(write=False)

    @property
    def branching(self) -> int:
        """The largest number of children of a node."""
        return int(self.num_children.max())

    @property
    def num_words(self) -> int:
        """The number of leaves."""
        return len(self.idf)

    @property
    def num_nodes(self) -> int:
        """The number of nodes without the root."""
        return len(self.centres)

    def transform(self, descriptors: NDArray[np.uint8]) -> BowVector:
        """Turn the descriptors of one image into its tf-idf vector.

        Args:
            descriptors: (N, 32) uint8.

        Returns:
            words (M,) int32 in ascending order and weights (M,) float32 with the sum 1. Words that
            every training image shows weigh nothing and are left out. Both are empty when no
            descriptor has a weight.

        Raises:
            InputError: ``descriptors`` has another shape or type.
        """
        return self.weigh(self.words_of(descriptors))

    def weigh(self, words: NDArray[np.int32]) -> BowVector:
        """Turn the words (N,) of one image's features into its tf-idf vector."""
        words, counts = np.unique(words, return_counts=True)
        weights = counts.astype(np.float64) * self.idf[words]
        words, weights = words[weights > 0.0], weights[weights > 0.0]
        return words, (weights / weights.sum()).astype(np.float32)

    def words_of(self, descriptors: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the word (N,) int32 of each descriptor (N, 32), down the nearest children.

        Raises:
            InputError: ``descriptors`` has another shape or type.
        """
        check_descriptors(descriptors)
        query = to_planes(descriptors)  # (4, N)
        nodes = np.zeros(len(descriptors), dtype=np.int64)
        pending = np.arange(len(nodes))  # the descriptors that are not at a leaf yet
        for _ in range(self.depth):
            parents = self._rank_of_parent[nodes[pending]]
            distances = distances_to_blocks(query[:, pending], self._blocks, parents)
            nodes[pending] = self._children[parents, distances.argmin(axis=1)]
            pending = pending[self.num_children[nodes[pending]] > 0]
        return self._word_of_node[nodes]

    @cached_property
    def _children(self) -> NDArray[np.int64]:
        """Nodes (P, K) below each parent; a parent of fewer than K repeats its first child.

        The first of equal distances wins, so that the repeated ones never do.
        """
        first = 1 + np.cumsum(self.num_children, dtype=np.int64) - self.num_children
        is_parent = self.num_children > 0
        steps = np.arange(self.branching)
        steps = np.where(steps < self.num_children[is_parent, None], steps, 0)
        return first[is_parent, None] + steps

    @cached_property
    def _blocks(self) -> NDArray[np.uint64]:
        """Planes (4, P, K) of the children of each parent, side by side: one copy fetches all."""
        return to_planes(self.centres)[:, self._children - 1]

    @cached_property
    def _rank_of_parent(self) -> NDArray[np.int64]:
        return np.cumsum(self.num_children > 0) - 1

    @cached_property
    def _word_of_node(self) -> NDArray[np.int32]:
        return (np.cumsum(self.num_children == 0) - 1).astype(np.int32)


def check_descriptors(descriptors: NDArray[Any]) -> None:
    """Refuse anything but (N, 32) uint8.

    Raises:
        InputError: it is something else.
    """
    shape, dtype = np.shape(descriptors), getattr(descriptors, 'dtype', None)
    if len(shape) != 2 or shape[1] != DESCRIPTOR_BYTES or dtype != np.uint8:
        raise InputError(
            f'descriptors are {shape} {dtype} instead of (N, {DESCRIPTOR_BYTES}) uint8'
        )


def _check_arrays(
    centres: NDArray[np.uint8], num_children: NDArray[np.int32], idf: NDArray[np.float32]
) -> None:
    check_descriptors(centres)
    if num_children.dtype != np.int32 or num_children.shape != (len(centres) + 1,):
        raise InputError(
            f'num_children is {num_children.shape} {num_children.dtype} '
            f'instead of ({len(centres) + 1},) int32'
        )
    if idf.dtype != np.float32 or idf.ndim != 1:
        raise InputError(f'idf is {idf.shape} {idf.dtype} instead of (W,) float32')
    if not np.isfinite(idf).all() or (idf < 0).any():
        raise InputError('idf holds a value that is negative or not finite')


def _depth(num_children: NDArray[np.int32]) -> int:
    """Walk down the levels; every node must be reached exactly once."""
    if (num_children < 0).any() or num_children.sum(dtype=np.int64) != len(num_children) - 1:
        raise InputError(f'the children of the tree do not add up to {len(num_children) - 1}')
    depth, start, end = 0, 0, 1
    while end < len(num_children):
        start, end = end, end + int(num_children[start:end].sum())
        if start == end:
            raise InputError(f'node {end} of the tree hangs on no other')
        depth += 1
    if depth == 0:
        raise InputError('the tree has only a root')
    return depth
