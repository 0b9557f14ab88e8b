"""How the embedding pose graph, its GNN and its query grow with the number of keyframes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.evaluation.bench_timing import Timing, measure
from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind
from s3e_gnn_ros.graph.exact_index import Found
from s3e_gnn_ros.graph.index import GrowingIndex
from s3e_gnn_ros.graph.inference import InferenceGNN
from s3e_gnn_ros.graph.reference_graph import ReferenceGraph
from s3e_gnn_ros.graph.search_vectors import query_vectors, reference_vectors

_LAP = 100  # keyframes round a room
_NUM_LAPS = 5  # before the next room
_COVISIBLE = 3  # the keyframe sees what each of so many before it saw
_LOOP_EVERY = 10
_SMOOTHNESS = 0.8  # of the walk from one keyframe's embedding to the next
_NOISE = 0.5  # between two laps
_NUM_SAMPLES = 50
_NUM_NEIGHBOURS = 10
_ROOMS_PER_CHUNK = 40
_AT_ONCE = 20_000

_Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class GraphGrowth:
    """The reference graph with a number of keyframes.

    Attributes:
        num_keyframes: how many.
        update: adding one with its edges, and the GNN around it.
        sub_graph: the query's own pass through the GNN.
        query: comparing it with all keyframes.
        num_bytes: memory of graph and index.
    """

    num_keyframes: int
    update: Timing
    sub_graph: Timing
    query: Timing
    num_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Summarise in plain values."""
        return {
            'num_keyframes': self.num_keyframes,
            'update_p50_ms': float(np.median(self.update.samples_ms)),
            'sub_graph_p50_ms': float(np.median(self.sub_graph.samples_ms)),
            'query_p50_ms': float(np.median(self.query.samples_ms)),
            'bytes_per_keyframe': self.num_bytes / self.num_keyframes,
        }


