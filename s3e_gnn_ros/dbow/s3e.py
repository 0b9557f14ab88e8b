"""S3E behind the database: the learned embedding, its graph and its calibrated similarity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.dbow.backend import Prepared, stored
from s3e_gnn_ros.dbow.direct_index import FeatureVector
from s3e_gnn_ros.dbow.features import ImageFeatures, local_features
from s3e_gnn_ros.dbow.results import Comparison
from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.encoder.weights import Weights, digest, load_weights
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.place_map import PlaceMap


class S3EBackend:
    """Implements ``Backend`` with :class:`Encoder` and :class:`PlaceMap`.

    Args:
        encoder: embeds images.
        weights: of the GNN and its calibration, and of the encoder.
        config: features, and whether the GNN is used.
    """

    method = 's3e'

    def __init__(self, encoder: Encoder, weights: Weights, config: Config) -> None:
        self._encoder = encoder
        self._weights = weights
        self._config = config
        self._extractor = OrbExtractor(config.features)
        self._map = PlaceMap(weights, config.retrieval.use_gnn)
        self._sessions: list[int] = []
        self._loops: list[tuple[int, int]] = []

    @classmethod
    def from_config(cls, config: Config) -> S3EBackend:
        """Load the configured weights.

        Raises:
            InputError: they cannot be read.
        """
        weights = load_weights(config.retrieval.weights)
        return cls(Encoder.from_weights(weights), weights, config)

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._map)

    @property
    def digest(self) -> str:
        """Hash of the weights."""
        return digest(self._weights.tensors)

    def emptied(self) -> S3EBackend:
        """Return an empty one with the same encoder."""
        return S3EBackend(self._encoder, self._weights, self._config)

    def prepare(self, given: ImageFeatures) -> Prepared:
        """Embed the image, at the keypoints given or found.

        Raises:
            InputError: there is no image.
        """
        image = given.image
        if image is None:
            raise InputError(
                "retrieval by 's3e' needs the image, and here are descriptors alone: give "
                "ImageFeatures(image=...), or choose method 'bow'"
            )
        if given.keypoints_px is None and given.descriptors is not None:
            # Of no known place: the image gives better ones.
            given = ImageFeatures(image, camera=given.camera, depth_m=given.depth_m)
        features = local_features(given, self._extractor)
        encoding = self._encoder.embed(image, features, given.depth_m)
        return Prepared(given, features, encoding=encoding)

    def add(self, prepared: Prepared, *, is_next: bool = True) -> int:
        """Add an entry, joined with those before it unless a new sequence begins."""
        assert prepared.encoding is not None  # prepare() has made it
        session = self._session(is_next)
        entry = self._map.add(prepared.encoding.embedding, session=session)
        self._sessions.append(session)
        return entry

    def compare(self, prepared: Prepared, *, is_next: bool = True) -> Comparison:
        """Compute the similarity of each entry: the probability that the overlap is >= 0.3."""
        assert prepared.encoding is not None  # prepare() has made it
        before = self._map.recent_embeddings(self._session(is_next))
        raw = self._map.scores(np.vstack([before, prepared.encoding.embedding]))
        return Comparison(self._map.calibration.probability(raw), raw)

    def join(self, first: int, second: int) -> None:
        """Tell the graph of a verified loop."""
        if self._map.join(first, second):
            self._loops.append((first, second))

    def node_of(self, words: NDArray[np.int32], levels_up: int) -> NDArray[np.intp]:
        """Refuse: there is no vocabulary."""
        raise InputError("retrieval by 's3e' has no vocabulary, and so no direct index")

    def feature_vector(self, entry: int, levels_up: int) -> FeatureVector:
        """Refuse: there is no vocabulary."""
        raise InputError(
            f"entry {entry} has no direct index: retrieval by 's3e' has no vocabulary"
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the embeddings, their sequences and the verified loops."""
        nodes = np.arange(len(self), dtype=np.int64)
        return {
            'embeddings': np.asarray(self._map.reference.graph.embeddings(nodes), np.float32),
            'sessions': np.array(self._sessions, dtype=np.int64),
            'loops': np.array(self._loops, dtype=np.int64).reshape(-1, 2),
        }

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add the entries of :meth:`arrays`, in one pass of the GNN.

        Raises:
            InputError: the arrays are not such.
        """
        try:
            embeddings = stored(arrays, 'embeddings', np.float32, 2)
            sessions = stored(arrays, 'sessions', np.int64, 1)
            loops = stored(arrays, 'loops', np.int64, 2)
        except (KeyError, ValueError) as err:
            raise InputError(f'its entries cannot be read: {err}') from err
        N = len(embeddings)
        if len(sessions) != N or loops.shape[1] != 2 or ((loops < 0) | (loops >= N)).any():
            raise InputError(f'{N} embeddings, sequences and loops do not fit together')
        if N == 0:
            return
        self._map.restore(
            embeddings,
            stamps_ns=np.zeros(N, dtype=np.int64),
            sessions=sessions,
            T_odom_camera=np.full((N, 4, 4), np.nan),
            loops=loops,
        )
        self._sessions += sessions.tolist()
        self._loops += [(first, second) for first, second in loops.tolist()]

    def _session(self, is_next: bool) -> int:
        """Return the number of the sequence that the next image belongs to."""
        if not self._sessions:
            return 0
        return self._sessions[-1] + (not is_next)
