"""Writes the folder of an evaluation: metrics, tables, matrices and figures."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from s3e_gnn_ros.evaluation import files
from s3e_gnn_ros.evaluation.figure_style import png_bytes
from s3e_gnn_ros.evaluation.overlap_figure import comparison_figure
from s3e_gnn_ros.evaluation.retrieval_figures import precision_recall_figure
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relocalisation import Relocalisation
from s3e_gnn_ros.evaluation.retrieval_report import markdown, outcome_values
from s3e_gnn_ros.evaluation.retrieval_run import Outcome, Row

DISTRACTOR_STAMP_NS = -1
"""Stands in ``database_stamp_ns`` for images of folders of distractors."""


def write_outcome(
    outcome: Outcome,
    directory: Path,
    relocalisation: Mapping[str, Relocalisation] | None = None,
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
    for row in outcome.rows:
        name = f'similarity_{_file_name(row)}.npz'
        files.write_atomic(directory / name, _matrix_bytes(outcome, row))
    _write_figures(outcome, directory)
    return values


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


def _write_figures(outcome: Outcome, directory: Path) -> None:
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
        figure = comparison_figure(true, row.similarity[:, : len(true)])
        files.write_atomic(directory / f'overlap_{row.method}.png', png_bytes(figure))


def _stamps(items: list[Item]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array([item.stamp_ns for item in items], dtype=np.int64)


def _file_name(row: Row) -> str:
    """Return ``<method>`` on the images as they are, else ``<method>_<variant>``."""
    plain = row.variant.name == 'plain'
    return row.method if plain else f'{row.method}_{row.variant.name}'
