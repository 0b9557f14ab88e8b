"""Runs a trained GNN on the few nodes that one keyframe touches, without torch's overhead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from s3e_gnn_ros.graph.gnn import ImprovedGNN, ReferenceGNN, SmoothingGNN
from s3e_gnn_ros.graph.query import chain_edge_index
from s3e_gnn_ros.graph.smoothing import SmallSmoothing, needed_rows

_MAX_DENSE_NODES = 128
"""Up to here sums over edges are dense products: a call costs 0.3 ms instead of 1."""

_Array = NDArray[np.float32]


class InferenceGNN:
    """A GNN whose weights do not change any more.

    Small graphs go through numpy, large ones and the paper's form through the modules
    themselves; equal within 1e-5.

    Args:
        gnn: trained; its weights are copied.
    """

    def __init__(self, gnn: ReferenceGNN) -> None:
        self.config = gnn.config
        self._gnn = gnn
        self._small = _small_form(gnn)

    @torch.no_grad()
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
        logits = self._gnn(torch.from_numpy(embeddings), torch.from_numpy(edge_index))
        found: _Array = logits.numpy()[wanted]
        return found

    @torch.no_grad()
    def query(self, embeddings: _Array) -> _Array:
        """Pass a query sub-graph through the GNN, on its own: it never sees the reference graph.

        Args:
            embeddings: (W, D) of successive keyframes, oldest first, W at least 1.

        Returns:
            q (W, K); the last row is the newest keyframe's, informed by those before it.
        """
        edges, every = chain_edge_index(len(embeddings)), np.arange(len(embeddings))
        if self._small is None or len(every) > _MAX_DENSE_NODES:
            logits = self._gnn.query_logits(torch.from_numpy(embeddings), edges).numpy()
        else:
            logits = self._small.logits(embeddings, edges.numpy(), every, is_query=True)
        q: _Array = self._gnn.query_probabilities(torch.from_numpy(logits)).numpy()
        return q


@dataclass(frozen=True, eq=False)
class _Layer:
    """Weights of a :class:`~s3e_gnn_ros.graph.layers.GatedSageConv`."""

    gate: _Array  # (edge,)
    gate_bias: float
    weight: _Array  # (2 in + edge, out)
    bias: _Array  # (out,)

    def gates(self, edge_feature: _Array) -> _Array:
        with np.errstate(over='ignore'):  # a gate shut for good
            gates: _Array = 1.0 / (1.0 + np.exp(-(edge_feature @ self.gate + self.gate_bias)))
        return gates  # (E,)

    def forward(
        self,
        x: _Array,
        edge_index: NDArray[np.int64],
        edge_feature: _Array,
        rows: NDArray[np.int64],
    ) -> _Array:
        """Return the next layer (n, out) of some rows of x (N, in)."""
        source, target = edge_index
        gates = self.gates(edge_feature)
        between = np.zeros((len(x), len(x)), dtype=np.float32)
        between[target, source] = gates
        ends = np.zeros((len(x), len(target)), dtype=np.float32)
        ends[target, np.arange(len(target))] = gates
        between, ends = between[rows], ends[rows]  # (n, N), (n, E)
        share = 1.0 / (1.0 + between.sum(axis=1, keepdims=True))  # (n, 1)
        parts = [x[rows], share * (between @ x), share * (ends @ edge_feature)]
        out: _Array = np.concatenate(parts, axis=1) @ self.weight + self.bias
        return out


@dataclass(frozen=True, eq=False)
class _SmallGNN:
    """:class:`~s3e_gnn_ros.graph.gnn.ImprovedGNN` in numpy."""

    logit_scale: float
    edge_source: _Array  # (D, R)
    edge_target: _Array  # (D, R)
    edge_bias: _Array  # (R,)
    layers: tuple[_Layer, ...]

    @classmethod
    def of(cls, gnn: ImprovedGNN) -> _SmallGNN:
        # Copies, transposed to lie as the products read them.
        weights = {
            name: np.array(value.detach().cpu().numpy().T, order='C')
            for name, value in gnn.state_dict().items()
        }
        layers = [
            _Layer(
                gate=weights[f'layers.{i}.gate.weight'][:, 0],
                gate_bias=float(weights[f'layers.{i}.gate.bias'][0]),
                weight=weights[f'layers.{i}.linear.weight'],
                bias=weights[f'layers.{i}.linear.bias'],
            )
            for i in range(len(gnn.layers))
        ]
        return cls(
            logit_scale=float(np.exp(weights['log_logit_scale'])),
            edge_source=weights['edge_source.weight'],
            edge_target=weights['edge_target.weight'],
            edge_bias=weights['edge_target.bias'],
            layers=tuple(layers),
        )

    def logits(
        self,
        embeddings: _Array,
        edge_index: NDArray[np.int64],
        wanted: NDArray[np.int64],
        is_query: bool = False,
    ) -> _Array:
        edge_feature = self._edge_features(embeddings, edge_index)
        *hidden, last = self.layers
        needed = needed_rows(wanted, len(embeddings), edge_index, len(self.layers))
        x = embeddings
        for layer, rows in zip(hidden, needed[:-1], strict=True):
            computed = np.maximum(layer.forward(x, edge_index, edge_feature, rows), 0.0)
            x = np.zeros((len(x), computed.shape[1]), dtype=np.float32)
            x[rows] = computed  # (N, H)
        correction = last.forward(x, edge_index, edge_feature, wanted)  # (n, K)
        out: _Array = np.float32(self.logit_scale) * embeddings[wanted] + correction
        return out

    def _edge_features(self, embeddings: _Array, edge_index: NDArray[np.int64]) -> _Array:
        source, target = edge_index
        projected = (embeddings @ self.edge_source)[source]
        projected += (embeddings @ self.edge_target + self.edge_bias)[target]  # (E, R)
        cosine = (embeddings @ embeddings.T)[source, target]  # (E,)
        return np.concatenate([np.maximum(projected, 0.0), cosine[:, None]], axis=1)


def _small_form(gnn: ReferenceGNN) -> _SmallGNN | SmallSmoothing | None:
    if isinstance(gnn, SmoothingGNN):
        return SmallSmoothing.of(gnn)
    return _SmallGNN.of(gnn) if isinstance(gnn, ImprovedGNN) else None
