"""One step of the GNN's training: a reference graph of one run, query windows of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind, EmbeddingPoseGraph
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.linking import link_keyframe
from s3e_gnn_ros.graph.path import PATH_EDGES
from s3e_gnn_ros.graph.query import chain_edge_index
from s3e_gnn_ros.training.gnn_config_file import SequenceConfig
from s3e_gnn_ros.training.losses import MIN_OVERLAP
from s3e_gnn_ros.training.pair_sampling import overlap_bins
from s3e_gnn_ros.training.sequences import EmbeddingSequence

_MIN_LOOP_GAP = 10  # keyframes of one run closer than this are neighbours, no loop

Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Episode:
    """A reference graph of N nodes and B query windows of W keyframes.

    Attributes:
        reference: (N, D) embeddings.
        edge_index: (2, E) of the reference graph, each edge in both directions.
        query: (B * W, D) embeddings, window after window, oldest first.
        query_edge_index: (2, F) of the windows, each a chain of its own.
        overlap: (B * W, N), mutual: see :class:`EmbeddingSequence`.
        path_edge_index: (2, P) likewise, those a robot goes along.
        window: W.
    """

    reference: Tensor
    edge_index: Tensor
    query: Tensor
    query_edge_index: Tensor
    overlap: Tensor
    path_edge_index: Tensor
    window: int

    def to(self, device: torch.device) -> Episode:
        """Copy to a device."""
        moved: dict[str, Any] = {
            name: each.to(device) for name, each in vars(self).items() if isinstance(each, Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """The episodes of one step."""

    episodes: tuple[Episode, ...]

    def to(self, device: torch.device) -> EpisodeBatch:
        """Copy to a device."""
        return EpisodeBatch(tuple(episode.to(device) for episode in self.episodes))


class EpisodeMaker:
    """Draws episodes from sequences.

    Args:
        sequences: to draw from.
        gnn: window, and bounds of the graph.
        data: augmentation.
    """

    def __init__(
        self, sequences: Sequence[EmbeddingSequence], gnn: GNNConfig, data: SequenceConfig
    ) -> None:
        self._sequences = sequences
        self._gnn = gnn
        self._data = data

    def stream(self, step: int, num: int, seed: int, rank: int = 0) -> Iterator[EpisodeBatch]:
        """Yield the batches from a step on, without end; each follows from its number alone."""
        while True:
            rng = np.random.default_rng((seed, step, rank))
            yield EpisodeBatch(tuple(self.draw(each, rng) for each in self._choose(rng, num)))
            step += 1

    def _choose(self, rng: Rng, num: int) -> list[EmbeddingSequence]:
        """Choose at most ``num`` sequences of different scenes, whose overlap is known: 0."""
        chosen: dict[str, EmbeddingSequence] = {}
        for index in rng.permutation(len(self._sequences)):
            sequence = self._sequences[index]
            chosen.setdefault(sequence.scene, sequence)
        return list(chosen.values())[:num]

    def draw(self, sequence: EmbeddingSequence, rng: Rng) -> Episode:
        """Draw an augmented episode; either run may be the reference."""
        first = int(rng.integers(2))
        stride = int(rng.integers(1, self._data.max_stride + 1))
        reference = _thin(_every(sequence.rows(first), stride, rng), self._data.drop, rng)
        query = _thin(_every(sequence.rows(1 - first), stride, rng), self._data.drop, rng)
        overlap = sequence.mutual_overlap
        starts = self._draw_windows(overlap[np.ix_(query, reference)], rng)
        window = min(self._gnn.window, len(query))
        rows = query[(starts[:, None] + np.arange(window)).ravel()]  # (B * W,)
        variant = rng.integers(len(sequence.embeddings), size=2)
        loops = _draw_loops(overlap[np.ix_(reference, reference)], self._data.loops, rng)
        return make_episode(
            _noisy(sequence.embeddings[variant[0], reference], self._data.noise, rng),
            _noisy(sequence.embeddings[variant[1], rows], self._data.noise, rng),
            overlap[np.ix_(rows, reference)],
            loops,
            window,
            self._gnn,
        )

    def whole(self, sequence: EmbeddingSequence, variant: int, stride: int = 1) -> Episode:
        """Return the episode of validation: all of run 0, all windows of run 1, as they are.

        Args:
            sequence: of two runs.
            variant: row of its embeddings, for the query.
            stride: every so many-th keyframe of both runs.
        """
        reference, query = sequence.rows(0)[::stride], sequence.rows(1)[::stride]
        window = min(self._gnn.window, len(query))
        starts = np.arange(len(query) - window + 1)
        rows = query[(starts[:, None] + np.arange(window)).ravel()]
        return make_episode(
            sequence.embeddings[0, reference].astype(np.float32),
            sequence.embeddings[variant, rows].astype(np.float32),
            sequence.mutual_overlap[np.ix_(rows, reference)],
            [],
            window,
            self._gnn,
        )

    def _draw_windows(self, overlap: NDArray[np.float32], rng: Rng) -> NDArray[np.intp]:
        """Draw the first keyframes of windows, every bin of their best overlap equally often."""
        num = max(1, len(overlap) - self._gnn.window + 1)
        newest = overlap[-num:].max(axis=1, initial=0.0)
        bins = overlap_bins(newest, self._data.num_bins)
        counts = np.bincount(bins, minlength=self._data.num_bins)
        weights = 1.0 / counts[bins]
        return rng.choice(num, size=self._data.windows, p=weights / weights.sum())


def make_episode(
    reference: NDArray[np.float32],
    query: NDArray[np.float32],
    overlap: NDArray[np.float32],
    loops: Sequence[tuple[int, int]],
    window: int,
    config: GNNConfig,
) -> Episode:
    """Build the graphs, the reference's as the detector does.

    Args:
        reference: (N, D) of successive keyframes.
        query: (B * W, D), window after window.
        overlap: (B * W, N).
        loops: pairs of reference keyframes that a verified loop joins.
        window: W.
        config: bounds of the graph.
    """
    graph = EmbeddingPoseGraph(config)
    for node, embedding in enumerate(reference):
        graph.add_node(embedding)
        recent = np.arange(max(0, node - 1 - config.covisible_window), node, dtype=np.int64)
        link_keyframe(graph, node, embedding, recent, reference[recent], config)
    for first, second in loops:
        graph.add_edge(first, second, EdgeKind.LOOP)
    nodes = np.arange(len(reference), dtype=np.int64)
    chain = chain_edge_index(window)
    starts = torch.arange(0, len(query), window)
    chains = (chain[:, None, :] + starts[:, None]).flatten(1)  # (2, B * 2 (W - 1))
    return Episode(
        torch.from_numpy(reference),
        torch.from_numpy(graph.edge_index(nodes)),
        torch.from_numpy(query),
        chains,
        torch.from_numpy(np.ascontiguousarray(overlap)),
        torch.from_numpy(graph.edge_index(nodes, PATH_EDGES)),
        window,
    )


def _every(rows: NDArray[np.intp], stride: int, rng: Rng) -> NDArray[np.intp]:
    """Return every so many-th keyframe, from a random one of the first on."""
    return rows[int(rng.integers(min(stride, len(rows)))) :: stride]


def _thin(rows: NDArray[np.intp], max_share: float, rng: Rng) -> NDArray[np.intp]:
    """Leave out a random share of the keyframes, but never all."""
    is_kept = rng.random(len(rows)) >= rng.random() * max_share
    return rows[is_kept] if is_kept.any() else rows


def _noisy(embeddings: NDArray[np.float16], noise: float, rng: Rng) -> NDArray[np.float32]:
    """Add noise of a random strength and return to unit length; blank ones stay 0."""
    clean = embeddings.astype(np.float32)
    strength = noise * rng.random() / np.sqrt(clean.shape[1])
    is_seen = clean.any(axis=1, keepdims=True)  # else an image without keypoints
    noisy = clean + strength * rng.standard_normal(clean.shape, np.float32) * is_seen
    length = np.linalg.norm(noisy, axis=1, keepdims=True)
    return np.asarray(noisy / np.maximum(length, 1e-12), np.float32)


def _draw_loops(overlap: NDArray[np.float32], share: float, rng: Rng) -> list[tuple[int, int]]:
    """Draw pairs that verification would have joined: they overlap, and are far in time."""
    first, second = np.nonzero(np.triu(overlap >= MIN_OVERLAP, _MIN_LOOP_GAP))
    chosen = rng.random(len(first)) < share
    return list(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))
