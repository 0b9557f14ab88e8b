"""The figures of an evaluation as plain values, and as tables in Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from s3e_gnn_ros.evaluation.retrieval_options import BASELINE
from s3e_gnn_ros.evaluation.retrieval_relocalisation import Relocalisation
from s3e_gnn_ros.evaluation.retrieval_run import Outcome, Row
from s3e_gnn_ros.evaluation.retrieval_scores import METRICS, Interval, Sampled

_TITLES = {
    'average_precision': 'AP',
    'max_recall_at_full_precision': 'recall at 100 % precision',
    'recall_at_1': 'recall@1',
    'recall_at_5': 'recall@5',
}


def outcome_values(
    outcome: Outcome, relocalisation: Mapping[str, Relocalisation] | None = None
) -> dict[str, Any]:
    """Return plain values for JSON; None where a figure is undefined."""
    experiment = outcome.experiment
    return {
        'recording': experiment.name,
        'num_database': len(experiment.database),
        'num_distractors': len(experiment.distractors),
        'retrieval': [_row_values(row, _baseline(outcome.rows, row)) for row in outcome.rows],
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


def markdown(outcome: Outcome, relocalisation: Mapping[str, Relocalisation] | None = None) -> str:
    """Write one table per question; each figure with its 95 % interval in brackets."""
    experiment = outcome.experiment
    parts = [
        f'# {experiment.name}\n\n{len(experiment.queries)} images asked about, '
        f'{len(experiment.database)} in the database, {len(experiment.distractors)} distractors; '
        '95 % intervals of a block bootstrap in brackets.\n',
        _retrieval_table(outcome.rows, verified=False),
    ]
    if any(row.after for row in outcome.rows):
        parts.append(_retrieval_table(outcome.rows, verified=True))
    parts += [_difference_table(outcome.rows), _yaw_tables(outcome), _error_table(outcome)]
    parts += [_timing_table(outcome), _relocalisation_table(relocalisation or {})]
    return '\n'.join(part for part in parts if part)


def _row_values(row: Row, baseline: Row | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        'variant': row.variant.name,
        'method': row.method,
        'num_queries': row.num_queries,
        'num_queries_with_positive': row.num_with_positive,
        'retrieval': _interval_values(row.before.intervals()),
    }
    if row.after is not None:
        values['verified'] = _interval_values(row.after.intervals())
    if baseline is not None:
        difference = {'retrieval': _interval_values(row.before.minus(baseline.before))}
        if row.after is not None and baseline.after is not None:
            difference['verified'] = _interval_values(row.after.minus(baseline.after))
        values[f'minus_{BASELINE}'] = difference
    return values


def _baseline(rows: Sequence[Row], row: Row) -> Row | None:
    """Return the row of the baseline on the same variant; None for the baseline itself."""
    if row.method == BASELINE:
        return None
    same = (r for r in rows if r.method == BASELINE and r.variant == row.variant)
    return next(same, None)


def _interval_values(intervals: Mapping[str, Interval]) -> dict[str, Any]:
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


def _retrieval_table(rows: Sequence[Row], *, verified: bool) -> str:
    title = 'After verification of the best five' if verified else 'Retrieval alone'
    head = ['variant', 'method', 'queries (with a match)', *_TITLES.values()]
    body = []
    for row in rows:
        sampled = row.after if verified else row.before
        if sampled is not None:
            count = f'{row.num_queries} ({row.num_with_positive})'
            body.append([row.variant.name, row.method, count, *_cells(sampled.intervals())])
    return _table(title, head, body)


def _difference_table(rows: Sequence[Row]) -> str:
    body = []
    for row in rows:
        other = _baseline(rows, row)
        if other is None:
            continue
        stages: list[tuple[str, Sampled | None, Sampled | None]] = [
            ('retrieval', row.before, other.before),
            ('verified', row.after, other.after),
        ]
        for stage, mine, theirs in stages:
            if mine is not None and theirs is not None:
                body.append([row.variant.name, row.method, stage, *_cells(mine.minus(theirs))])
    head = ['variant', 'method', 'stage', *_TITLES.values()]
    return _table(f'Difference to {BASELINE}, on the same draws of queries', head, body)


def _yaw_tables(outcome: Outcome) -> str:
    parts = []
    for variant, rows in outcome.yaw.items():
        methods = list(rows[0].recall)
        body = [
            [f'{row.low_deg} to {row.high_deg}', str(row.num_with_positive)]
            + [_number(row.recall[method]) for method in methods]
            for row in rows
        ]
        title = f'Recall at 100 % precision by difference of heading [deg], {variant}'
        parts.append(_table(title, ['deg', 'queries with a match', *methods], body))
    return '\n'.join(parts)


def _error_table(outcome: Outcome) -> str:
    body = [
        [
            method,
            str(error.num_pairs),
            *map(_number, (error.mean_absolute, error.maximum, error.correlation)),
        ]
        for method, error in outcome.similarity_error.items()
    ]
    head = ['method', 'pairs', 'mean absolute error', 'maximum', 'correlation']
    return _table('Similarity against the true overlap (IoU)', head, body)


def _timing_table(outcome: Outcome) -> str:
    body = [
        [method, f'{values["embedding"]:.1f}', f'{values["query"]:.2f}']
        for method, values in outcome.timing_ms.items()
    ]
    return _table(
        'Run time, medians, without ORB features', ['method', 'embedding [ms]', 'query [ms]'], body
    )


def _relocalisation_table(found: Mapping[str, Relocalisation]) -> str:
    body = [
        [
            method,
            f'{each.num_located} of {each.num_queries}',
            f'{each.median_translation_m:.3f}',
            f'{each.median_rotation_deg:.2f}',
            _number(each.success_rate),
        ]
        for method, each in found.items()
    ]
    head = ['method', 'located', 'median [m]', 'median [deg]', 'within 0.2 m and 10 deg']
    return _table('Relocalisation of the second half in the first', head, body)


def _cells(intervals: Mapping[str, Interval]) -> list[str]:
    return [
        f'{_number(i.value)} [{_number(i.low)}, {_number(i.high)}]'
        for i in (intervals[name] for name in METRICS)
    ]


def _number(value: float) -> str:
    return f'{value:.2f}' if math.isfinite(value) else '-'


def _table(title: str, head: Sequence[str], body: Sequence[Iterable[str]]) -> str:
    if not body:
        return ''
    lines = [head, ['---'] * len(head), *body]
    return f'## {title}\n\n' + ''.join(f'| {" | ".join(line)} |\n' for line in lines)
