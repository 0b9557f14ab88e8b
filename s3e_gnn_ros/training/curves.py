"""The record of a run: a file of JSON lines, and TensorBoard when it is installed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.files import make_directory, write_atomic
from s3e_gnn_ros.plain_data import parse_json, read_text

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVES_FILE = 'curves.jsonl'


class Curves:
    """Writes one line per point: stage, step, and named numbers.

    Args:
        folder: of the run.
        is_active: False writes nothing (all processes but the first).
    """

    def __init__(self, folder: Path, *, is_active: bool = True) -> None:
        self._path = folder / CURVES_FILE
        self._is_active = is_active
        self._board = _summary_writer(folder / 'tensorboard') if is_active else None

    @property
    def has_tensorboard(self) -> bool:
        """Whether TensorBoard is installed, and so written to."""
        return self._board is not None

    def add(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Write one point."""
        if not self._is_active:
            return
        line = json.dumps({'stage': stage, 'step': step, **values})
        try:
            with self._path.open('a', encoding='utf-8') as file:
                file.write(line + '\n')
        except OSError as err:
            raise InputError(f"cannot write '{self._path}': {err.strerror}") from err
        if self._board is not None:
            for name, number in values.items():
                self._board.add_scalar(f'{stage}/{name}', number, step)

    def cut(self, stages_done: list[str], stage: str, step: int) -> None:
        """Forget what a resumed run will do again: all after a step of a stage."""
        if not self._is_active or not self._path.is_file():
            return
        kept = [
            json.dumps(point)
            for point in read_curves(self._path.parent)
            if point['stage'] in stages_done or (point['stage'] == stage and point['step'] <= step)
        ]
        write_atomic(self._path, ''.join(line + '\n' for line in kept))

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        if self._board is not None:
            self._board.close()


def read_curves(folder: Path) -> list[dict[str, Any]]:
    """Read all points of a run; none when there is no such file.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / CURVES_FILE
    if not path.is_file():
        return []
    try:
        return [parse_json(line) for line in read_text(path).splitlines()]
    except (OSError, ValueError) as err:
        raise InputError(f"cannot read '{path}': {err}") from err


def best_values(folder: Path) -> dict[str, dict[str, float]]:
    """Return the validation values of each stage where its metric was best.

    The metric is 'average_precision' where there is one, else 'match_accuracy'.
    """
    best: dict[str, dict[str, float]] = {}
    for point in read_curves(folder):
        if 'loss' in point:  # a point of training
            continue
        stage = point.pop('stage')
        if stage not in best or _metric(point) > _metric(best[stage]):
            best[stage] = point
    return best


def _metric(values: Mapping[str, float]) -> float:
    return values.get('average_precision', values.get('match_accuracy', 0.0))


def _summary_writer(folder: Path) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # the extra 'training' is not installed
        return None
    make_directory(folder)
    return SummaryWriter(str(folder))
