"""Retrieval by embedding, reference graph and inverse cross-entropy query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.weights import Weights
from s3e_gnn_ros.graph.calibration import Calibration
from s3e_gnn_ros.graph.embedding_pose_graph import EdgeKind
from s3e_gnn_ros.graph.gnn import ReferenceGNN, build_gnn
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.graph.linking import link_keyframe
from s3e_gnn_ros.graph.reference_graph import ReferenceGraph
from s3e_gnn_ros.types import Encoding, Features, Frame, Keyframe

ENCODER = 'encoder'
GNN = 'gnn'
CALIBRATION = 'calibration'


class S3E:
    """The learned place of bag of words; the keyframes it gets have an encoding.

    Keyframe -> embedding pose graph -> GNN -> reference graph; the last keyframes of the session
    -> query sub-graph -> inverse cross-entropy product -> calibrated similarity (paper Fig. 1).

    Args:
        weights: encoder, GNN and calibration.
        use_gnn: False compares the embeddings by their cosine.

    Raises:
        InputError: the weights lack a part, or are of another architecture.
    """

    def __init__(self, weights: Weights, use_gnn: bool = True) -> None:
        self.encoder = Encoder.from_weights(weights)
        gnn = load_gnn(weights)
        self._config = gnn.config
        self._use_gnn = use_gnn
        self._reference = ReferenceGraph(gnn)
        self._calibration = load_calibration(weights, GNN if use_gnn else ENCODER)
        self._sessions: dict[int, list[int]] = {}  # the last nodes of each, oldest first

    @property
    def reference(self) -> ReferenceGraph:
        """The graph behind it."""
        return self._reference

    def __len__(self) -> int:
        """Return the number of entries."""
        return self._reference.graph.num_ids

    def encode(self, frame: Frame, features: Features) -> Encoding:
        """Embed the image of a keyframe; see :meth:`Encoder.embed`."""
        return self.encoder.embed(frame.image, features, frame.depth_m)

    def add(self, keyframe: Keyframe) -> int:
        """Add a keyframe, joined with those of its session that it follows and overlaps."""
        embedding = _encoding(keyframe).embedding
        recent, recent_embeddings = self._recent(keyframe.session)
        node = self._reference.add_node(
            embedding,
            stamp_ns=keyframe.stamp_ns,
            session=keyframe.session,
            T_odom_camera=keyframe.T_odom_camera,
        )
        link_keyframe(self._reference, node, embedding, recent, recent_embeddings, self._config)
        nodes = self._sessions.setdefault(keyframe.session, [])
        nodes.append(node)
        del nodes[: -1 - self._config.covisible_window]
        return node

    def similarities(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Compare a keyframe, with those before it, with every entry.

        Returns:
            (N,) float32 in [0, 1]: probability that the overlap is at least 0.3.
        """
        if len(self) == 0:
            return np.zeros(0, dtype=np.float32)
        return self._calibration.probability(self.scores(keyframe))

    def scores(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Return U of paper Eq. 2, or the cosine without GNN, (N,) float32, not calibrated."""
        embedding = _encoding(keyframe).embedding
        if not self._use_gnn:
            nodes = self._reference.graph.node_ids()
            result = np.zeros(len(self), dtype=np.float32)
            result[nodes] = self._reference.graph.embeddings(nodes) @ embedding
            return result
        _, before = self._recent(keyframe.session)
        window = np.vstack([before, embedding])[-self._config.window :]
        rows = self._reference.similarities(self._reference.query(window)[-1:])  # (1, N)
        return np.asarray(rows[0], np.float32)

    def join(self, query: int, match: int) -> None:
        """Tell of a verified closure between two entries."""
        self._reference.add_edge(query, match, EdgeKind.LOOP)

    def _recent(self, session: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        nodes = np.array(self._sessions.get(session, []), dtype=np.int64)
        return nodes, self._reference.graph.embeddings(nodes)


def load_gnn(weights: Weights) -> ReferenceGNN:
    """Make the GNN that a weights file describes, ready for inference.

    Raises:
        InputError: the file has no GNN, or that of another architecture.
    """
    gnn = build_gnn(GNNConfig.from_dict(weights.configuration(GNN)))
    weights.load_into(gnn, GNN)
    return gnn.eval()


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


def _encoding(keyframe: Keyframe) -> Encoding:
    assert keyframe.encoding is not None  # the pipeline has made it
    return keyframe.encoding
