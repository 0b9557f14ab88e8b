"""Where the newest keyframe of a query was seen: those before it lie on a path that leads there.

U of paper Eq. 2 compares each of W query keyframes with each node of the reference graph. While
the robot goes from one query keyframe to the next, where it is in the reference graph goes along
at most one edge, or stays. So the best path that ends at node j is worth

    s_1(j) = U(1, j),    s_k(j) = U(k, j) + a * max(s_{k-1}(i) for i in {j} and its neighbours)

and j is as similar to the newest keyframe as s_W(j) / (1 + a + ... + a^(W-1)).

Differs from the paper, which takes the largest element of U. Keyframes before the newest speak for
the place they lead to; averaged with it they would speak for the place they were taken at
(docs/training.md). Paths of one edge per keyframe are those of SeqSLAM (Milford and Wyeth, ICRA
2012) on a graph in place of a straight line.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind

PATH_EDGES = (EdgeKind.ODOMETRY, EdgeKind.LOOP)
"""Edges a robot goes along; covisible ones span several keyframes."""


def path_similarity(U: Tensor, edge_index: Tensor, weight: Tensor | float) -> Tensor:
    """Follow each query through the reference graph; differentiable.

    Args:
        U: (B, W, N) of B queries of W keyframes each, oldest first.
        edge_index: (2, E) between the N nodes, each edge in both directions.
        weight: a, at least 0.

    Returns:
        (B, N), at most the largest of U.
    """
    source, target = edge_index
    target = target.expand(len(U), -1)  # (B, E)
    best, total = U[:, 0], torch.ones(())
    for row in U.unbind(1)[1:]:
        best = row + weight * best.scatter_reduce(1, target, best[:, source], 'amax')
        total = 1.0 + weight * total
    return best / total


def best_paths(
    U: NDArray[np.float32], neighbours: NDArray[np.int64], weight: float
) -> NDArray[np.float32]:
    """Do what :func:`path_similarity` does for one query, in numpy.

    Args:
        U: (W, N).
        neighbours: (M, N) of each node, its own number where there are fewer.
        weight: a, at least 0.

    Returns:
        (N,).
    """
    best, total = U[0], 1.0
    for row in U[1:]:
        best = row + np.float32(weight) * np.maximum(best, best.take(neighbours).max(axis=0))
        total = 1.0 + weight * total
    return np.asarray(best / np.float32(total), np.float32)
