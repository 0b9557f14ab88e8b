"""Verification of one pair of frames, for those who bring their own retrieval."""

from __future__ import annotations

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.encoder.encoder import Encoder
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.loop_closure.verification import Verification, Verifier
from s3e_gnn_ros.loop_closure.view import View, make_view
from s3e_gnn_ros.types import Frame, Keyframe


def verify_pair(
    query: Frame, match: Frame, encoder: Encoder | None = None, config: Config | None = None
) -> Verification:
    """Estimate where the query's camera is in the match's, or say why it is not known.

    Args:
        query: image and camera; depth where there is one.
        match: the same; one of the two needs depth.
        encoder: adds its local descriptors to ORB's; None: ORB alone.
        config: features and thresholds; the defaults when None.

    Returns:
        ``status`` LOOP_DETECTED with ``T_match_query`` (4, 4) and its covariance (6, 6), or the
        first test that failed.

    Raises:
        InputError: an image has a shape or type that cannot be read.
    """
    config = Config() if config is None else config
    extractor = OrbExtractor(config.features)
    verifier = Verifier(config.verification, config.features)
    return verifier.verify(
        _view(0, query, extractor, encoder), _view(1, match, extractor, encoder)
    )


def _view(number: int, frame: Frame, extractor: OrbExtractor, encoder: Encoder | None) -> View:
    features = extractor.extract(frame)
    encoding = None if encoder is None else encoder.embed(frame.image, features, frame.depth_m)
    return make_view(Keyframe(number, number, frame, features, encoding))
