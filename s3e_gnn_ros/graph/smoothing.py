""":class:`~s3e_gnn_ros.graph.gnn.SmoothingGNN` in numpy, for the few nodes around a keyframe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.graph.gnn import SmoothingGNN

_Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class SmallSmoothing:
    """Copies of the weights; sums over edges are dense products.

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

    def _gates(self, embeddings: _Array, edge_index: NDArray[np.int64]) -> _Array:
        """Return how far each edge is trusted in each layer (E, L)."""
        source, target = edge_index
        projected = (embeddings @ self.edge_source)[source]
        projected += (embeddings @ self.edge_target + self.edge_bias)[target]  # (E, R)
        cosine = (embeddings @ embeddings.T)[source, target]  # (E,)
        opening = np.maximum(projected, 0.0) @ self.gates[:-1]
        opening += cosine[:, None] * self.gates[-1] + self.gate_biases
        with np.errstate(over='ignore'):  # a gate shut for good
            gates: _Array = 1.0 / (1.0 + np.exp(-opening))
        return gates


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
