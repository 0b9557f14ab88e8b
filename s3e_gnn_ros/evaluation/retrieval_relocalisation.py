"""Relocalisation in the form of the paper's Table III: where in an earlier drive is this image?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_methods import BOW, S3E_ENCODER, split_name
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.types import Frame

FINE = 0.25, 5.0
"""Error [m], [deg] within which an image counts as located finely."""

COARSE = 0.5, 15.0
"""Error [m], [deg] beyond which a pose that is reported as good is wrong."""

_SESSION = 1


@dataclass(frozen=True)
class RelocalisationFigures:
    """How well images of the second half of a drive are located in the first.

    Attributes:
        num_queries: images asked about.
        num_located: those whose pose is reported as good.
        median_translation_m: of the located ones; NaN when there is none.
        median_rotation_deg: of the located ones.
        fine_rate: share of all queries located within 0.25 m and 5 deg.
        coarse_rate: share of all queries located within 0.5 m and 15 deg.
        num_wrong: poses reported as good that are not even that.
    """

    num_queries: int
    num_located: int
    median_translation_m: float
    median_rotation_deg: float
    fine_rate: float
    coarse_rate: float
    num_wrong: int


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
    method: str, database: Sequence[Item], frames: Sequence[Frame], config: Config
) -> RelocalisationFigures:
    """Locate frames in the first half of a drive's keyframes, by what the node runs.

    The map grows keyframe by keyframe, at true poses; each image is then asked about by itself,
    without pose and without those before it.

    Args:
        method: name of the retrieval method.
        database: all keyframes, with true poses; their first half is the map.
        frames: of the second half, with true poses.
        config: all settings.
    """
    pipeline = LoopClosurePipeline(_of_method(method, config), _SESSION)
    for item in database[: len(database) // 2]:
        T_world_camera = item.frame.T_world_camera
        pipeline.process(dataclasses.replace(item.frame, T_odom_camera=T_world_camera))
    errors = []
    for frame in frames:
        asked = dataclasses.replace(frame, T_odom_camera=None, T_world_camera=None)
        T_map_camera = pipeline.relocalise(asked).T_map_camera
        if T_map_camera is not None:
            assert frame.T_world_camera is not None  # second_half took no other
            error = se3.inverse(frame.T_world_camera) @ T_map_camera
            errors.append((se3.translation_m(error), se3.rotation_angle_deg(error)))
    return summarise(np.array(errors).reshape(-1, 2), len(frames))


def summarise(errors: NDArray[np.float64], num_queries: int) -> RelocalisationFigures:
    """Return the figures of errors (n, 2) [m], [deg] of the located queries."""
    medians = np.median(errors, axis=0) if len(errors) else np.full(2, np.nan)
    num_fine = int((errors <= FINE).all(axis=1).sum())
    num_coarse = int((errors <= COARSE).all(axis=1).sum())
    return RelocalisationFigures(
        num_queries=num_queries,
        num_located=len(errors),
        median_translation_m=float(medians[0]),
        median_rotation_deg=float(medians[1]),
        fine_rate=num_fine / num_queries if num_queries else float('nan'),
        coarse_rate=num_coarse / num_queries if num_queries else float('nan'),
        num_wrong=len(errors) - num_coarse,
    )


def _of_method(name: str, config: Config) -> Config:
    """Return the settings under which the node runs a method of the evaluation."""
    method, weights = split_name(name)
    retrieval = dataclasses.replace(
        config.retrieval,
        method='bow' if method == BOW else 's3e',
        use_gnn=method != S3E_ENCODER,
        weights=weights or config.retrieval.weights,
    )
    return dataclasses.replace(config, retrieval=retrieval)
