"""The GNN: turns the embedding pose graph into the reference graph."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from s3e_gnn_ros.graph.gnn_config import NUM_LAYERS, GNNConfig
from s3e_gnn_ros.graph.layers import PaperSageConv, SmoothingSageConv


class PaperGNN(nn.Module):
    """Three SAGE layers, ReLU after each, then a sigmoid, as the paper writes it.

    A sigmoid after a ReLU reaches only [0.5, 1): half of the range is lost, and a node of all
    ones is alike to every query (Eq. 2 only asks for log m where q is large).

    Args:
        config: the embedding size.

    Shapes:
        - input: embeddings (N, D), edge_index (2, E) with each edge in both directions.
        - output: logits (N, K) with K = D, at least 0; m is their sigmoid.
    """

    def __init__(self, config: GNNConfig) -> None:
        super().__init__()
        self.config = config
        layers = [PaperSageConv(config.embedding_dim) for _ in range(NUM_LAYERS)]
        self.layers = nn.ModuleList(layers)
        self.path_weight = torch.zeros(())  # the newest keyframe of a query alone counts

    def forward(self, embeddings: Tensor, edge_index: Tensor) -> Tensor:
        """Return the logits (N, K) of all nodes."""
        source, target = edge_index
        edge_feature = torch.cat([embeddings[target], embeddings[source]], dim=1)  # (E, 2 D)
        x = embeddings
        for layer in self.layers:
            x = torch.relu(layer(x, edge_index, edge_feature))
        return x

    def query_logits(self, embeddings: Tensor, edge_index: Tensor) -> Tensor:
        """Return the logits (W, K) of a query sub-graph."""
        logits: Tensor = self(embeddings, edge_index)
        return logits

    def query_probabilities(self, logits: Tensor) -> Tensor:
        """Return q (W, K) of the logits of a query sub-graph."""
        return torch.sigmoid(logits)


class SmoothingGNN(nn.Module):
    """Corrects embeddings by what their neighbours show, and leaves them embeddings.

    ``logits_i = a * x_i`` with x_i from three gated averages (:class:`SmoothingSageConv`). Edge
    features are the paper's concatenation through one projection, and the cosine of both
    embeddings. A query sub-graph is not averaged: its keyframes are compared each by itself, and
    count by the way they lead through the reference graph (:mod:`s3e_gnn_ros.graph.path`).

    Differs from the paper: averages in place of free matrices; gates; no ReLU before the sigmoid,
    so that m is in (0, 1); no averages in the query, whose logits are scaled by b.

    Args:
        config: sizes, a and b at the start.

    Shapes:
        - input: embeddings (N, D) unit length, edge_index (2, E) with each edge in both
          directions.
        - output: logits (N, K) with K = D; m is their sigmoid.
    """

    def __init__(self, config: GNNConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embedding_dim
        self.log_logit_scale = nn.Parameter(torch.tensor(float(config.logit_scale)).log())
        self.log_query_scale = nn.Parameter(torch.tensor(float(config.query_scale)).log())
        self.edge_source = nn.Linear(dim, config.edge_dim, bias=False)
        self.edge_target = nn.Linear(dim, config.edge_dim)
        self.layers = nn.ModuleList(
            SmoothingSageConv(config.edge_dim + 1) for _ in range(NUM_LAYERS)
        )
        if config.path_weight:
            self.log_path_weight = nn.Parameter(torch.tensor(float(config.path_weight)).log())
        self.log_strength = nn.Parameter(torch.full((NUM_LAYERS,), 0.05).log())

    def forward(self, embeddings: Tensor, edge_index: Tensor) -> Tensor:
        """Return the logits (N, K) of a reference graph."""
        edge_feature = self._edge_features(embeddings, edge_index)
        x = embeddings
        for layer, strength in zip(self.layers, self.log_strength.exp(), strict=True):
            x = layer(x, edge_index, edge_feature, strength)
        return self.log_logit_scale.exp() * x

    def query_logits(self, embeddings: Tensor, edge_index: Tensor) -> Tensor:
        """Return the logits (W, K) of a query sub-graph, whose edges do not count here."""
        return self.log_logit_scale.exp() * embeddings

    def query_probabilities(self, logits: Tensor) -> Tensor:
        """Return q (W, K) of the logits of a query sub-graph."""
        return torch.sigmoid(self.log_query_scale.exp() * logits)

    @property
    def path_weight(self) -> Tensor:
        """What a query keyframe counts beside the next (scalar)."""
        return self.log_path_weight.exp() if self.config.path_weight else torch.zeros(())

    def _edge_features(self, embeddings: Tensor, edge_index: Tensor) -> Tensor:
        """Return (E, edge): a projection of both embeddings together, and their cosine.

        Linear in the concatenation before the ReLU, so it is projected once per node.
        """
        source, target = edge_index
        projected = self.edge_source(embeddings)[source] + self.edge_target(embeddings)[target]
        cosine = (embeddings[source] * embeddings[target]).sum(dim=1, keepdim=True)  # (E, 1)
        return torch.cat([torch.relu(projected), cosine], dim=1)


ReferenceGNN = PaperGNN | SmoothingGNN


def build_gnn(config: GNNConfig) -> ReferenceGNN:
    """Make an untrained GNN."""
    return PaperGNN(config) if config.form == 'paper' else SmoothingGNN(config)
