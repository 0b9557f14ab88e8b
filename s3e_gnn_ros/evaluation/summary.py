"""The few lines about a run that a terminal shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from s3e_gnn_ros.evaluation.metrics import Evaluation


def summary(evaluation: Evaluation, directory: Path | None = None) -> str:
    """Say in a few lines what the run bought, and where its report lies.

    Args:
        evaluation: the run.
        directory: where :func:`~s3e_gnn_ros.evaluation.write.write_result` wrote it.
    """
    m = evaluation.metrics
    lines = [
        f'{m["recording"]}: {m["num_frames"]} frames, {m["num_keyframes"]} keyframes, '
        f'{m["path_length_m"]:.1f} m, {m["recording_s"]:.1f} s{_speed_text(m)}',
        f'ATE       {ate_text(evaluation)}',
        f'closures  {closures_text(m)}',
        f'rejected  {rejections_text(m)}',
    ]
    if m['drops']:
        lines.append('dropped   ' + _counts_text(m['drops']))
    lines += [f'note      {note}' for note in m['notes']]
    if directory is not None:
        lines.append(f'report    {directory / "report.html"}')
    return '\n'.join(lines)


def ate_text(evaluation: Evaluation) -> str:
    """Say the ATE before and after, or why it is unknown."""
    m = evaluation.metrics
    before, after = m['ate_rmse_m_odometry'], m['ate_rmse_m_optimised']
    if before is None or after is None:
        both = (evaluation.ate_odometry, evaluation.ate_optimised)
        return 'unknown: ' + next(error for error in both if isinstance(error, str))
    ratio = '' if m['ate_ratio'] is None else f' (x {m["ate_ratio"]:.2f})'
    return f'{before:.3f} m -> {after:.3f} m{ratio}'


def closures_text(m: dict[str, Any]) -> str:
    """Say how many closures there are, how many are wrong, and from which directions."""
    if m['num_closures'] == 0:
        return f'0 of {m["num_queries"]} queries{_taken_out_text(m)}'
    if m['num_wrong_closures'] is None:
        verdict = 'correctness unknown without ground truth'
    else:
        tolerance = m['tolerance']
        verdict = (
            f'{m["num_wrong_closures"]} wrong by more than {tolerance["max_wrong_m"]:g} m '
            f'or {tolerance["max_wrong_deg"]:g} deg'
        )
        if m['num_unchecked_closures']:
            verdict += f', {m["num_unchecked_closures"]} outside the ground truth'
    return (
        f'{m["num_closures"]} of {m["num_queries"]} queries, {verdict}; '
        f'{m["num_closures_same_direction"]} in the same direction of travel, '
        f'{m["num_closures_opposite_direction"]} in the opposite{_taken_out_text(m)}'
    )


def rejections_text(m: dict[str, Any]) -> str:
    """List the reasons of rejection, the most frequent first."""
    return _counts_text(m['rejections']) if m['rejections'] else 'none'


def _taken_out_text(m: dict[str, Any]) -> str:
    num, num_right = m['num_rejected_closures'], m['num_rejected_right_closures']
    if num == 0:
        return ''
    verdict = '' if num_right is None else f', {num_right} of them right'
    return f'; {num} more taken out by the back end{verdict}'


def _counts_text(counts: dict[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ', '.join(f'{name} {count}' for name, count in ordered)


def _speed_text(m: dict[str, Any]) -> str:
    return '' if m['real_time_factor'] is None else f', {m["real_time_factor"]:.1f} x real time'