@dataclass(frozen=True, eq=False)
class LargeSearch:
    """Approximate search among very many keyframes.

    Attributes:
        num_keyframes: how many.
        query: finding the ten most similar.
        recall_at_10: share of the true ten that are found.
        build_s: time to fill the index.
        num_bytes: memory of the index.
    """

    num_keyframes: int
    query: Timing
    recall_at_10: float
    build_s: float
    num_bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Summarise in plain values."""
        return {
            'num_keyframes': self.num_keyframes,
            'query_p50_ms': float(np.median(self.query.samples_ms)),
            'recall_at_10': self.recall_at_10,
            'build_s': self.build_s,
            'bytes_per_keyframe': self.num_bytes / self.num_keyframes,
        }


def rooms(dim: int, rng: np.random.Generator) -> Iterator[_Array]:
    """Make up embeddings (500, D), unit length: five laps round one room after the other."""
    step = np.sqrt(1.0 - _SMOOTHNESS**2)
    while True:
        places = rng.standard_normal((_LAP, dim), dtype=np.float32)
        for index in range(1, _LAP):
            places[index] = _SMOOTHNESS * places[index - 1] + step * places[index]
        noise = rng.standard_normal((_NUM_LAPS, _LAP, dim), dtype=np.float32)
        views = (places + _NOISE * noise).reshape(-1, dim)  # (500, D)
        yield views / np.linalg.norm(views, axis=1, keepdims=True)


def time_graph(gnn: InferenceGNN, sizes: Sequence[int], seed: int) -> Iterator[GraphGrowth]:
    """Fill a reference graph and measure it at each size.

    Args:
        gnn: trained or not.
        sizes: numbers of keyframes, ascending.
        seed: of the made-up embeddings.
    """
    config = gnn.config
    stream = _keyframes(config.embedding_dim, np.random.default_rng(seed))
    reference = ReferenceGraph(gnn)
    window = np.zeros((0, config.embedding_dim), dtype=np.float32)
    for size in sizes:
        _fill(reference, stream, size - _NUM_SAMPLES)
        samples: list[tuple[float, float, float]] = []
        while len(reference) < size:
            embedding = next(stream)
            window = np.concatenate([window, embedding[None]])[-config.window :]
            samples.append(_sample(reference, embedding, window))
        update, sub_graph, query = np.array(samples).T
        yield GraphGrowth(
            num_keyframes=size,
            update=Timing(f'GNN, a keyframe more than {size:,}', update),
            sub_graph=Timing(f'GNN, query sub-graph, {size:,}', sub_graph),
            query=Timing(f'query along its paths, {size:,}', query),
            num_bytes=reference.num_bytes,
        )


def time_large_search(gnn: InferenceGNN, num_keyframes: int, seed: int) -> LargeSearch:
    """Fill an index with keyframes without edges, and compare it with the exact search.

    Args:
        gnn: trained or not.
        num_keyframes: at least 20,000; the search is exact up to 100,000 and without FAISS.
        seed: of the made-up embeddings.
    """
    rng = np.random.default_rng(seed)
    stream = rooms(gnn.config.embedding_dim, rng)
    views = _many(stream)
    queries = _noisy_queries(gnn, views, rng)  # (Q, K + 1)
    index, build_s = GrowingIndex(gnn.config.embedding_dim + 1), 0.0
    best = (np.zeros((len(queries), 0), np.float32), np.zeros((len(queries), 0), np.int64))
    while len(index) < num_keyframes:
        vectors = _vectors(gnn, views[: num_keyframes - len(index)])
        start = time.perf_counter()
        ids = index.add(vectors)
        build_s += time.perf_counter() - start
        best = _merge(best, queries @ vectors.T, ids)
        views = _many(stream)
    return _measure_large(index, queries, best[1], build_s)


def _many(stream: Iterator[_Array]) -> _Array:
    return np.concatenate([next(stream) for _ in range(_ROOMS_PER_CHUNK)])


def _vectors(gnn: InferenceGNN, views: _Array) -> _Array:
    """Return what the index keeps of keyframes (n, D) without edges."""
    no_edges = np.zeros((2, 0), dtype=np.int64)
    logits = gnn.logits(views, no_edges)
    return reference_vectors(logits, gnn.config.form)


def _noisy_queries(gnn: InferenceGNN, views: _Array, rng: np.random.Generator) -> _Array:
    """Return queries (Q, K + 1): some of the views, seen on one more lap."""
    chosen = views[rng.choice(len(views), _NUM_SAMPLES, replace=False)]
    scale = _NOISE / np.sqrt(views.shape[1])
    noisy = chosen + scale * rng.standard_normal(chosen.shape, dtype=np.float32)
    noisy /= np.linalg.norm(noisy, axis=1, keepdims=True)
    q = np.concatenate([gnn.query(view[None]) for view in noisy])
    return query_vectors(q, gnn.config.form)


def _merge(best: Found, scores: _Array, ids: NDArray[np.int64]) -> Found:
    """Keep the ten best of those so far and of new ones (Q, n)."""
    scores = np.concatenate([best[0], scores], axis=1)
    all_ids = np.concatenate([best[1], np.broadcast_to(ids, (len(scores), len(ids)))], axis=1)
    order = np.argpartition(-scores, _NUM_NEIGHBOURS, axis=1)[:, :_NUM_NEIGHBOURS]
    return np.take_along_axis(scores, order, 1), np.take_along_axis(all_ids, order, 1)


def _measure_large(
    index: GrowingIndex, queries: _Array, truth: NDArray[np.int64], build_s: float
) -> LargeSearch:
    found: list[NDArray[np.int64]] = []

    def search(query: _Array) -> None:
        found.append(index.search(query[None], _NUM_NEIGHBOURS)[1][0])

    samples_ms = np.array([measure(partial(search, query)) for query in queries])
    hits = [len(np.intersect1d(*pair)) for pair in zip(found, truth, strict=True)]
    return LargeSearch(
        num_keyframes=len(index),
        query=Timing(f'search among {len(index):,}', samples_ms),
        recall_at_10=float(np.mean(hits)) / _NUM_NEIGHBOURS,
        build_s=build_s,
        num_bytes=index.num_bytes,
    )


def _keyframes(dim: int, rng: np.random.Generator) -> Iterator[_Array]:
    for views in rooms(dim, rng):
        yield from views


def _fill(reference: ReferenceGraph, stream: Iterator[_Array], size: int) -> None:
    """Add keyframes with their edges, many at a time, until there are so many."""
    while len(reference) < size:
        views = np.stack(list(islice(stream, min(_AT_ONCE, size - len(reference)))))
        num = len(views)
        nodes = reference.add_nodes(
            views,
            stamps_ns=np.zeros(num, dtype=np.int64),
            sessions=np.zeros(num, dtype=np.int64),
            T_odom_camera=np.full((num, 4, 4), np.nan),
        )
        links = [link for node in nodes.tolist() for link in _links(node)]
        edges = np.array([link[:2] for link in links], dtype=np.int64).reshape(-1, 2)
        reference.add_edges(edges, [kind for _, _, kind in links])
        reference.update()


def _add(reference: ReferenceGraph, embedding: _Array) -> None:
    """Add a keyframe with its edges."""
    for first, second, kind in _links(reference.add_node(embedding)):
        reference.add_edge(first, second, kind)


def _links(node: int) -> Iterator[tuple[int, int, EdgeKind]]:
    """Yield the edges that a keyframe would have when it comes."""
    if node:
        yield node - 1, node, EdgeKind.ODOMETRY
    for other in range(max(0, node - _COVISIBLE), node - 1):
        yield other, node, EdgeKind.COVISIBLE
    if node % _LOOP_EVERY == 0 and node % (_LAP * _NUM_LAPS) >= _LAP:
        yield node - _LAP, node, EdgeKind.LOOP


def _sample(
    reference: ReferenceGraph, embedding: _Array, window: _Array
) -> tuple[float, float, float]:
    """Add one keyframe; returns the milliseconds of update, sub-graph and query."""

    def update() -> None:
        _add(reference, embedding)
        reference.update()

    update_ms = measure(update)
    sub_graph_ms = measure(lambda: reference.query(window))
    q = reference.query(window)
    return update_ms, sub_graph_ms, measure(lambda: reference.trace(q))
