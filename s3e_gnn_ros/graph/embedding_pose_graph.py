"""The embedding pose graph: keyframes with their embeddings, and what joins them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.embedding import check_embeddings
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.graph.block_matrix import BlockMatrix
from s3e_gnn_ros.graph.bulk_edges import fill_slots
from s3e_gnn_ros.graph.gnn_config import GNNConfig

_MAX_ODOMETRY = 2  # the keyframe before and the one after
_NONE = -1
_MAX_INT64 = np.iinfo(np.int64).max


class EdgeKind(IntEnum):
    """Why two keyframes are joined; in the order of the slots that hold their edges."""

    ODOMETRY = 0
    LOOP = 1
    COVISIBLE = 2


class EmbeddingPoseGraph:
    """Nodes with embeddings, undirected edges, a bounded number of edges per node and kind.

    Nodes are numbered 0, 1, 2 ... in order of addition; a number is never used again, so that
    the numbers of all others survive a deletion. Two nodes are joined once: the kind that came
    first stays. A node whose embedding is 0 is *blank*: it stands for an image in which nothing
    was seen, and is joined with none.

    Differs from the paper: the degree is bounded, so that the work per keyframe is.

    Args:
        config: embedding size and bounds.
    """

    def __init__(self, config: GNNConfig) -> None:
        self._dim = config.embedding_dim
        ends = np.cumsum([0, _MAX_ODOMETRY, config.max_loops, config.max_covisible])
        self._slots = {kind: slice(int(ends[kind]), int(ends[kind + 1])) for kind in EdgeKind}
        self._adjacency = BlockMatrix(int(ends[-1]), np.int32)
        # Half precision costs 5e-4 of a component, far below what two views of a place differ by.
        self._embeddings = BlockMatrix(self._dim, np.float16)
        self._poses = BlockMatrix(12, np.float32)
        self._stamps_ns = BlockMatrix(1, np.int64)
        self._sessions = BlockMatrix(1, np.int64)
        self._is_alive = BlockMatrix(1, np.bool_)
        self._is_blank = BlockMatrix(1, np.bool_)
        self._num_alive = 0

    def __len__(self) -> int:
        """Return the number of nodes, without the removed ones."""
        return self._num_alive

    def __contains__(self, node: int) -> bool:
        """Return whether a number belongs to a node that was not removed."""
        return 0 <= node < self.num_ids and bool(self._is_alive.row(node)[0])

    @property
    def num_ids(self) -> int:
        """The number that the next node gets."""
        return len(self._is_alive)

    @property
    def num_bytes(self) -> int:
        """Memory of nodes and edges."""
        parts = (self._poses, self._stamps_ns, self._sessions, self._is_alive, self._is_blank)
        large = self._adjacency.num_bytes + self._embeddings.num_bytes
        return large + sum(part.num_bytes for part in parts)

    def add_node(
        self,
        embedding: NDArray[np.floating],
        *,
        stamp_ns: int = 0,
        session: int = 0,
        T_odom_camera: Pose | None = None,
    ) -> int:
        """Add a keyframe without edges.

        Args:
            embedding: (D,) unit length, or 0.
            stamp_ns: of the image.
            session: of the recording.
            T_odom_camera: pose of the camera in its session's odometry, if known.

        Returns:
            The node's number.

        Raises:
            InputError: the embedding has another shape, or is neither of unit length nor 0; or
                another argument cannot be used. Nothing was added then.
        """
        pose = np.full((4, 4), np.nan) if T_odom_camera is None else np.asarray(T_odom_camera)
        nodes = self.add_nodes(
            np.asarray(embedding)[None],
            stamps_ns=np.array([stamp_ns]),
            sessions=np.array([session]),
            T_odom_camera=pose[None],
        )
        return int(nodes[0])

    def add_nodes(
        self,
        embeddings: NDArray[np.floating],
        *,
        stamps_ns: NDArray[np.int64],
        sessions: NDArray[np.int64],
        T_odom_camera: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Add keyframes without edges.

        Args:
            embeddings: (N, D) unit length, or 0.
            stamps_ns: (N,) of the images.
            sessions: (N,) of the recordings.
            T_odom_camera: (N, 4, 4) poses of the camera, NaN where unknown.

        Returns:
            The numbers (N,) of the nodes, consecutive.

        Raises:
            InputError: the embeddings have another shape, or one is neither of unit length nor
                0; or another argument cannot be used. Nothing was added then.
        """
        num = len(embeddings)
        check_embeddings(embeddings, (num, self._dim))
        if T_odom_camera.shape != (num, 4, 4) or T_odom_camera.dtype.kind not in 'fiu':
            raise InputError(f'poses are {T_odom_camera.shape} instead of ({num}, 4, 4)')
        stamps_ns = _whole_numbers('stamps', stamps_ns, num)
        sessions = _whole_numbers('sessions', sessions, num)
        first = self.num_ids
        self._embeddings.append(embeddings)
        self._poses.append(T_odom_camera[:, :3].reshape(num, 12))
        self._stamps_ns.append(stamps_ns[:, None])
        self._sessions.append(sessions[:, None])
        self._adjacency.append(np.full((num, self._slots[EdgeKind.COVISIBLE].stop), _NONE))
        self._is_alive.append(np.ones((num, 1), dtype=bool))
        is_seen = self._embeddings.rows(np.arange(first, self.num_ids)).any(axis=1, keepdims=True)
        self._is_blank.append(np.logical_not(is_seen))
        self._num_alive += num
        return np.arange(first, self.num_ids)

    def add_edge(self, first: int, second: int, kind: EdgeKind) -> bool:
        """Join two nodes.

        Returns:
            False when they are joined already, or one of them is blank, or has all the edges of
            this kind it may have; nothing changes then.

        Raises:
            InputError: a node is unknown, or both are the same.
        """
        ours, theirs = self._edges(first), self._edges(second)
        if first == second:
            raise InputError(f'node {first} cannot be joined with itself')
        if second in ours or any(self._is_blank.row(node)[0] for node in (first, second)):
            return False
        free = [np.flatnonzero(edges[self._slots[kind]] == _NONE) for edges in (ours, theirs)]
        if not len(free[0]) or not len(free[1]):
            return False
        ours[self._slots[kind]][free[0][0]] = second
        theirs[self._slots[kind]][free[1][0]] = first
        return True

    def add_edges(self, edges: NDArray[np.int64], kinds: Sequence[EdgeKind]) -> NDArray[np.bool_]:
        """Join many nodes: as :meth:`add_edge` for one pair after the other, but quickly.

        Args:
            edges: (E, 2) nodes.
            kinds: (E,) why they are joined.

        Returns:
            (E,) False where :meth:`add_edge` would return it.

        Raises:
            InputError: a node is unknown, or both of an edge are the same; nothing was joined.
        """
        nodes = np.unique(edges)
        is_here = (nodes >= 0) & (nodes < self.num_ids)
        is_here[is_here] = self._is_alive.rows(nodes[is_here])[:, 0]
        for node in nodes[~is_here].tolist():
            self._edges(node)  # says so
        same = np.flatnonzero(edges[:, 0] == edges[:, 1])
        if len(same):
            raise InputError(f'node {edges[same[0], 0]} cannot be joined with itself')
        rows = self._adjacency.rows(nodes)
        is_new = np.logical_not(self.is_blank(edges[:, 0]) | self.is_blank(edges[:, 1]))
        slots = [self._slots[kind] for kind, asked in zip(kinds, is_new, strict=True) if asked]
        is_new[is_new] = fill_slots(rows, nodes, edges[is_new], slots, _NONE)
        self._adjacency.assign(nodes, rows)
        return is_new

    def remove_edge(self, first: int, second: int) -> None:
        """Part two nodes.

        Raises:
            InputError: a node is unknown, or nothing joins them.
        """
        ours, theirs = self._edges(first), self._edges(second)
        if second not in ours:
            raise InputError(f'no edge joins the nodes {first} and {second}')
        ours[ours == second] = _NONE
        theirs[theirs == first] = _NONE

    def remove_node(self, node: int) -> None:
        """Remove a node with its edges.

        Raises:
            InputError: it is unknown.
        """
        for other in self.neighbours(node):
            self.remove_edge(node, other)
        self._is_alive.row(node)[0] = False
        self._num_alive -= 1

    def neighbours(self, node: int, kind: EdgeKind | None = None) -> list[int]:
        """Return the nodes joined with one, of one kind or of all.

        Raises:
            InputError: it is unknown.
        """
        edges = self._edges(node) if kind is None else self._edges(node)[self._slots[kind]]
        return [other for other in edges.tolist() if other != _NONE]

    def ball(self, seeds: NDArray[np.integer], num_hops: int) -> NDArray[np.int64]:
        """Return the nodes (m,), ascending, at most so many edges away from some (n,)."""
        number = self._unnumbered()
        layers = [np.unique(seeds).astype(np.intp)]
        number[layers[0]] = 1
        for _ in range(num_hops):
            edges = self._adjacency.rows(layers[-1]).astype(np.intp)
            layers.append(_first_of_each(edges.ravel(), number, 1))
        return np.sort(np.concatenate(layers))

    def surroundings(
        self, seeds: NDArray[np.int64], num_hops: int, kinds: Sequence[EdgeKind]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the nodes around some nodes, and how they are joined.

        Args:
            seeds: (n,) without repetition.
            num_hops: edges to go along, at least 1.
            kinds: of the edges, successive ones.

        Returns:
            nodes (m,), the seeds first and those of the last hop last; the neighbours (M, m) of
            each, counted within these; its own number where it has fewer, and M times for those
            of the last hop.
        """
        number = self._unnumbered()
        nodes, edges, num = [seeds], [], len(seeds)
        number[seeds] = np.arange(1, num + 1)
        for _ in range(num_hops):
            edges.append(self._edges_of(nodes[-1], kinds).astype(np.intp))
            nodes.append(_first_of_each(edges[-1].ravel(), number, num + 1))
            num += len(nodes[-1])
        inner = np.concatenate(edges)
        neighbours = np.tile(np.arange(num), (inner.shape[1], 1))
        ours = neighbours[:, : len(inner)].T
        np.copyto(ours, number.take(inner) - 1, where=inner != _NONE)
        return np.concatenate(nodes), neighbours

    def node_ids(self) -> NDArray[np.int64]:
        """Return the numbers (N,) int64 of all nodes, ascending."""
        if not self.num_ids:
            return np.zeros(0, dtype=np.int64)
        return np.flatnonzero(np.concatenate(self._is_alive.filled())[:, 0])

    def embeddings(self, nodes: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the embeddings (n, D) float32 of some nodes."""
        return self._embeddings.rows(nodes).astype(np.float32)

    def edge_index(
        self, nodes: NDArray[np.int64], kinds: Sequence[EdgeKind] = tuple(EdgeKind)
    ) -> NDArray[np.int64]:
        """Return the edges among some nodes.

        Args:
            nodes: (n,) ascending, without repetition.
            kinds: of the edges, successive ones.

        Returns:
            (2, E) int64, source and target counted within ``nodes``; each edge in both
            directions, ordered by target.
        """
        if not len(nodes):
            return np.zeros((2, 0), dtype=np.int64)
        edges = self._edges_of(nodes, kinds)  # (n, M)
        target, slot = np.nonzero(edges != _NONE)
        others = edges[target, slot]
        source = np.minimum(np.searchsorted(nodes, others), len(nodes) - 1)
        inside = nodes[source] == others
        return np.stack([source[inside], target[inside]])

    def is_blank(self, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which (n,) of some nodes have an embedding of 0."""
        return self._is_blank.rows(nodes)[:, 0]

    def stamps_ns(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the stamps (n,) of some nodes."""
        return self._stamps_ns.rows(nodes)[:, 0]

    def sessions(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the sessions (n,) of some nodes."""
        return self._sessions.rows(nodes)[:, 0]

    def poses(self, nodes: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """Return T_odom_camera (n, 4, 4) of some nodes, NaN where unknown."""
        poses = np.tile(np.eye(4), (len(nodes), 1, 1))
        poses[:, :3] = self._poses.rows(np.asarray(nodes, dtype=np.int64)).reshape(-1, 3, 4)
        return poses

    def _unnumbered(self) -> NDArray[np.intp]:
        """Return a 0 for each node, and something else for what stands in an empty slot.

        Zeros of a large array cost nothing before they are touched.
        """
        number = np.zeros(self.num_ids + 1, dtype=np.intp)
        number[_NONE] = 1
        return number

    def _edges_of(self, nodes: NDArray[np.int64], kinds: Sequence[EdgeKind]) -> NDArray[np.int32]:
        """Return the slots (n, M) of edges of some successive kinds."""
        slots = slice(self._slots[kinds[0]].start, self._slots[kinds[-1]].stop)
        return self._adjacency.rows(nodes)[:, slots]

    def _edges(self, node: int) -> NDArray[np.int32]:
        if node not in self:
            raise InputError(f'the embedding pose graph has no node {node}')
        return self._adjacency.row(node)


def _whole_numbers(what: str, values: NDArray[np.integer], num: int) -> NDArray[np.int64]:
    """Return (N,) numbers as int64.

    Raises:
        InputError: another shape, no whole numbers, or one that is too large.
    """
    if values.shape != (num,) or values.dtype.kind not in 'iu' or (values > _MAX_INT64).any():
        raise InputError(f'{what} {values.tolist()} are not {num} whole numbers of 64 bits')
    return values.astype(np.int64)


def _first_of_each(
    nodes: NDArray[np.intp], number: NDArray[np.intp], start: int
) -> NDArray[np.intp]:
    """Number the nodes that have 0, from ``start`` on; returns them, each once.

    Faster than to sort them: where a node comes several times, one of its writes is the last.
    """
    new = nodes[number.take(nodes) == 0]
    written = np.arange(start, start + len(new))
    number[new] = written
    once: NDArray[np.intp] = new[number.take(new) == written]
    number[once] = written[: len(once)]
    return once
