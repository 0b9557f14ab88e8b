"""The figures of an evaluation as tables in Markdown, one per question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from s3e_gnn_ros.evaluation.retrieval_comparisons import (
    RETRIEVAL,
    VERIFIED,
    ArchitectureFigures,
    Comparison,
    Spread,
    against_baseline,
    architectures,
    over_weights,
    stages,
    with_and_without_gnn,
)
from s3e_gnn_ros.evaluation.retrieval_relocalisation import RelocalisationFigures
from s3e_gnn_ros.evaluation.retrieval_run import Outcome
from s3e_gnn_ros.evaluation.retrieval_scores import METRICS, Interval
from s3e_gnn_ros.evaluation.retrieval_yaw import MIN_OVERLAP, YawRow

_TITLES = {
    'average_precision': 'AP',
    'max_recall_at_full_precision': 'recall at 100 % precision',
    'recall_at_1': 'recall@1',
    'recall_at_5': 'recall@5',
}
_STAGES = {RETRIEVAL: 'Retrieval alone', VERIFIED: 'After verification of the best five'}


def markdown(
    outcome: Outcome, relocalisation: Mapping[str, RelocalisationFigures] | None = None
) -> str:
    """Write one table per question; each figure with its 95 % interval in brackets."""
    experiment = outcome.experiment
    parts = [
        f'# {experiment.name}\n\n{len(experiment.queries)} images asked about, '
        f'{len(experiment.database)} in the database, {len(experiment.distractors)} distractors; '
        '95 % intervals of a block bootstrap in brackets, differences on the same draws of '
        'queries.\n',
        *(_retrieval_table(outcome, stage) for stage in _STAGES),
        _comparison_table('S3E against bag of words', against_baseline(outcome)),
        _comparison_table('With and without GNN', with_and_without_gnn(outcome)),
        _architecture_table(architectures(outcome)),
        *_yaw_tables(outcome),
        _error_table(outcome),
        _timing_table(outcome),
        _relocalisation_table(relocalisation or {}),
    ]
    return '\n'.join(part for part in parts if part)


def _retrieval_table(outcome: Outcome, stage: str) -> str:
    spreads = [spread for spread in over_weights(outcome) if spread.stage == stage]
    body = []
    for variant in dict.fromkeys(row.variant.name for row in outcome.rows):
        for row in outcome.rows:
            sampled = dict(stages(row)).get(stage)
            if row.variant.name == variant and sampled is not None:
                count = f'{row.num_queries} ({row.num_with_positive})'
                body.append([variant, row.method, count, *_cells(sampled.intervals())])
        body += [_spread_line(spread) for spread in spreads if spread.variant == variant]
    head = ['variant', 'method', 'queries (with a match)', *_TITLES.values()]
    return _table(_STAGES[stage], head, body)


def _spread_line(spread: Spread) -> list[str]:
    title = f'{spread.architecture.label}: mean and spread over {spread.num_weights} weights'
    cells = [f'{_number(spread.mean[m])} ± {_number(spread.deviation[m])}' for m in METRICS]
    return [spread.variant, title, '', *cells]


def _comparison_table(title: str, comparisons: Sequence[Comparison]) -> str:
    body = []
    for each in comparisons:
        where = [each.variant, each.stage]
        body += [
            [*where, each.method, *_cells(each.mine.intervals())],
            [*where, each.against, *_cells(each.theirs.intervals())],
            [*where, 'difference', *_cells(each.mine.minus(each.theirs))],
        ]
    return _table(title, ['variant', 'stage', 'method', *_TITLES.values()], body)


def _architecture_table(figures: Sequence[ArchitectureFigures]) -> str:
    body = []
    for each in figures:
        encoder = each.architecture.encoder
        kind = [encoder.backbone, encoder.form, str(encoder.patch_size_px)]
        body.append(
            [each.variant, each.stage, *kind, each.method, *_cells(each.sampled.intervals())]
        )
    head = ['variant', 'stage', 'backbone', 'form', 'patch [px]', 'method', *_TITLES.values()]
    return _table('SparseConv against ViT, patch sizes', head, body)


def _yaw_tables(outcome: Outcome) -> list[str]:
    tables = []
    for variant, rows in outcome.yaw.items():
        title = f'Recall at 100 % precision by difference of heading, {variant}'
        tables.append(_yaw_table(title, rows, [row.recall for row in rows]))
        if any(row.recall_verified for row in rows):
            verified = [row.recall_verified for row in rows]
            tables.append(_yaw_table(f'{title}, after verification', rows, verified))
    return tables


def _yaw_table(title: str, rows: Sequence[YawRow], recalls: Sequence[Mapping[str, float]]) -> str:
    methods = list(rows[0].recall)
    body = [
        [
            f'{row.low_deg} to {row.high_deg}',
            str(row.num_with_positive),
            *(_number(recall.get(method, math.nan)) for method in methods),
        ]
        for row, recall in zip(rows, recalls, strict=True)
    ]
    match = f'queries with a match (overlap {MIN_OVERLAP:g} both ways)'
    return _table(title, ['deg', match, *methods], body)


def _error_table(outcome: Outcome) -> str:
    body = []
    for method, error in outcome.similarity_error.items():
        weights = outcome.weights.get(method)
        is_calibrated = weights is not None and weights.calibration is not None
        figures = (error.mean_absolute, error.maximum, error.correlation)
        calibrated = 'yes' if is_calibrated else 'no'
        body.append([method, calibrated, str(error.num_pairs), *map(_number, figures)])
    head = ['method', 'calibrated', 'pairs', 'mean absolute error', 'maximum', 'correlation']
    return _table('Similarity against the true overlap (IoU)', head, body)


def _timing_table(outcome: Outcome) -> str:
    body = [
        [method, f'{values["embedding"]:.1f}', f'{values["query"]:.2f}']
        for method, values in outcome.timing_ms.items()
    ]
    return _table(
        'Run time, medians, without ORB features', ['method', 'embedding [ms]', 'query [ms]'], body
    )


def _relocalisation_table(found: Mapping[str, RelocalisationFigures]) -> str:
    body = [
        [
            method,
            f'{each.num_located} of {each.num_queries}',
            f'{each.median_translation_m:.3f}',
            f'{each.median_rotation_deg:.2f}',
            _number(each.fine_rate),
            _number(each.coarse_rate),
            str(each.num_wrong),
        ]
        for method, each in found.items()
    ]
    head = [
        'method',
        'located',
        'median [m]',
        'median [deg]',
        'within 0.25 m and 5 deg',
        'within 0.5 m and 15 deg',
        'reported, but wrong',
    ]
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
