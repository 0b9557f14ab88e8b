"""DBoW2's direct index: which features of an entry fall under which node of the vocabulary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.retrieval.vocabulary import Vocabulary

FeatureVector = dict[int, NDArray[np.intp]]
"""Node -> indices (n,) of the features under it, ascending."""


def node_of_word(vocabulary: Vocabulary, levels_up: int) -> NDArray[np.intp]:
    """Return the node (W,) of each word that is ``levels_up`` levels above the lowest ones.

    A word that hangs higher stands for itself; with as many levels as the tree has, or more, all
    is under the root, node 0. Nodes have the numbers of :class:`Vocabulary`.
    """
    num_children = vocabulary.num_children
    parent = np.concatenate([[0], np.repeat(np.arange(len(num_children)), num_children)])
    depth = np.zeros(len(parent), dtype=np.intp)
    for _ in range(vocabulary.depth):
        depth[1:] = depth[parent[1:]] + 1
    nodes = np.flatnonzero(num_children == 0)
    level = max(vocabulary.depth - levels_up, 0)
    while (depth[nodes] > level).any():
        nodes = np.where(depth[nodes] > level, parent[nodes], nodes)
    return nodes


def group_by_node(nodes: NDArray[np.intp]) -> FeatureVector:
    """Group features by their nodes (N,); those of node -1 are left out."""
    features = np.flatnonzero(nodes >= 0)
    order = features[np.argsort(nodes[features], kind='stable')]
    found, starts = np.unique(nodes[order], return_index=True)
    groups = np.split(order, starts[1:])
    return dict(zip(found.tolist(), groups, strict=False))
