"""The model card: what a run was trained on, how, how it went, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.figure_style import new_figure, png_bytes, set_title
from s3e_gnn_ros.evaluation.files import make_directory, write_atomic
from s3e_gnn_ros.training.curves import best_values, read_curves
from s3e_gnn_ros.training.run_folder import CONFIG_FILE

CARD_FILE = 'model_card.md'
FIGURE_FILE = 'curves.png'

_LIMITS = (
    'Trained on rendered worlds and single photographs; real parallax, moving people and seasons '
    'are not in the training data.',
    'The similarity is calibrated on the validation scenes; other cameras and places shift it.',
    'A similarity alone never closes a loop: geometric verification decides.',
    'Validation values are of the split named above, whose images are degraded as in training; '
    'they are no measure of other data.',
)

Points = Sequence[Mapping[str, Any]]


def write_model_card(folder: Path, out: Path, title: str) -> dict[str, str]:
    """Write card and curves of a run.

    Args:
        folder: of the run.
        out: folder for both files.
        title: heading.

    Returns:
        Paths of both.

    Raises:
        InputError: the folder holds no run, or the files cannot be written.
    """
    points = read_curves(folder)
    if not points or not (folder / CONFIG_FILE).is_file():
        raise InputError(f"'{folder}' holds no training run with curves")
    make_directory(out)
    config = (folder / CONFIG_FILE).read_text(encoding='utf-8')
    write_atomic(out / FIGURE_FILE, curves_figure(points))
    write_atomic(out / CARD_FILE, card_text(title, config, points, best_values(folder)))
    return {'card': str(out / CARD_FILE), 'figure': str(out / FIGURE_FILE)}


def card_text(
    title: str, config: str, points: Points, best: Mapping[str, Mapping[str, float]]
) -> str:
    """Return the card as Markdown."""
    lines = [f'# {title}', '', '## Training', '', *_training_table(points), '']
    lines += [f'![Loss and validation over the steps]({FIGURE_FILE})', '']
    lines += ['## Validation', '', 'Where the metric that chooses the weights was best:', '']
    lines += _validation_table(best)
    lines += ['', '## Configuration and data', '', '```yaml', config.rstrip(), '```', '']
    lines += ['## Limits', '', *(f'- {limit}' for limit in _LIMITS)]
    return '\n'.join(lines) + '\n'


def curves_figure(points: Points) -> bytes:
    """Return a PNG: one column per stage that has a gradient, loss above, validation below."""
    stages = list(dict.fromkeys(point['stage'] for point in points if 'loss' in point))
    stages = stages or list(dict.fromkeys(point['stage'] for point in points))
    figure, axes = new_figure(4.0 * len(stages), 5.0, 2, len(stages))
    for column, stage in enumerate(stages):
        upper, lower = axes[column], axes[len(stages) + column]
        own = [point for point in points if point['stage'] == stage]
        learned = [point for point in own if 'loss' in point]
        upper.plot([p['step'] for p in learned], [p['loss'] for p in learned])
        set_title(upper, f'{stage}: loss')
        measured = [point for point in own if 'loss' not in point]
        for name in _names(measured):
            shown = [p for p in measured if name in p]
            marker = 'o' if len(shown) == 1 else '-'
            lower.plot([p['step'] for p in shown], [p[name] for p in shown], marker, label=name)
        if measured:
            lower.legend(fontsize=7, frameon=False)
        set_title(lower, 'validation')
        lower.set_xlabel('step')
    return png_bytes(figure)


def _training_table(points: Points) -> list[str]:
    lines = ['| stage | steps | first loss | last loss |', '|---|---|---|---|']
    for stage in dict.fromkeys(point['stage'] for point in points):
        learned = [p for p in points if p['stage'] == stage and 'loss' in p]
        if learned:
            first, last = learned[0], learned[-1]
            lines.append(
                f'| {stage} | {last["step"]} | {first["loss"]:.3f} | {last["loss"]:.3f} |'
            )
        else:
            lines.append(f'| {stage} | no gradient | | |')
    return lines


def _validation_table(best: Mapping[str, Mapping[str, float]]) -> list[str]:
    names = _names(list(best.values()))
    lines = ['| stage | step | ' + ' | '.join(name.replace('_', ' ') for name in names) + ' |']
    lines.append('|---' * (len(names) + 2) + '|')
    for stage, values in best.items():
        cells = [f'{values[name]:.3f}' if name in values else '' for name in names]
        lines.append(f'| {stage} | {values["step"]} | ' + ' | '.join(cells) + ' |')
    return lines


def _names(points: Points) -> list[str]:
    found = dict.fromkeys(name for point in points for name in point)
    return [name for name in found if name not in ('stage', 'step')]
