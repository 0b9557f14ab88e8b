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
