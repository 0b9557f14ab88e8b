"""SAGE layers (Hamilton et al., NIPS 2017) whose messages know the edge they travel on."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

with warnings.catch_warnings():  # it still compiles a part of itself with torch.jit
    warnings.simplefilter('ignore', DeprecationWarning)
    from torch_geometric.nn import MessagePassing


class PaperSageConv(MessagePassing):  # type: ignore[misc]
    r"""The paper's SAGE layer with edge features.

    .. math:: x'_i = W_1 x_i + W_2 \operatorname{mean}_{j \in N(i)} [x_j, e_{ij}]

    The paper names the layer and the edge feature ("we concatenate the embeddings of two nodes
    connected by an edge as an edge embedding") but not how they meet: here in the message.

    Args:
        dim: D of nodes; edges have 2 D.

    Shapes:
        - input: nodes (N, D), edge_index (2, E), edge features (E, 2 D).
        - output: (N, D), before the ReLU.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(aggr='mean')
        self.own = nn.Linear(dim, dim)
        self.neighbour = nn.Linear(3 * dim, dim, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor, edge_feature: Tensor) -> Tensor:
        """Return the nodes (N, D) of the next layer."""
        mean = self.propagate(edge_index, x=x, edge_feature=edge_feature)  # (N, 3 D)
        out: Tensor = self.own(x) + self.neighbour(mean)
        return out

    def message(self, x_j: Tensor, edge_feature: Tensor) -> Tensor:
        """Return what each edge carries (E, 3 D)."""
        return torch.cat([x_j, edge_feature], dim=1)


class SmoothingSageConv(MessagePassing):  # type: ignore[misc]
    r"""A SAGE layer that stays among the embeddings: a gated average of a node and its neighbours.

    .. math::
        g_{ij} = \sigma(w^T e_{ij} + c), \quad
        x'_i = \frac{x_i + s \sum_j g_{ij} x_j}{\| x_i + s \sum_j g_{ij} x_j \|}

    Differs from the paper: the two weight matrices of a SAGE layer are 1 and s times the identity.
    Free ones learn the training scenes by heart (docs/training.md has the figures); what carries
    over to other scenes is how far to trust which neighbour.

    Args:
        edge_dim: of edge features; the last one, the cosine, opens the gate at first.

    Shapes:
        - input: nodes (N, D) unit length, edge_index (2, E), edge features (E, edge), strength s
          (scalar).
        - output: (N, D) unit length.
    """

    def __init__(self, edge_dim: int) -> None:
        super().__init__(aggr='sum')
        self.gate = nn.Linear(edge_dim, 1)
        with torch.no_grad():  # half open at a cosine of 0.3
            self.gate.weight.zero_()
            self.gate.weight[0, -1] = 6.0
            self.gate.bias.fill_(-1.8)

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_feature: Tensor, strength: Tensor
    ) -> Tensor:
        """Return the nodes (N, D) of the next layer."""
        gate = torch.sigmoid(self.gate(edge_feature))  # (E, 1)
        summed = self.propagate(edge_index, x=x, gate=gate)  # (N, D)
        out: Tensor = functional.normalize(x + strength * summed, dim=1)
        return out

    def message(self, x_j: Tensor, gate: Tensor) -> Tensor:
        """Return what each edge carries (E, D)."""
        return gate * x_j
