"""The figures of an evaluation as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from s3e_gnn_ros.evaluation.retrieval_comparisons import (
    ArchitectureFigures,
    Comparison,
    Spread,
    against_baseline,
    architectures,
    over_weights,
    with_and_without_gnn,
)
from s3e_gnn_ros.evaluation.retrieval_relocalisation import RelocalisationFigures
from s3e_gnn_ros.evaluation.retrieval_run import Outcome, Row
from s3e_gnn_ros.evaluation.retrieval_scores import Interval
from s3e_gnn_ros.evaluation.retrieval_weights import Architecture, MethodWeights


def outcome_values(
    outcome: Outcome, relocalisation: Mapping[str, RelocalisationFigures] | None = None
) -> dict[str, Any]:
    """Return plain values; None where a figure is undefined, an empty list where a question is.

    The questions are in ``questions``, each a list of one entry per variant and stage.
    """
    experiment = outcome.experiment
    return {
        'recording': experiment.name,
        'num_database': len(experiment.database),
        'num_distractors': len(experiment.distractors),
        'weights': {name: _weights(weights) for name, weights in outcome.weights.items()},
        'retrieval': [_row(row) for row in outcome.rows],
        'questions': {
            's3e_against_bow': [_comparison(each) for each in against_baseline(outcome)],
            'with_and_without_gnn': [_comparison(each) for each in with_and_without_gnn(outcome)],
            'architectures': [_figures(each) for each in architectures(outcome)],
            'over_weights': [_spread(each) for each in over_weights(outcome)],
        },
        'recall_at_full_precision_by_yaw': {
            variant: [_finite(asdict(row)) for row in rows]
            for variant, rows in outcome.yaw.items()
        },
        'similarity_error': {
            method: _finite(asdict(error)) for method, error in outcome.similarity_error.items()
        },
        'timing_ms': {method: _finite(values) for method, values in outcome.timing_ms.items()},
        'relocalisation': {
            method: _finite(asdict(found)) for method, found in (relocalisation or {}).items()
        },
    }


def _row(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {
        'variant': row.variant.name,
        'method': row.method,
        'num_queries': row.num_queries,
        'num_queries_with_positive': row.num_with_positive,
        'retrieval': _intervals(row.before.intervals()),
    }
    if row.after is not None:
        values['verified'] = _intervals(row.after.intervals())
    return values


def _weights(weights: MethodWeights) -> dict[str, Any]:
    return {
        'weights': weights.name,
        'is_calibrated': weights.calibration is not None,
        **_architecture(weights.architecture),
    }


def _architecture(architecture: Architecture) -> dict[str, Any]:
    gnn = None if architecture.gnn is None else architecture.gnn.to_dict()
    return {'encoder': asdict(architecture.encoder), 'gnn': gnn}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        'variant': comparison.variant,
        'stage': comparison.stage,
        'method': comparison.method,
        'against': comparison.against,
        'value': _intervals(comparison.mine.intervals()),
        'value_against': _intervals(comparison.theirs.intervals()),
        'difference': _intervals(comparison.mine.minus(comparison.theirs)),
    }


def _figures(figures: ArchitectureFigures) -> dict[str, Any]:
    encoder = figures.architecture.encoder
    return {
        'variant': figures.variant,
        'stage': figures.stage,
        'method': figures.method,
        'backbone': encoder.backbone,
        'form': encoder.form,
        'patch_size_px': encoder.patch_size_px,
        'value': _intervals(figures.sampled.intervals()),
    }


def _spread(spread: Spread) -> dict[str, Any]:
    return {
        'variant': spread.variant,
        'stage': spread.stage,
        'architecture': spread.architecture.label,
        'num_weights': spread.num_weights,
        'mean': _finite(spread.mean),
        'deviation': _finite(spread.deviation),
    }


def _intervals(intervals: Mapping[str, Interval]) -> dict[str, Any]:
    return {name: _finite(asdict(interval)) for name, interval in intervals.items()}


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN."""
    return {
        name: _finite(value)
        if isinstance(value, Mapping)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in values.items()
    }
