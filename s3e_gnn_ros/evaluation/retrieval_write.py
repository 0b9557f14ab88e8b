"""Writes the folder of an evaluation: metrics, tables, matrices and figures."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.evaluation import files
from s3e_gnn_ros.evaluation.figure_style import png_bytes
from s3e_gnn_ros.evaluation.overlap_figure import comparison_figure
from s3e_gnn_ros.evaluation.retrieval_figures import precision_recall_figure
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relocalisation import RelocalisationFigures
from s3e_gnn_ros.evaluation.retrieval_report import outcome_values
from s3e_gnn_ros.evaluation.retrieval_run import Outcome, Row
from s3e_gnn_ros.evaluation.retrieval_tables import markdown

DISTRACTOR_STAMP_NS = -1
"""Stands in ``database_stamp_ns`` for images of folders of distractors."""

_MAX_NAME = 100  # a path of weights may be longer than a file name


def write_outcome(
    outcome: Outcome,
    directory: Path,
    relocalisation: Mapping[str, RelocalisationFigures] | None = None,
) -> dict[str, Any]:
    """Write metrics.json, tables.md, similarity_*.npz and the figures; returns the metrics.

    Raises:
        InputError: the folder cannot be written.
        DependencyError: matplotlib is not installed.
    """
    files.make_directory(directory)
    values = outcome_values(outcome, relocalisation)
    files.write_atomic(directory / 'metrics.json', json.dumps(values, indent=2) + '\n')
    files.write_atomic(directory / 'tables.md', markdown(outcome, relocalisation))
    names = file_names(row.method for row in outcome.rows)
    for row in outcome.rows:
        plain = row.variant.name == 'plain'
        name = names[row.method] if plain else f'{names[row.method]}_{row.variant.name}'
        files.write_atomic(directory / f'similarity_{name}.npz', _matrix_bytes(outcome, row))
    _write_figures(outcome, directory, names)
    return values


def file_names(methods: Iterable[str]) -> dict[str, str]:
    """Return a name of its own for each method, without what a file name must not hold."""
    names: dict[str, str] = {}
    for method in dict.fromkeys(methods):
        safe = re.sub(r'[^\w@+.-]+', '_', method.removesuffix('.safetensors'))[:_MAX_NAME]
        # Compared without case: on some file systems 'A' and 'a' are one file.
        taken = {name.lower() for name in names.values()}
        number, unique = 1, safe
        while unique.lower() in taken:
            number += 1
            unique = f'{safe}-{number}'
        names[method] = unique
    return names


def _matrix_bytes(outcome: Outcome, row: Row) -> bytes:
    """Pack what :func:`find_answers` needs, of the first seed, with stamps to find images by."""
    experiment = outcome.experiment
    num = row.similarity.shape[1] if row.variant.has_distractors else len(experiment.database)
    stamps = [item.stamp_ns for item in experiment.database]
    stamps += [DISTRACTOR_STAMP_NS] * len(experiment.distractors)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        similarity=row.similarity[:, :num],
        query_stamp_ns=_stamps(experiment.queries),
        database_stamp_ns=np.array(stamps[:num], dtype=np.int64),
        relevance=row.relevance[:, :num],
        query_name=np.array([item.name for item in experiment.queries]),
        database_name=np.array([item.name for item in experiment.everything[:num]]),
    )
    return buffer.getvalue()


def _write_figures(outcome: Outcome, directory: Path, names: Mapping[str, str]) -> None:
    name = outcome.experiment.name
    for variant in dict.fromkeys(row.variant.name for row in outcome.rows):
        rows = [row for row in outcome.rows if row.variant.name == variant]
        figure = precision_recall_figure(rows, f'{name}, {variant}')
        files.write_atomic(directory / f'precision_recall_{variant}.png', png_bytes(figure))
    truth = outcome.experiment.truth
    for row in outcome.rows:
        if truth is None or row.variant.degradations:
            continue
        # Only pairs that may match: the errors in the title are those of the tables.
        true = np.where(outcome.experiment.may_match, truth.iou, np.nan)
        figure = comparison_figure(true, _predicted(outcome, row)[:, : len(true)])
        files.write_atomic(directory / f'overlap_{names[row.method]}.png', png_bytes(figure))


def _predicted(outcome: Outcome, row: Row) -> NDArray[np.float32]:
    """Return the overlap that the similarity stands for, where the method has a calibration."""
    weights = outcome.weights.get(row.method)
    return row.similarity if weights is None else weights.overlap(row.similarity)


def _stamps(items: list[Item]) -> NDArray[np.int64]:
    return np.array([item.stamp_ns for item in items], dtype=np.int64)
