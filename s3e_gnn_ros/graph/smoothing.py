""":class:`~s3e_gnn_ros.graph.gnn.SmoothingGNN` in numpy: of a few nodes, or of a whole map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit
from torch import Tensor

from s3e_gnn_ros.graph.gnn_config import NUM_LAYERS, GNNConfig

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
        path_weight: what a query keyframe counts beside the next.
    """

    logit_scale: np.float32
    edge_ends: _Array
    edge_bias: _Array
    gates: _Array
    gate_biases: _Array
    strengths: _Array
    query_scale: np.float32
    path_weight: float

    @staticmethod
    def shapes(config: GNNConfig) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a GNN's weights, by the names of its module."""
        dim, edge_dim = config.embedding_dim, config.edge_dim
        shapes: dict[str, tuple[int, ...]] = {
            'log_logit_scale': (),
            'log_query_scale': (),
            'log_strength': (NUM_LAYERS,),
            'edge_source.weight': (edge_dim, dim),
            'edge_target.weight': (edge_dim, dim),
            'edge_target.bias': (edge_dim,),
        }
        for layer in range(NUM_LAYERS):
            shapes[f'layers.{layer}.gate.weight'] = (1, edge_dim + 1)
            shapes[f'layers.{layer}.gate.bias'] = (1,)
        if config.path_weight:
            shapes['log_path_weight'] = ()
        return shapes

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> SmallSmoothing:
        """Copy trained weights of :meth:`shapes`."""
        # Transposed to lie as the products read them.
        arrays = {
            name: np.array(value.detach().cpu().numpy().T, order='C')
            for name, value in weights.items()
        }
        layers = range(NUM_LAYERS)
        return cls(
            logit_scale=np.exp(arrays['log_logit_scale'])[()],
            edge_ends=np.hstack([arrays['edge_source.weight'], arrays['edge_target.weight']]),
            edge_bias=arrays['edge_target.bias'],
            gates=np.hstack([arrays[f'layers.{i}.gate.weight'] for i in layers]),
            gate_biases=np.hstack([arrays[f'layers.{i}.gate.bias'] for i in layers]),
            strengths=np.exp(arrays['log_strength']),
            query_scale=np.exp(arrays['log_query_scale'])[()],
            path_weight=float(np.exp(arrays.get('log_path_weight', -np.inf))),
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
