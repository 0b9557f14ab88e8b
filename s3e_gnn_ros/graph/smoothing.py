""":class:`~s3e_gnn_ros.graph.gnn.SmoothingGNN` in numpy: of a few nodes, or of a whole map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

from s3e_gnn_ros.graph.gnn import SmoothingGNN

_Array = NDArray[np.float32]
_EDGES_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class SmallSmoothing:
    """Copies of the weights; sums over edges are dense products, or sparse ones of large graphs.

    Attributes:
        logit_scale: a.
        edge_ends: (D, 2 R) projections of an edge's source and of its target, side by side.
        edge_bias: (R,).
        gates: (R + 1, L), of all layers side by side.
        gate_biases: (L,).
        strengths: (L,).
        query_scale: b.
    """

    logit_scale: np.float32
    edge_ends: _Array
    edge_bias: _Array
    gates: _Array
    gate_biases: _Array
    strengths: _Array
    query_scale: np.float32

    @classmethod
    def of(cls, gnn: SmoothingGNN) -> SmallSmoothing:
        """Copy the weights of a trained GNN."""
        # Transposed to lie as the products read them.
        weights = {
            name: np.array(value.detach().cpu().numpy().T, order='C')
            for name, value in gnn.state_dict().items()
        }
        layers = range(len(gnn.layers))
        return cls(
            logit_scale=np.exp(weights['log_logit_scale'])[()],
            edge_ends=np.hstack([weights['edge_source.weight'], weights['edge_target.weight']]),
            edge_bias=weights['edge_target.bias'],
            gates=np.hstack([weights[f'layers.{i}.gate.weight'] for i in layers]),
            gate_biases=np.hstack([weights[f'layers.{i}.gate.bias'] for i in layers]),
            strengths=np.exp(weights['log_strength']),
            query_scale=np.exp(weights['log_query_scale'])[()],
        )

    def logits(
        self, embeddings: _Array, edge_index: NDArray[np.int64], wanted: NDArray[np.int64]
    ) -> _Array:
        """Return the logits (n, K) of the wanted nodes (n,) of a graph of embeddings (N, D)."""
        source, target = edge_index
        gates = self._gates(embeddings, edge_index)  # (E, L)
        gates *= self.strengths
        num = len(embeddings)
        between = np.zeros((gates.shape[1], num, num), dtype=np.float32)
        between[:, target, source] = gates.T
        between[:, np.arange(num), np.arange(num)] = 1.0  # a node itself
        nodes, needed = wanted, []
        for layer in reversed(between):  # each layer only for those that the next one reads
            rows = layer[nodes]
            nodes = np.flatnonzero(rows.any(axis=0))
            needed.append(rows[:, nodes])
        x = embeddings[nodes]
        for weights in reversed(needed):
            x = _unit_rows(weights @ x)
        out: _Array = self.logit_scale * x
        return out

    def query(self, embeddings: _Array) -> _Array:
        """Return q (W, K) of a query sub-graph (W, D)."""
        q: _Array = expit(self.query_scale * self.logit_scale * embeddings)
        return q

    def logits_of_many(self, embeddings: _Array, edge_index: NDArray[np.int64]) -> _Array:
        """Return the logits (N, K) of all nodes of a large graph of embeddings (N, D)."""
        source, target = edge_index
        gates = self._opened(embeddings, edge_index, _cosines(embeddings, edge_index))  # (E, L)
        gates *= self.strengths
        x = embeddings
        for layer in gates.T:
            between = sparse.csr_array((layer, (target, source)), shape=(len(x), len(x)))
            x = _unit_rows(x + between @ x)
        out: _Array = self.logit_scale * x
        return out

    def _gates(self, embeddings: _Array, edge_index: NDArray[np.int64]) -> _Array:
        """Return how far each edge is trusted in each layer (E, L)."""
        source, target = edge_index
        cosine = (embeddings @ embeddings.T)[source, target]  # (E,)
        return self._opened(embeddings, edge_index, cosine)

    def _opened(self, embeddings: _Array, edge_index: NDArray[np.int64], cosine: _Array) -> _Array:
        source, target = edge_index
        of_source, of_target = np.hsplit(embeddings @ self.edge_ends, 2)  # (N, R) each
        projected = of_source[source] + of_target[target] + self.edge_bias  # (E, R)
        opening = np.maximum(projected, 0.0) @ self.gates[:-1]
        opening += cosine[:, None] * self.gates[-1] + self.gate_biases
        gates: _Array = expit(opening)
        return gates


def _cosines(embeddings: _Array, edge_index: NDArray[np.int64]) -> _Array:
    """Return the inner product (E,) of the ends of each edge, a part at a time to spare memory."""
    source, target = edge_index
    cosine = np.empty(len(source), dtype=np.float32)
    for start in range(0, len(source), _EDGES_AT_ONCE):
        part = slice(start, start + _EDGES_AT_ONCE)
        ends = embeddings[source[part]], embeddings[target[part]]
        cosine[part] = np.einsum('ed,ed->e', *ends)
    return cosine


def _unit_rows(x: _Array) -> _Array:
    """Give rows (N, D) unit length, in place."""
    length = np.sqrt(np.einsum('nd,nd->n', x, x))
    x /= np.maximum(length, np.float32(1e-12))[:, None]
    return x
