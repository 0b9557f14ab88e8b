"""Turns recordings with depth and true poses into embedding sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.data.overlap import overlap_matrix
from s3e_gnn_ros.data.overlap_views import DepthView, ViewOptions, make_depth_views
from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.training.degradation import Degradation
from s3e_gnn_ros.training.sequences import EmbeddingSequence
from s3e_gnn_ros.types import Frame


def embed_recordings(
    scene: str,
    recordings: Sequence[Recording],
    encoder: Encoder,
    *,
    num_degraded: int = 1,
    options: ViewOptions | None = None,
    features: FeatureConfig | None = None,
    seed: int = 0,
    device: str = 'cpu',
) -> EmbeddingSequence:
    """Embed the keyframes of two runs through one scene and compare what they see.

    Args:
        scene: name of the scene.
        recordings: two, whose true poses are in one world; or one, whose second half is the
            second run.
        encoder: trained.
        num_degraded: degraded copies of each image beside itself.
        options: which frames become keyframes.
        features: keypoints of the encoder.
        seed: of the degradations.
        device: of the comparison.

    Raises:
        InputError: neither one recording nor two.
        RecordingError: a recording has no depth or no true poses.
    """
    if len(recordings) not in (1, 2):
        raise InputError(f"scene '{scene}' has {len(recordings)} recordings instead of 1 or 2")
    parts = [make_depth_views(recording, options) for recording in recordings]
    embedder = _Embedder(encoder, features or FeatureConfig(), num_degraded, seed)
    embeddings = [
        embedder.embed(recording, views)
        for recording, views in zip(recordings, parts, strict=True)
    ]
    views = [view for part in parts for view in part]
    lengths = [len(part) for part in parts]
    if len(parts) == 1:
        lengths = [lengths[0] // 2, lengths[0] - lengths[0] // 2]
    return EmbeddingSequence(
        scene=scene,
        embeddings=np.concatenate(embeddings, axis=1),
        run=np.repeat(np.arange(2), lengths),
        stamps_ns=np.array([view.stamp_ns for view in views], np.int64),
        T_world_camera=np.array([view.T_world_camera for view in views]),
        overlap=overlap_matrix(views, device=device),
    )


class _Embedder:
    """Embeds chosen frames, as they are and degraded."""

    def __init__(
        self, encoder: Encoder, features: FeatureConfig, num_degraded: int, seed: int
    ) -> None:
        self._encoder = encoder
        self._orb = OrbExtractor(features)
        self._degradation = Degradation()
        self._num_degraded = num_degraded
        self._rng = np.random.default_rng(seed)

    def embed(self, recording: Recording, views: Sequence[DepthView]) -> NDArray[np.float16]:
        """Return the embeddings (R, n, D) of the frames that became views."""
        wanted = {view.stamp_ns for view in views}
        rows = [
            self._embed_frame(frame) for frame in recording.frames() if frame.stamp_ns in wanted
        ]
        return np.stack(rows, axis=1)

    def _embed_frame(self, frame: Frame) -> NDArray[np.float16]:
        images = [frame.image]
        for _ in range(self._num_degraded):
            images.append(self._degradation.apply(frame.image, self._rng)[0])
        embeddings = []
        for image in images:
            found = self._orb.extract(Frame(frame.stamp_ns, image, frame.camera))
            embeddings.append(self._encoder.embed(image, found, frame.depth_m).embedding)
        return np.stack(embeddings).astype(np.float16)
