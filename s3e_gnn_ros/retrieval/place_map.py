"""The learned map of places: embeddings, the graph of them, and the query. Knows no ROS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.embedding import check_embeddings
from s3e_gnn_ros.encoder.weights import Weights, load_weights
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.graph.calibration import Calibration
from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.inference import InferenceGNN
from s3e_gnn_ros.graph.linking import chain_links, link_keyframe
from s3e_gnn_ros.graph.reference_graph import ReferenceGraph

ENCODER = 'encoder'
GNN = 'gnn'
CALIBRATION = 'calibration'


@dataclass(frozen=True, slots=True)
class Match:
    """A keyframe of the map that a query found.

    Attributes:
        node: its number.
        similarity: in [0, 1], the probability that the overlap is at least 0.3.
        overlap: the overlap (IoU) to expect.
    """

    node: int
    similarity: float
    overlap: float


class PlaceMap:
    """An embedding pose graph that can be asked where something was seen.

    Embeddings -> embedding pose graph -> GNN -> reference graph; successive embeddings -> query
    sub-graph -> inverse cross-entropy product -> calibrated similarity (paper Fig. 1, right).

    Args:
        weights: a file's content, the name of packaged weights or a path; '' the default.
        use_gnn: False compares the embeddings by their cosine.

    Raises:
        InputError: the weights cannot be read, lack a part, or are of another architecture.
    """

    def __init__(self, weights: Weights | str = '', use_gnn: bool = True) -> None:
        if isinstance(weights, str):
            weights = load_weights(weights)
        gnn = load_gnn(weights)
        self.config = gnn.config
        self.reference = ReferenceGraph(gnn)
        self._use_gnn = use_gnn
        self._calibration = load_calibration(weights, GNN if use_gnn else ENCODER)
        self._sessions: dict[int, list[int]] = {}  # the last nodes of each, oldest first

    def __len__(self) -> int:
        """Return the number that the next keyframe gets."""
        return self.reference.graph.num_ids

    @property
    def calibration(self) -> Calibration:
        """Makes similarities of :meth:`scores`."""
        return self._calibration

    def add(
        self,
        embedding: NDArray[np.float32],
        *,
        T_odom_camera: Pose | None = None,
        stamp_ns: int = 0,
        session: int = 0,
    ) -> int:
        """Add a keyframe, joined with those of its session that it follows and overlaps.

        One whose embedding is 0 has seen nothing: it is kept, and neither found nor on any path.

        Args:
            embedding: (D,) of the encoder that the weights hold.
            T_odom_camera: pose (4, 4) of the camera, where it is known.
            stamp_ns: time of the image.
            session: keyframes of one session come in the order of their stamps.

        Returns:
            The keyframe's number.

        Raises:
            InputError: the embedding has another shape, or is neither of unit length nor 0; or
                another argument cannot be used. Nothing was added then.
        """
        embedding = np.asarray(embedding)
        recent, of_recent = self._recent(session)
        node = self.reference.add_node(
            embedding, stamp_ns=stamp_ns, session=session, T_odom_camera=T_odom_camera
        )
        if not embedding.any():
            return node
        link_keyframe(self.reference, node, embedding, recent, of_recent, self.config)
        nodes = self._sessions.setdefault(session, [])
        nodes.append(node)
        del nodes[: -1 - self.config.covisible_window]
        return node

    def restore(
        self,
        embeddings: NDArray[np.float32],
        *,
        stamps_ns: NDArray[np.int64],
        sessions: NDArray[np.int64],
        T_odom_camera: NDArray[np.float64],
        loops: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Add many keyframes with their loops: the same as one by one, at once.

        Args:
            embeddings: (N, D) of keyframes in order of their addition.
            stamps_ns: (N,) of the images.
            sessions: (N,) of the recordings.
            T_odom_camera: (N, 4, 4) poses of the camera, NaN where unknown.
            loops: (L, 2) rows of keyframes that were verified to see the same place.

        Returns:
            The numbers (N,) of the keyframes, consecutive.

        Raises:
            InputError: the embeddings have another shape, or one is neither of unit length nor
                0; a loop is of no keyframe; or another argument cannot be used. Nothing was
                added then.
        """
        loops = loops.reshape(-1, 2)
        _check_loops(loops, len(embeddings))
        nodes = self.reference.add_nodes(
            embeddings, stamps_ns=stamps_ns, sessions=sessions, T_odom_camera=T_odom_camera
        )
        edges, kinds = [nodes[loops]], [EdgeKind.LOOP] * len(loops)
        for session in dict.fromkeys(sessions.tolist()):
            own = (sessions == session) & embeddings.any(axis=1)
            asked = self._chain(session, nodes[own], embeddings[own])
            edges.insert(0, asked[0])
            kinds = asked[1] + kinds
        every = np.concatenate(edges)
        # As it was: each keyframe's links when it came, and then its loops.
        order = np.argsort(every.max(axis=1, initial=0), kind='stable')
        self.reference.add_edges(every[order], [kinds[index] for index in order.tolist()])
        self.reference.update()
        return nodes

    def _chain(
        self, session: int, nodes: NDArray[np.int64], embeddings: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], list[EdgeKind]]:
        """Return the links of new keyframes of a session, and remember its last ones."""
        recent, of_recent = self._recent(session)
        chain = np.concatenate([recent, nodes])
        edges, kinds = chain_links(
            chain,
            np.concatenate([of_recent, embeddings]),
            self.reference.graph.embeddings(chain),
            len(recent),
            self.config,
        )
        self._sessions[session] = chain[-1 - self.config.covisible_window :].tolist()
        return edges, kinds

    def join(self, first: int, second: int) -> bool:
        """Tell of a verified loop between two keyframes; False when they are joined already.

        Raises:
            InputError: a keyframe is unknown, or both are the same.
        """
        return self.reference.add_edge(first, second, EdgeKind.LOOP)

    def remove(self, node: int) -> None:
        """Forget a keyframe.

        Raises:
            InputError: it is unknown.
        """
        self.reference.remove_node(node)
        for nodes in self._sessions.values():
            if node in nodes:
                nodes.remove(node)

    def query(self, embeddings: Sequence[NDArray[np.float32]], k: int = 5) -> list[Match]:
        """Find where the newest of some successive images was seen.

        Args:
            embeddings: (D,) each, oldest first; the last W count, one is enough.
            k: at most so many answers.

        Returns:
            The most similar keyframes, best first, none whose embedding is 0; empty while the
            map is, and when the newest image's embedding is 0.

        Raises:
            InputError: no embedding, one of another shape, or neither of unit length nor 0.
        """
        window = self._window(embeddings)
        if not window[-1].any():
            return []
        scores = self.scores(window)
        alive = self._seeing()
        best = alive[np.argsort(-scores[alive], kind='stable')[:k]]
        similarity = self._calibration.probability(scores[best])
        overlap = self._calibration.overlap(scores[best])
        return [
            Match(int(node), float(p), float(o))
            for node, p, o in zip(best, similarity, overlap, strict=True)
        ]

    def similarities(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the calibrated similarity (N,) in [0, 1] of each keyframe to a window (W, D)."""
        return self._calibration.probability(self.scores(window))

    def scores(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the similarity of each keyframe, or the cosine without GNN, not calibrated.

        It is U of paper Eq. 2 along the best path, see :mod:`s3e_gnn_ros.graph.path`.

        Args:
            window: (W, D) successive embeddings, oldest first.

        Returns:
            (N,) float32; the lowest possible value for keyframes that were removed or whose
            embedding is 0, and for all while the newest embedding is 0.
        """
        newest = window[-1]
        if not newest.any():
            return np.full(len(self), 0.0 if self._use_gnn else -1.0, dtype=np.float32)
        if self._use_gnn:
            seen = window[window.any(axis=1)]
            return self.reference.trace(self.reference.query(seen[-self.config.window :]))
        nodes = self._seeing()
        cosine = np.full(len(self), -1.0, dtype=np.float32)
        cosine[nodes] = self.reference.graph.embeddings(nodes) @ newest
        return cosine

    def recent_embeddings(self, session: int) -> NDArray[np.float32]:
        """Return the embeddings (R, D) of the last keyframes of a session, oldest first."""
        return self._recent(session)[1]

    def _recent(self, session: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        nodes = np.array(self._sessions.get(session, []), dtype=np.int64)
        return nodes, self.reference.graph.embeddings(nodes)

    def _seeing(self) -> NDArray[np.int64]:
        """Return the keyframes that are here and have seen something."""
        nodes = self.reference.graph.node_ids()
        return nodes[np.logical_not(self.reference.graph.is_blank(nodes))]

    def _window(self, embeddings: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        dim = self.config.embedding_dim
        shapes = [np.shape(each) for each in embeddings]
        if not shapes or any(shape != (dim,) for shape in shapes):
            raise InputError(f'a query has embeddings of {shapes} instead of ({dim},) each')
        window = np.stack([np.asarray(each, np.float32) for each in embeddings])
        check_embeddings(window, (len(shapes), dim))
        return window


def _check_loops(loops: NDArray[np.int64], num: int) -> None:
    is_wrong = ((loops < 0) | (loops >= num)).any(axis=1) | (loops[:, 0] == loops[:, 1])
    if is_wrong.any():
        raise InputError(
            f'loop {loops[is_wrong][0].tolist()} does not join two of {num} keyframes'
        )


def load_gnn(weights: Weights) -> InferenceGNN:
    """Read the GNN that a weights file describes.

    Raises:
        InputError: the file has no GNN, or that of another architecture.
    """
    config = GNNConfig.from_dict(weights.configuration(GNN))
    weights.check_shapes(GNN, InferenceGNN.shapes(config))
    return InferenceGNN(config, weights.part(GNN))


def load_calibration(weights: Weights, of: str) -> Calibration:
    """Return the calibration of the scores 'of' the encoder or of the GNN.

    Raises:
        InputError: the weights have none, or a damaged one.
    """
    weights.configuration(CALIBRATION)
    head = of + '.'
    arrays = {
        name.removeprefix(head): tensor.numpy()
        for name, tensor in weights.part(CALIBRATION).items()
        if name.startswith(head)
    }
    return Calibration.from_arrays(arrays)
