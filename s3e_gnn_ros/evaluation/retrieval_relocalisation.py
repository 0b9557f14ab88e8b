"""Relocalisation in the form of the paper's Table III: where in an earlier drive is this image?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.evaluation.closure_error import Tolerance
from s3e_gnn_ros.evaluation.retrieval_images import recording_items
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_methods import LearnedMethod, SimilarityMethod
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.verification import Verifier
from s3e_gnn_ros.loop_closure.view import View, make_view
from s3e_gnn_ros.types import Frame, Keyframe


@dataclass(frozen=True)
class Relocalisation:
    """How well a method locates images of the second half of a drive in the first.

    Attributes:
        num_queries: images asked about.
        num_located: those for which a candidate was verified.
        median_translation_m: of the located ones; NaN when there is none.
        median_rotation_deg: of the located ones.
        success_rate: share of all queries located within the tolerance.
    """

    num_queries: int
    num_located: int
    median_translation_m: float
    median_rotation_deg: float
    success_rate: float


def second_half(recording: Recording, keyframes: Sequence[Frame], every: int) -> list[Frame]:
    """Return every n-th frame with a true pose from the second half of the keyframes' time."""
    split_ns = keyframes[len(keyframes) // 2].stamp_ns
    late = (
        frame
        for frame in recording.frames()
        if frame.stamp_ns >= split_ns and frame.T_world_camera is not None
    )
    return [frame for number, frame in enumerate(late) if number % every == 0]


def relocalise(
    method: SimilarityMethod,
    database: Sequence[Item],
    frames: Sequence[Frame],
    config: Config,
    tolerance: Tolerance | None = None,
) -> Relocalisation:
    """Locate frames in the first half of a drive's keyframes by retrieval and verification.

    Of the verified candidates the one with most inliers gives the pose.

    Args:
        method: chooses the candidates.
        database: all keyframes, with true poses; their first half is the map.
        frames: of the second half, with true poses.
        config: number of candidates and thresholds of verification.
        tolerance: what counts as success; 0.2 m and 10 deg when None.
    """
    tolerance = Tolerance() if tolerance is None else tolerance
    known = list(database[: len(database) // 2])
    queries = recording_items('relocalisation', frames, OrbExtractor(config.features))
    similarity = method.similarity_matrix(queries, known)
    verifier = Verifier(config.verification, config.features)
    views = [_view(item, method) for item in known]
    errors = []
    for row, query in enumerate(queries):
        best = np.argsort(-similarity[row], kind='stable')[: config.retrieval.max_candidates]
        T_world_query = _locate(
            _view(query, method), [(known[i], views[i]) for i in best], verifier
        )
        if T_world_query is not None:
            assert query.frame.T_world_camera is not None  # second_half took no other
            error = se3.inverse(query.frame.T_world_camera) @ T_world_query
            errors.append((se3.translation_m(error), se3.rotation_angle_deg(error)))
    return _summary(np.array(errors).reshape(-1, 2), len(queries), tolerance)


def _locate(
    query: View, candidates: Sequence[tuple[Item, View]], verifier: Verifier
) -> Pose | None:
    """Return T_world_query by the candidate with most inliers, or None."""
    best, T_world_query = 0, None
    for item, view in candidates:
        found = verifier.verify(query, view)
        if found.T_match_query is not None and found.num_inliers > best:
            assert item.frame.T_world_camera is not None  # keyframes were chosen by it
            best, T_world_query = (
                found.num_inliers,
                item.frame.T_world_camera @ found.T_match_query,
            )
    return T_world_query


def _summary(
    errors: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    num_queries: int,
    tolerance: Tolerance,
) -> Relocalisation:
    good = (errors[:, 0] <= tolerance.max_wrong_m) & (errors[:, 1] <= tolerance.max_wrong_deg)
    medians = np.median(errors, axis=0) if len(errors) else np.full(2, np.nan)
    return Relocalisation(
        num_queries=num_queries,
        num_located=len(errors),
        median_translation_m=float(medians[0]),
        median_rotation_deg=float(medians[1]),
        success_rate=float(good.sum() / num_queries) if num_queries else float('nan'),
    )


def _view(item: Item, method: SimilarityMethod) -> View:
    """Keep what verification needs, with the patches of the method's encoder where it has one."""
    encoding = method.encoding(item) if isinstance(method, LearnedMethod) else None
    return make_view(Keyframe(item.index, 0, item.frame, item.features, encoding))
