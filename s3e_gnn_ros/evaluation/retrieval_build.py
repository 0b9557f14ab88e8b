"""Makes experiments of recordings with poses, and of folders of images with labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.data.open_recording import open_recording
from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.errors import InputError, RecordingError
from s3e_gnn_ros.evaluation.retrieval_experiment import Experiment, true_pairs
from s3e_gnn_ros.evaluation.retrieval_images import (
    ImageFolder,
    Progress,
    image_files,
    keyframes,
    recording_items,
)
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_labels import (
    Label,
    find_labels,
    label_relevance,
    read_labels,
)
from s3e_gnn_ros.evaluation.retrieval_options import RetrievalOptions
from s3e_gnn_ros.evaluation.retrieval_relevance import (
    JUNK,
    POSITIVE,
    bar_where,
    overlap_relevance,
)


def build_experiment(
    path: Path, options: RetrievalOptions, features: FeatureConfig, progress: Progress
) -> Experiment:
    """Read a recording, or a folder of images when labels are given.

    Raises:
        InputError: images or labels cannot be read, or do not fit each other.
        RecordingError: the recording cannot be read, or nothing in it is seen twice.
    """
    extractor = OrbExtractor(features)
    progress(f'{path.name}: images')
    if options.labels is None:
        experiment = _from_recording(path, options, extractor)
    else:
        experiment = _from_labels(path, read_labels(options.labels), options, extractor)
    if not (experiment.relevance == POSITIVE).any():
        raise RecordingError(f"nothing in '{path}' is seen twice: there is nothing to retrieve")
    return experiment


def experiment_name(path: Path, options: RetrievalOptions) -> str:
    """Return the name :func:`build_experiment` gives, without reading images.

    Raises:
        RecordingError: it is a recording that cannot be read, or holds no true poses.
    """
    if options.labels is None:
        return open_for_truth(path).name
    folder = path.resolve()
    return folder.name if options.database is None else f'{folder.parent.name}_{folder.name}'


def open_for_truth(path: Path) -> Recording:
    """Open a recording that needs no labels.

    Raises:
        RecordingError: it cannot be read, holds no true poses, or is a folder of plain images.
    """
    try:
        recording = open_recording(path)
    except RecordingError as err:
        if path.is_dir() and _has_images(path):
            raise RecordingError(
                f"'{path}' is a folder of images: name a label file with --labels"
            ) from err
        raise
    if recording.ground_truth is None:
        raise RecordingError(f"'{recording.name}' holds no true poses, and no labels are given")
    return recording


def _from_recording(path: Path, options: RetrievalOptions, extractor: OrbExtractor) -> Experiment:
    recording = open_for_truth(path)
    source = str(path.resolve())
    items = recording_items(recording.name, source, keyframes(recording), extractor)
    truth = true_pairs(items)
    may_match = _is_older(items, options.min_gap)
    return Experiment(
        name=recording.name,
        queries=items,
        database=items,
        may_match=may_match,
        relevance=bar_where(overlap_relevance(truth.overlap), ~may_match),
        distractors=read_distractors(options.distractors, extractor),
        truth=truth,
    )


def _from_labels(
    path: Path, labels: dict[str, Label], options: RetrievalOptions, extractor: OrbExtractor
) -> Experiment:
    queries = ImageFolder(path).items(extractor)
    database = queries if options.database is None else _database(options.database, extractor)
    asked, known = find_labels(queries, labels), find_labels(database, labels)
    may_match = np.ones((len(queries), len(database)), dtype=bool)
    # Groups say what may match what; without them, the order of the images does.
    if options.database is None and not any(label.group for label in asked):
        may_match = _is_older(queries, options.min_gap)
    elif options.database is None:
        queries = database = _separate_drives(queries, asked)
    relevance = label_relevance(asked, known, options.nearness)
    may_match &= relevance != JUNK
    return Experiment(
        name=experiment_name(path, options),
        queries=queries,
        database=database,
        may_match=may_match,
        relevance=bar_where(relevance, ~may_match),
        distractors=read_distractors(options.distractors, extractor),
    )


def _separate_drives(items: Sequence[Item], labels: Sequence[Label]) -> list[Item]:
    """Make a drive of each group: what the folder holds before another group is no past of it."""
    return [
        dataclasses.replace(item, source=f'{item.source}/{label.group or item.name}')
        for item, label in zip(items, labels, strict=True)
    ]


def read_distractors(folders: Sequence[Path], extractor: OrbExtractor) -> list[Item]:
    """Read all images of the folders, one source each."""
    return [item for folder in folders for item in ImageFolder(folder).items(extractor)]


def _database(path: Path, extractor: OrbExtractor) -> list[Item]:
    return ImageFolder(path).items(extractor)


def _is_older(items: Sequence[Item], min_gap: int) -> NDArray[np.bool_]:
    """Return (N, N): whether query i may match j, at least ``min_gap`` before it."""
    index = np.arange(len(items))
    return np.asarray(index[None, :] <= index[:, None] - min_gap)


def _has_images(path: Path) -> bool:
    try:
        return bool(image_files(path))
    except InputError:
        return False
