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

    One ``similarity_METHOD[_VARIANT].npz`` for each method and variant (plain: without its name)
    holds what the variant's figures follow from by :func:`find_answers`, of the first seed where
    a degradation is drawn several times: ``similarity`` and ``relevance`` (Q, N), ``query_name``
    and ``query_stamp_ns`` (Q,), ``database_name`` and ``database_stamp_ns`` (N,). The N columns
    are all that was in the database: the distractors only where the variant has them.

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
    database = experiment.database_in(row.variant)
    stamps_ns = _stamps(database)
    stamps_ns[len(experiment.database) :] = DISTRACTOR_STAMP_NS
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        similarity=row.similarity,
        query_stamp_ns=_stamps(experiment.queries),
        database_stamp_ns=stamps_ns,
        relevance=row.relevance,
        query_name=np.array([item.name for item in experiment.queries]),
        database_name=np.array([item.name for item in database]),
    )
    return buffer.getvalue()


def _write_figures(outcome: Outcome, directory: Path, names: Mapping[str, str]) -> None:
    name = outcome.experiment.name
    for variant in dict.fromkeys(row.variant.name for row in outcome.rows):
        rows = [row for row in outcome.rows if row.variant.name == variant]
        figure = precision_recall_figure(rows, f'{name}, {variant}')
        files.write_atomic(directory / f'precision_recall_{variant}.png', png_bytes(figure))
    truth = outcome.experiment.truth
    if truth is None:
        return
    # Only pairs that may match, of the plain images: the errors in the title are the tables'.
    true = np.where(outcome.experiment.may_match, truth.iou, np.nan)
    for method, similarity in outcome.plain_similarity.items():
        weights = outcome.weights.get(method)
        predicted = similarity if weights is None else weights.overlap(similarity)
        figure = comparison_figure(true, predicted)
        files.write_atomic(directory / f'overlap_{names[method]}.png', png_bytes(figure))


def _stamps(items: list[Item]) -> NDArray[np.int64]:
    return np.array([item.stamp_ns for item in items], dtype=np.int64)
