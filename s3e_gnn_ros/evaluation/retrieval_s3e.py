"""S3E in the evaluation of retrieval: the encoder alone, or with GNN and query sub-graph."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.weights import load_weights
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import MIN_GAP
from s3e_gnn_ros.graph.linking import link_keyframe
from s3e_gnn_ros.graph.reference_graph import ReferenceGraph
from s3e_gnn_ros.loop_closure.matching import match_patches
from s3e_gnn_ros.loop_closure.view import PatchDescriptors, patch_descriptors
from s3e_gnn_ros.retrieval.place_map import load_gnn
from s3e_gnn_ros.types import Encoding

_UNKNOWN = np.float32(0.0)  # no similarity is lower


class S3EMethod:
    """Embeddings and their reference graph.

    The reference graph grows as it would on the robot: a query meets only the keyframes of its
    recording that are old enough, and what the GNN makes of these.

    Args:
        name: 's3e' or 's3e-encoder' (cosine of embeddings, no GNN), and after an '@' the weights
            when not those of the configuration.
        config: which weights.
        min_gap: query i meets the keyframes up to i - min_gap of its own recording.

    Raises:
        InputError: the weights cannot be read.
    """

    def __init__(self, name: str, config: Config, min_gap: int = MIN_GAP) -> None:
        self.name = name
        self.embedding_ms: list[float] = []
        self.query_ms: list[float] = []
        method, _, weights_name = name.partition('@')
        weights = load_weights(weights_name or config.retrieval.weights)
        self._encoder = Encoder.from_weights(weights)
        self._gnn = None if method == 's3e-encoder' else load_gnn(weights)
        self._known: dict[int, tuple[Item, Encoding]] = {}  # with the item: ids are used again
        self._min_patch_similarity = config.verification.min_patch_similarity
        self._min_gap = min_gap

    def similarity_matrix(
        self, queries: Sequence[Item], database: Sequence[Item]
    ) -> NDArray[np.float32]:
        """Return the similarity (Q, N), U along the best path or, without GNN, the cosine."""
        of_queries = np.stack([self.encoding(item).embedding for item in queries])
        of_database = np.stack([self.encoding(item).embedding for item in database])
        if self._gnn is None:
            start = time.perf_counter()
            cosine = of_queries @ of_database.T
            self.query_ms.append((time.perf_counter() - start) * 1e3 / len(queries))
            return np.asarray(cosine, np.float32)
        growing = _GrowingReference(
            ReferenceGraph(self._gnn), database, of_database, self._min_gap
        )
        rows = []
        for row, query in enumerate(queries):
            growing.add_until(query)
            before = _before(queries, row, 1 + self._gnn.config.covisible_window)
            start = time.perf_counter()
            rows.append(growing.similarities(of_queries[before]))
            self.query_ms.append((time.perf_counter() - start) * 1e3)
        return np.stack(rows)

    def matches(self, query: Item, match: Item) -> NDArray[np.intp]:
        """Match the encoder's local descriptors: (P, 2) indices of features of both."""
        return match_patches(
            self._patches(query), self._patches(match), self._min_patch_similarity
        )

    def encoding(self, item: Item) -> Encoding:
        """Embed an image, once."""
        if id(item) not in self._known:
            start = time.perf_counter()
            encoding = self._encoder.embed(item.frame.image, item.features)
            self.embedding_ms.append((time.perf_counter() - start) * 1e3)
            self._known[id(item)] = item, encoding
        return self._known[id(item)][1]

    def _patches(self, item: Item) -> PatchDescriptors:
        return patch_descriptors(self.encoding(item))


class _GrowingReference:
    """A database whose own recording arrives in step with the queries."""

    def __init__(
        self,
        reference: ReferenceGraph,
        database: Sequence[Item],
        embeddings: NDArray[np.float32],
        min_gap: int,
    ) -> None:
        self._reference = reference
        self._database = database
        self._embeddings = embeddings
        self._min_gap = min_gap
        self._columns: list[int] = []  # of each node
        self._sources: dict[str, list[int]] = {}  # nodes of each
        self._is_added = np.zeros(len(database), dtype=bool)

    def add_until(self, query: Item) -> None:
        """Add what the robot has when it asks: all other recordings, and its own past."""
        for column, item in enumerate(self._database):
            is_past = item.source != query.source or item.index <= query.index - self._min_gap
            if is_past and not self._is_added[column]:
                self._add(column, item)

    def similarities(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the similarity (N,) of the last of some successive queries (n, D)."""
        result = np.full(len(self._database), _UNKNOWN)
        if self._columns and queries[-1].any():  # else it has no keypoint
            seen = queries[queries.any(axis=1)]
            q = self._reference.query(seen[-self._reference.config.window :])
            result[self._columns] = self._reference.trace(q)
        return result

    def _add(self, column: int, item: Item) -> None:
        embedding = self._embeddings[column]
        node = self._reference.add_node(embedding)
        nodes = self._sources.setdefault(item.source, [])
        recent = np.array(nodes, dtype=np.int64)
        of_recent = self._reference.graph.embeddings(recent)
        config = self._reference.config
        if embedding.any():
            link_keyframe(self._reference, node, embedding, recent, of_recent, config)
            nodes.append(node)
        self._columns.append(column)
        self._is_added[column] = True


def _before(queries: Sequence[Item], row: int, max_num: int) -> list[int]:
    """Return the rows of the query and of those right before it, oldest first."""
    rows = [row]
    while len(rows) < max_num and rows[-1] > 0:
        newer, older = queries[rows[-1]], queries[rows[-1] - 1]
        if older.source != newer.source or older.index != newer.index - 1:
            break
        rows.append(rows[-1] - 1)
    return rows[::-1]
