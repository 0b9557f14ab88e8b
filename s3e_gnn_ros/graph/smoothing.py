""":class:`~s3e_gnn_ros.graph.gnn.SmoothingGNN` in numpy: of a few nodes, or of a whole map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from s3e_gnn_ros.graph.gnn import SmoothingGNN

_Array = NDArray[np.float32]
_EDGES_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class SmallSmoothing:
    """Copies of the weights; sums over edges are dense products, or sparse ones of large graphs.

    Attributes:
        logit_scale: a.
        edge_source: (D, R) projection of an edge's source.
        edge_target: (D, R) of its target.
        edge_bias: (R,).
        gates: (R + 1, L), of all layers side by side.
        gate_biases: (L,).
        reference_strengths: (L,).
        query_strengths: (L,).
    """

    logit_scale: np.float32
    edge_source: _Array
    edge_target: _Array
    edge_bias: _Array
    gates: _Array
    gate_biases: _Array
    reference_strengths: _Array
    query_strengths: _Array

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
            edge_source=weights['edge_source.weight'],
            edge_target=weights['edge_target.weight'],
            edge_bias=weights['edge_target.bias'],
            gates=np.hstack([weights[f'layers.{i}.gate.weight'] for i in layers]),
            gate_biases=np.hstack([weights[f'layers.{i}.gate.bias'] for i in layers]),
            reference_strengths=np.exp(weights['log_reference_strength']),
            query_strengths=np.exp(weights['log_query_strength']),
        )

    def logits(
        self,
        embeddings: _Array,
        edge_index: NDArray[np.int64],
        wanted: NDArray[np.int64],
        is_query: bool = False,
    ) -> _Array:
        """Return the logits (n, K) of the wanted nodes (n,) of a graph of embeddings (N, D)."""
        source, target = edge_index
        gates = self._gates(embeddings, edge_index)  # (E, L)
        gates *= self.query_strengths if is_query else self.reference_strengths
        rows = needed_rows(wanted, len(embeddings), edge_index, gates.shape[1])
        x = embeddings
        for index, needed in enumerate(rows):
            between = np.zeros((len(x), len(x)), dtype=np.float32)
            between[target, source] = gates[:, index]
            mixed = between[needed] @ x
            mixed += x[needed]
            mixed /= np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
            x = np.zeros_like(embeddings)
            x[needed] = mixed
        out: _Array = self.logit_scale * x[wanted]
        return out

    def logits_of_many(self, embeddings: _Array, edge_index: NDArray[np.int64]) -> _Array:
        """Return the logits (N, K) of all nodes of a large graph of embeddings (N, D)."""
        source, target = edge_index
        gates = self._opened(embeddings, edge_index, _cosines(embeddings, edge_index))  # (E, L)
        gates *= self.reference_strengths
        x = embeddings
        for layer in gates.T:
            between = sparse.csr_array((layer, (target, source)), shape=(len(x), len(x)))
            x = x + between @ x
            x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        out: _Array = self.logit_scale * x
        return out

    def _gates(self, embeddings: _Array, edge_index: NDArray[np.int64]) -> _Array:
        """Return how far each edge is trusted in each layer (E, L)."""
        source, target = edge_index
        cosine = (embeddings @ embeddings.T)[source, target]  # (E,)
        return self._opened(embeddings, edge_index, cosine)

    def _opened(self, embeddings: _Array, edge_index: NDArray[np.int64], cosine: _Array) -> _Array:
        source, target = edge_index
        projected = (embeddings @ self.edge_source)[source]
        projected += (embeddings @ self.edge_target + self.edge_bias)[target]  # (E, R)
        opening = np.maximum(projected, 0.0) @ self.gates[:-1]
        opening += cosine[:, None] * self.gates[-1] + self.gate_biases
        with np.errstate(over='ignore'):  # a gate shut for good
            gates: _Array = 1.0 / (1.0 + np.exp(-opening))
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


def needed_rows(
    wanted: NDArray[np.int64], num_nodes: int, edge_index: NDArray[np.int64], num_layers: int
) -> list[NDArray[np.int64]]:
    """Return the nodes that each layer has to compute, first layer first, the wanted ones last."""
    source, target = edge_index
    is_needed = np.zeros(num_nodes, dtype=bool)
    is_needed[wanted] = True
    needed = [wanted]
    for _ in range(num_layers - 1):
        is_needed[source[is_needed[target]]] = True
        needed.insert(0, np.flatnonzero(is_needed))
    return needed
