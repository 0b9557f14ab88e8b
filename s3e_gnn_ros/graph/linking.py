"""Which keyframes of its own session a new keyframe is joined with."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind
from s3e_gnn_ros.graph.gnn_config import GNNConfig


class Joinable(Protocol):
    """An embedding pose graph, or a reference graph that keeps one up to date."""

    def add_edge(self, first: int, second: int, kind: EdgeKind) -> bool:
        """Join two nodes; False when they cannot have another edge."""
        ...


def link_keyframe(
    graph: Joinable,
    node: int,
    embedding: NDArray[np.float32],
    recent: NDArray[np.int64],
    recent_embeddings: NDArray[np.float32],
    config: GNNConfig,
) -> None:
    """Join a keyframe with its predecessor, and with those of late that seem to see the same.

    Covisibility is predicted from the embeddings: the robot knows no true overlap. Only the
    last keyframes are asked, so that the work does not grow with the map; the way to older ones
    are loop closures, which have been verified.

    Args:
        graph: holds all these nodes.
        node: the new keyframe.
        embedding: its embedding (D,).
        recent: (R,) nodes of the same session before it, oldest first.
        recent_embeddings: (R, D) of these.
        config: the bounds.
    """
    if len(recent) == 0:
        return
    graph.add_edge(node, int(recent[-1]), EdgeKind.ODOMETRY)
    older = slice(max(0, len(recent) - 1 - config.covisible_window), len(recent) - 1)
    similarity = recent_embeddings[older] @ embedding  # (R - 1,)
    best = np.argsort(-similarity, kind='stable')[: config.max_covisible // 2]
    for row in best[similarity[best] >= config.min_covisible_similarity]:
        graph.add_edge(node, int(recent[older][row]), EdgeKind.COVISIBLE)


def chain_links(
    nodes: NDArray[np.int64],
    embeddings: NDArray[np.float32],
    stored: NDArray[np.float32],
    num_known: int,
    config: GNNConfig,
) -> tuple[NDArray[np.int64], list[EdgeKind]]:
    """Return what :func:`link_keyframe` would ask for, for all keyframes of a session at once.

    Args:
        nodes: (n,) of one session, oldest first.
        embeddings: (n, D) of each as it came.
        stored: (n, D) of each as the graph holds it, when it is an older one's turn.
        num_known: the first so many are linked already.
        config: the bounds.

    Returns:
        edges (E, 2), the newer node first, in the order in which they would be asked for, and
        their kinds (E,).
    """
    window, count = config.covisible_window, config.max_covisible // 2
    new = np.arange(max(num_known, 1), len(nodes))
    older = new[:, None] - 1 - window + np.arange(window)  # (n, W), oldest first
    similarity = np.full(older.shape, -np.inf, dtype=np.float32)
    for column in range(window):
        rows = older[:, column] >= 0
        pair = embeddings[new[rows]], stored[older[rows, column]]
        similarity[rows, column] = np.einsum('nd,nd->n', *pair)
    best = np.argsort(-similarity, axis=1, kind='stable')[:, :count]
    chosen = np.take_along_axis(older, best, axis=1)
    is_asked = np.take_along_axis(similarity, best, axis=1) >= config.min_covisible_similarity
    ends = np.hstack([new[:, None] - 1, chosen])  # the predecessor comes first
    is_asked = np.hstack([np.ones((len(new), 1), dtype=bool), is_asked])
    row, place = np.nonzero(is_asked)
    edges = np.stack([nodes[new[row]], nodes[ends[row, place]]], axis=1)
    kinds = [EdgeKind.COVISIBLE if each else EdgeKind.ODOMETRY for each in place.tolist()]
    return edges, kinds
