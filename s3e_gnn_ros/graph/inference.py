"""Runs a trained GNN on the few nodes that one keyframe touches, without torch's overhead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.query import chain_edge_index
from s3e_gnn_ros.graph.smoothing import SmallSmoothing

if TYPE_CHECKING:
    from s3e_gnn_ros.graph.gnn import ReferenceGNN

_MAX_DENSE_NODES = 128
"""Up to here sums over edges are dense products: at 30 nodes in 0.4 of the time of sparse ones."""

_Array = NDArray[np.float32]


class InferenceGNN:
    """A GNN whose weights do not change any more.

    The improved form goes through numpy, so that a node needs no torch-geometric, which takes
    longer to import than all else together; the paper's goes through the modules themselves.
    Equal within 1e-5.

    Args:
        config: architecture.
        weights: trained; names and shapes are those of
            :func:`~s3e_gnn_ros.graph.gnn.build_gnn`, see :meth:`shapes`. They are copied.
    """

    def __init__(self, config: GNNConfig, weights: Mapping[str, Tensor]) -> None:
        self.config = config
        self._small = self._paper = None
        if config.form == 'improved':
            self._small = SmallSmoothing.of(weights)
        else:
            from s3e_gnn_ros.graph.gnn import PaperGNN

            self._paper = PaperGNN(config).eval()
            self._paper.load_state_dict(weights)

    @staticmethod
    def shapes(config: GNNConfig) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the weights by their names; takes no memory for them."""
        if config.form == 'improved':
            return SmallSmoothing.shapes(config)
        from s3e_gnn_ros.graph.gnn import PaperGNN

        with torch.device('meta'):
            state = PaperGNN(config).state_dict()
        return {name: tuple(value.shape) for name, value in state.items()}

    @classmethod
    def of(cls, gnn: ReferenceGNN) -> InferenceGNN:
        """Copy a GNN from its training."""
        return cls(gnn.config, gnn.state_dict())

    @property
    def path_weight(self) -> float:
        """What a query keyframe counts beside the next."""
        return 0.0 if self._small is None else self._small.path_weight

    def logits(
        self,
        embeddings: _Array,
        edge_index: NDArray[np.int64],
        wanted: NDArray[np.int64] | None = None,
    ) -> _Array:
        """Compute logits.

        Args:
            embeddings: (N, D).
            edge_index: (2, E), each edge once in each direction.
            wanted: (n,) the nodes whose logits to return; all when None.

        Returns:
            (n, K).
        """
        wanted = np.arange(len(embeddings)) if wanted is None else wanted
        if self._small is not None and len(embeddings) <= _MAX_DENSE_NODES:
            return self._small.logits(embeddings, edge_index, wanted)
        if self._small is not None:
            every: _Array = self._small.logits_of_many(embeddings, edge_index)[wanted]
            return every
        assert self._paper is not None
        with torch.no_grad():
            logits = self._paper(torch.from_numpy(embeddings), torch.from_numpy(edge_index))
        found: _Array = logits.numpy()[wanted]
        return found

    def query(self, embeddings: _Array) -> _Array:
        """Pass a query sub-graph through the GNN, on its own: it never sees the reference graph.

        Args:
            embeddings: (W, D) of successive keyframes, oldest first, W at least 1.

        Returns:
            q (W, K); the last row is the newest keyframe's.
        """
        if self._small is not None:
            return self._small.query(embeddings)
        assert self._paper is not None
        edges = chain_edge_index(len(embeddings))
        with torch.no_grad():
            x = self._paper.query_logits(torch.from_numpy(embeddings), edges)
            q: _Array = self._paper.query_probabilities(x).numpy()
        return q
