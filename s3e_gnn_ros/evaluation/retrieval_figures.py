"""Precision-recall curves of an evaluation of retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from s3e_gnn_ros.evaluation.figure_style import (
    INK,
    ODOMETRY,
    OPTIMISED,
    REFUSED,
    WRONG,
    new_figure,
    say_nothing_to_show,
    set_title,
)
from s3e_gnn_ros.evaluation.ranking import PrecisionRecall
from s3e_gnn_ros.evaluation.retrieval_run import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (OPTIMISED, ODOMETRY, '#009e73', WRONG, '#56b4e9', '#e69f00', REFUSED, INK)


def precision_recall_figure(rows: Sequence[Row], title: str) -> Figure:
    """Draw the curve of each method on one variant; dashed after verification."""
    figure, (axes,) = new_figure(6.4, 4.8)
    set_title(axes, title)
    for number, row in enumerate(rows):
        colour = _COLOURS[number % len(_COLOURS)]
        _draw_curve(axes, row.curve, colour, '-', row.method)
        if row.curve_after is not None:
            _draw_curve(axes, row.curve_after, colour, '--', f'{row.method}, verified')
    axes.set_xlabel('recall')
    axes.set_ylabel('precision')
    axes.set_xlim(0, 1.02)
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=9, loc='lower left')
    return figure


def _draw_curve(axes: Axes, curve: PrecisionRecall, colour: str, style: str, label: str) -> None:
    if len(curve.recall) == 0 or np.isnan(curve.recall).any():
        say_nothing_to_show(axes, 'no query has a match')
        return
    # The curve begins at the precision of its most similar answer.
    recall = np.concatenate([[0.0], curve.recall])
    precision = np.concatenate([curve.precision[:1], curve.precision])
    axes.plot(recall, precision, style, color=colour, label=label, linewidth=1.6)
