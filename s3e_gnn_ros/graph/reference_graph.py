"""The reference graph: the embedding pose graph seen through the GNN, kept up to date."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind, EmbeddingPoseGraph
from s3e_gnn_ros.graph.gnn_config import NUM_LAYERS
from s3e_gnn_ros.graph.index import GrowingIndex
from s3e_gnn_ros.graph.inference import InferenceGNN
from s3e_gnn_ros.graph.path import PATH_EDGES, best_paths
from s3e_gnn_ros.graph.search_vectors import (
    query_vectors,
    reference_vectors,
    similarity_of_scores,
)

_REACH = NUM_LAYERS - 1
"""A new edge changes the first layer at its ends, the last one this many hops further."""

_CHUNK = 8192
_MAX_TRACED = 128


class ReferenceGraph:
    """Adds, joins, removes and finds keyframes; blank ones are never found.

    A change alters the logits of the nodes within three hops only, and these follow from the
    embeddings within six. Just that part is computed anew, at the next query or when
    :meth:`update` is called: the same as computing everything, by as many operations however
    large the map is. Hidden layers are not kept, which halves the memory.

    Args:
        gnn: trained.
        graph: what is known already; empty when None. Only this object may change it afterwards.
    """

    def __init__(self, gnn: InferenceGNN, graph: EmbeddingPoseGraph | None = None) -> None:
        self.config = gnn.config
        self.graph = EmbeddingPoseGraph(gnn.config) if graph is None else graph
        self._gnn = gnn
        self._index = GrowingIndex(self.config.embedding_dim + 1)
        self._changed: set[int] = set()
        self._note_new(self.graph.node_ids())

    def __len__(self) -> int:
        """Return the number of nodes, without the removed ones."""
        return len(self.graph)

    @property
    def is_exact(self) -> bool:
        """Whether a query is compared with every node."""
        return self._index.is_exact

    @property
    def num_bytes(self) -> int:
        """Memory of graph and index."""
        return self.graph.num_bytes + self._index.num_bytes

    def add_node(
        self,
        embedding: NDArray[np.floating],
        *,
        stamp_ns: int = 0,
        session: int = 0,
        T_odom_camera: Pose | None = None,
    ) -> int:
        """Add a keyframe; see :meth:`EmbeddingPoseGraph.add_node`."""
        node = self.graph.add_node(
            embedding, stamp_ns=stamp_ns, session=session, T_odom_camera=T_odom_camera
        )
        self._note_new(np.array([node]))
        return node

    def add_nodes(
        self,
        embeddings: NDArray[np.floating],
        *,
        stamps_ns: NDArray[np.int64],
        sessions: NDArray[np.int64],
        T_odom_camera: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Add keyframes; see :meth:`EmbeddingPoseGraph.add_nodes`."""
        nodes = self.graph.add_nodes(
            embeddings, stamps_ns=stamps_ns, sessions=sessions, T_odom_camera=T_odom_camera
        )
        self._note_new(nodes)
        return nodes

    def add_edges(self, edges: NDArray[np.int64], kinds: Sequence[EdgeKind]) -> NDArray[np.bool_]:
        """Join many nodes; see :meth:`EmbeddingPoseGraph.add_edges`."""
        is_new = self.graph.add_edges(edges, kinds)
        self._changed.update(edges[is_new].ravel().tolist())
        return is_new

    def add_edge(self, first: int, second: int, kind: EdgeKind) -> bool:
        """Join two nodes; see :meth:`EmbeddingPoseGraph.add_edge`."""
        is_new = self.graph.add_edge(first, second, kind)
        if is_new:
            self._changed.update((first, second))
        return is_new

    def remove_edge(self, first: int, second: int) -> None:
        """Part two nodes; see :meth:`EmbeddingPoseGraph.remove_edge`."""
        self.graph.remove_edge(first, second)
        self._changed.update((first, second))

    def remove_node(self, node: int) -> None:
        """Remove a node with its edges; see :meth:`EmbeddingPoseGraph.remove_node`."""
        neighbours = self.graph.neighbours(node)
        self.graph.remove_node(node)
        is_searched = not self.graph.is_blank(np.array([node]))[0]
        if is_searched and node < len(self._index):
            self._index.remove(np.array([node]))
        self._changed.discard(node)
        self._changed.update(neighbours)

    def update(self) -> int:
        """Compute what the changes since the last call have altered; returns how many nodes."""
        if not self._changed and len(self._index) == self.graph.num_ids:
            return 0
        changed = np.fromiter(self._changed, np.int64, len(self._changed))
        nodes = self.graph.ball(changed, _REACH)
        for start in range(0, len(nodes), _CHUNK):
            self._recompute(nodes[start : start + _CHUNK])
        no_vectors = np.zeros((0, self.config.embedding_dim + 1), dtype=np.float32)
        self._append(nodes[:0], no_vectors, self.graph.num_ids)
        self._changed.clear()
        return len(nodes)

    def _note_new(self, nodes: NDArray[np.int64]) -> None:
        """Have new nodes computed; without it they are a gap in the index, as blank ones are."""
        self._changed.update(nodes[~self.graph.is_blank(nodes)].tolist())

    def logits(self, nodes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute the logits (n, K) of some nodes from the embeddings around them.

        Args:
            nodes: (n,) ascending, without repetition.
        """
        around = self.graph.ball(nodes, NUM_LAYERS)
        embeddings = self.graph.embeddings(around)
        wanted = np.searchsorted(around, nodes)
        return self._gnn.logits(embeddings, self.graph.edge_index(around), wanted)

    def query(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pass a query sub-graph through the GNN; see :meth:`InferenceGNN.query`.

        Args:
            embeddings: (W, D) of successive keyframes, oldest first.

        Returns:
            q (W, K); the last row belongs to the newest.
        """
        return self._gnn.query(embeddings)

    def similarities(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compare query nodes with every node: U of paper Eq. 2.

        The paper takes the maximum of the whole matrix; :meth:`trace` asks where the newest
        keyframe was seen.

        Args:
            q: (W, K) from :meth:`query`.

        Returns:
            (W, N) float32 by node number, N the next number; 0 for nodes that were removed, for
            blank ones, and for those a search does not compare when :attr:`is_exact` is false.
        """
        self.update()
        queries = query_vectors(q, self.config.form)
        if len(q) == 1:  # spares a copy
            return self._similarity(self._index.scores(queries[0])[None], q)
        return self._similarity(np.stack([self._index.scores(query) for query in queries]), q)

    def trace(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compare the newest of some query nodes with every node, by the paths that lead there.

        See :mod:`s3e_gnn_ros.graph.path`. The paths to the 128 most similar nodes are looked at;
        all others come after these in the order of U.

        Args:
            q: (W, K) from :meth:`query`.

        Returns:
            (N,) float32 as a row of :meth:`similarities`, which it is for W = 1.
        """
        self.update()
        newest = q[-1:]
        nodes, scores = self._index.compared(query_vectors(newest, self.config.form)[0])
        U: NDArray[np.float32] = self._similarity(scores[None], newest)[0]
        if len(q) > 1 and self._gnn.path_weight and U.any():
            self._follow(U, nodes, q)
        if nodes is None:
            return U
        every = np.zeros(self.graph.num_ids, dtype=np.float32)
        every[nodes] = U
        return every

    def _follow(
        self, U: NDArray[np.float32], nodes: NDArray[np.int64] | None, q: NDArray[np.float32]
    ) -> None:
        """Replace U (n,) of the newest query node to some nodes, or all, by that of the best path.

        The paths to the highest are looked at; the others are scaled to come after these.
        """
        k = min(_MAX_TRACED, len(U))
        ends = np.argpartition(U, len(U) - k)[len(U) - k :]
        ends = ends[U[ends] > 0.0]
        best = self._paths_to(ends if nodes is None else nodes[ends], q)
        U *= best.min() / U[ends].min()
        U[ends] = best

    def _paths_to(self, ends: NDArray[np.intp], q: NDArray[np.float32]) -> NDArray[np.float32]:
        nodes, neighbours = self.graph.surroundings(ends, len(q) - 1, PATH_EDGES)
        scores = query_vectors(q, self.config.form) @ self._index.rows(nodes).T  # (W, n)
        best = best_paths(self._similarity(scores, q), neighbours, self._gnn.path_weight)
        return best[: len(ends)]

    def search(
        self, q: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Find the k nodes most similar to each query node.

        Args:
            q: (W, K) from :meth:`query`.
            k: at least 1.

        Returns:
            U (W, k) and the node numbers (W, k), best first; 0 and -1 where there are no more.
        """
        self.update()
        queries = query_vectors(q, self.config.form)
        scores, nodes = self._index.search(queries, k)
        return self._similarity(scores, q), nodes

    def _similarity(
        self, scores: NDArray[np.float32], q: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return similarity_of_scores(scores, q, self.config.eta, self.config.form)

    def _recompute(self, nodes: NDArray[np.int64]) -> None:
        vectors = reference_vectors(self.logits(nodes), self.config.form)
        is_known = nodes < len(self._index)
        self._index.update(nodes[is_known], vectors[is_known])
        end = int(nodes[-1]) + 1
        self._append(nodes[~is_known], vectors[~is_known], end)

    def _append(self, nodes: NDArray[np.int64], vectors: NDArray[np.float32], end: int) -> None:
        """Add new nodes to the index, up to the number ``end``; ids there are node numbers.

        A node that was removed before the index heard of it leaves a gap, and so does a blank one;
        it is filled.
        """
        start = len(self._index)
        if end <= start:
            return
        if len(nodes) == end - start:
            self._index.add(vectors)
            return
        rows = np.zeros((end - start, self.config.embedding_dim + 1), dtype=np.float32)
        rows[nodes - start] = vectors
        self._index.remove(np.setdiff1d(self._index.add(rows), nodes))
