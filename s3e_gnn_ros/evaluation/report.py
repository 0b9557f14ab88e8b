"""One self-contained HTML page about a run: it opens anywhere, and loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

from s3e_gnn_ros.config_file import dump_config
from s3e_gnn_ros.evaluation import report_page as html
from s3e_gnn_ros.evaluation.metrics import Evaluation
from s3e_gnn_ros.evaluation.summary import ate_text, closures_text

MAX_TABLE_ROWS = 1000


@dataclass(frozen=True, eq=False)
class ReportImages:
    """Pictures of the page.

    Attributes:
        figures: PNG files by name; those that a run cannot have are missing.
        pairs: JPEG files by index of the closure.
    """

    figures: Mapping[str, bytes]
    pairs: Mapping[int, bytes]


def report_html(evaluation: Evaluation, images: ReportImages) -> str:
    """Write the page."""
    sections = (
        _head(evaluation),
        _tiles(evaluation.metrics),
        _notes(evaluation.metrics),
        _trajectory(evaluation, images),
        _closures(evaluation, images),
        _queries(evaluation, images),
        _latency(evaluation.metrics, images),
        _numbers(evaluation),
    )
    return html.page(f'Loop closure report: {evaluation.result.name}', sections)


def _head(evaluation: Evaluation) -> str:
    m = evaluation.metrics
    text = (
        f'{m["num_frames"]} frames over {m["recording_s"]:.1f} s and {m["path_length_m"]:.1f} m, '
        f'{m["num_keyframes"]} keyframes, s3e-gnn {m["versions"]["s3e_gnn_ros"]}'
    )
    return (
        f'<h1>Loop closure on {escape(evaluation.result.name)}</h1>'
        f'<p class="lead">{escape(text)}</p>'
    )


def _tiles(m: Mapping[str, Any]) -> str:
    wrong = m['num_wrong_closures']
    tiles = [
        html.tile(_text(m['ate_rmse_m_odometry'], '.3f', ' m'), 'ATE RMSE, odometry'),
        html.tile(
            _text(m['ate_rmse_m_optimised'], '.3f', ' m'),
            'ATE RMSE, after loop closure',
        ),
        html.tile(
            _text(m['ate_ratio'], '.2f'),
            'after / before',
            '' if m['ate_ratio'] is None else 'good' if m['ate_ratio'] < 1 else 'bad',
        ),
        html.tile(str(m['num_closures']), f'closures in {m["num_queries"]} queries'),
        html.tile(
            _text(wrong, 'd'),
            'wrong closures',
            '' if wrong is None else 'bad' if wrong else 'good',
        ),
    ]
    if m['real_time_factor'] is not None:
        tiles.append(html.tile(f'{m["real_time_factor"]:.1f} x', 'real time'))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _notes(m: Mapping[str, Any]) -> str:
    notes = ''.join(f'<li>{escape(note)}</li>' for note in m['notes'])
    rows = [(name, str(count)) for name, count in sorted(m['drops'].items())]
    return html.section(
        'Notes',
        '',
        f'<ul>{notes}</ul>' if notes else '',
        html.table(('left out, because of', 'count'), rows) if rows else '',
    )


def _trajectory(evaluation: Evaluation, images: ReportImages) -> str:
    has_truth = evaluation.result.ground_truth is not None
    hint = (
        'Seen along the axis of least motion. A line joins each query with its match: what it '
        'spans beyond their true distance is drift. '
    )
    if has_truth:
        hint += 'Both are aligned to the ground truth (rotation and translation, no scale).'
    return html.section(
        f'Trajectory: ATE {ate_text(evaluation)}' if has_truth else 'Trajectory',
        hint,
        html.picture(images.figures.get('trajectory'), 'image/png', 'trajectory before and after'),
        html.picture(images.figures.get('error'), 'image/png', 'position error over time'),
    )


def _closures(evaluation: Evaluation, images: ReportImages) -> str:
    closures = evaluation.result.closures
    if not closures:
        return html.section('Closures', '', '<p>No loop was closed.</p>')
    head = (
        'query',
        'match',
        'inliers',
        'inlier ratio',
        'similarity',
        'error [m]',
        'error [deg]',
        'view angle [deg]',
        'travel',
    )
    rows = [_closure_row(evaluation, i) for i in range(min(len(closures), MAX_TABLE_ROWS))]
    marks = ['wrong' if check.is_wrong else '' for check in evaluation.checks]
    title = f'All {len(closures)} closures'
    if len(closures) > MAX_TABLE_ROWS:
        title = f'The first {MAX_TABLE_ROWS} of {len(closures)} closures (all: closures.csv)'
    return html.section(
        'Closures',
        _closures_hint(evaluation, images),
        f'<div class="pairs">{"".join(_pair(evaluation, images, i) for i in images.pairs)}</div>',
        html.folded(title, html.table(head, rows, 0, marks)),
    )


def _closures_hint(evaluation: Evaluation, images: ReportImages) -> str:
    hint = closures_text(evaluation.metrics) + '.'
    if images.pairs:
        hint += f' Query left, match right; {len(images.pairs)} shown'
        if evaluation.result.inliers:
            hint += ', with feature matches that agree with the pose'
        hint += '.'
    return hint[0].upper() + hint[1:]


def _closure_row(evaluation: Evaluation, index: int) -> tuple[str, ...]:
    closure, check = evaluation.result.closures[index], evaluation.checks[index]
    return (
        str(closure.query_id),
        str(closure.match_id),
        str(closure.num_inliers),
        f'{closure.inlier_ratio:.2f}',
        f'{closure.similarity:.3f}',
        _text(check.translation_error_m, '.3f'),
        _text(check.rotation_error_deg, '.2f'),
        f'{check.view_angle_deg:.0f}',
        check.travel,
    )


def _pair(evaluation: Evaluation, images: ReportImages, index: int) -> str:
    closure, check = evaluation.result.closures[index], evaluation.checks[index]
    verdict = ''
    if check.translation_error_m is not None and check.rotation_error_deg is not None:
        verdict = (
            f', off by {check.translation_error_m * 100:.1f} cm '
            f'and {check.rotation_error_deg:.1f} deg'
        )
    seconds = (closure.query_stamp_ns - closure.match_stamp_ns) / 1e9
    names = f'{closure.query_id} and {closure.match_id}'
    image = html.picture(images.pairs[index], 'image/jpeg', f'keyframes {names}')
    return (
        f'<figure class="{"wrong" if check.is_wrong else ""}">{image}<figcaption>'
        f'<b>{"wrong: " if check.is_wrong else ""}{names}</b>, {seconds:.1f} s apart, '
        f'{closure.num_inliers} inliers ({closure.inlier_ratio:.0%}){verdict}'
        f'</figcaption></figure>'
    )


def _queries(evaluation: Evaluation, images: ReportImages) -> str:
    return html.section(
        'Queries',
        'What became of each keyframe that searched for a loop, and how similar it was to every '
        'older keyframe. Blank: not compared.',
        html.picture(images.figures.get('queries'), 'image/png', 'queries by status'),
        html.picture(images.figures.get('similarity'), 'image/png', 'similarity matrix'),
    )


def _latency(m: Mapping[str, Any], images: ReportImages) -> str:
    names = ('p50', 'p95', 'mean', 'max')
    rows = [
        (stage, *(_text(values[name], '.2f') for name in names), str(values['count']))
        for stage, values in m['latency_ms'].items()
    ]
    if not rows:
        return ''
    head = ('stage', 'median [ms]', 'p95 [ms]', 'mean [ms]', 'max [ms]', 'times run')
    return html.section(
        'Run time per stage',
        '',
        html.picture(images.figures.get('latency'), 'image/png', 'run time per stage'),
        html.table(head, rows),
    )


def _numbers(evaluation: Evaluation) -> str:
    m = evaluation.metrics
    versions = ', '.join(f'{name} {number}' for name, number in m['versions'].items())
    config = f'<pre>{escape(dump_config(evaluation.result.config))}</pre>'
    return html.section(
        'Numbers',
        'All of them are in metrics.json.',
        html.table(('', 'odometry', 'after loop closure'), _error_rows(m)),
        _check_hint(m),
        f'<p class="hint">{escape(versions)}</p>',
        html.folded('Configuration', config),
    )


def _error_rows(m: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = []
    for name in ('rmse', 'mean', 'median', 'max'):
        values = (m['ate'][which].get(f'{name}_m') for which in ('odometry', 'optimised'))
        rows.append((f'ATE, {name} [m]', *(_text(value, '.4f') for value in values)))
    delta = f'per {m["rpe"]["delta_m"]:g} m'
    for key, name in (
        ('translation_rmse_m', f'RPE {delta}, translation RMSE [m]'),
        ('rotation_rmse_deg', f'RPE {delta}, rotation RMSE [deg]'),
    ):
        values = (m['rpe'].get(which, {}).get(key) for which in ('odometry', 'optimised'))
        rows.append((name, *(_text(value, '.4f') for value in values)))
    return [(row[0], row[1], row[2]) for row in rows]


def _check_hint(m: Mapping[str, Any]) -> str:
    if m['ate_rmse_m_optimised'] is None:
        return ''
    return (
        '<p class="hint">Check with evo, in this folder: '
        '<code>evo_ape tum groundtruth.tum trajectory_optimised.tum -a</code></p>'
    )


def _text(value: float | None, form: str, unit: str = '') -> str:
    return 'unknown' if value is None else f'{value:{form}}{unit}'
