"""Draws the similarity matrix, what became of the queries, and the run time of each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.evaluation import figure_style as style
from s3e_gnn_ros.evaluation.metrics import Evaluation
from s3e_gnn_ros.evaluation.result import match_key, query_key

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_MATRIX_PX = 1000


def similarity_figure(evaluation: Evaluation) -> Figure | None:
    """Draw the similarity of every query to every older keyframe, with the closures on it.

    Returns:
        None when the run kept no matrix, or nothing in it was ever compared.
    """
    matrix = evaluation.result.similarity
    if matrix is None or not np.isfinite(matrix).any():
        return None
    figure, (axes,) = style.new_figure(8.2, 6.8)
    K = len(matrix)
    axes.grid(False)
    axes.set_facecolor('#f3f4f6')
    image = axes.imshow(
        shrink(matrix, MAX_MATRIX_PX),
        cmap='cividis',
        vmin=0,
        interpolation='nearest',
        extent=(-0.5, K - 0.5, K - 0.5, -0.5),
    )
    bar = figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02)
    bar.set_label('similarity', color=style.INK)
    bar.outline.set_visible(False)
    _mark_closures(axes, evaluation)
    axes.set_xlabel('older keyframe (match), counted from the start', color=style.INK)
    axes.set_ylabel('query', color=style.INK)
    return figure


def status_figure(evaluation: Evaluation) -> Figure:
    """Draw how many queries ended with each status."""
    counts = dict(evaluation.metrics['rejections'])
    accepted = len(evaluation.result.queries) - sum(counts.values())
    rows = [
        ('LOOP_DETECTED', accepted),
        *sorted(counts.items(), key=lambda item: -item[1]),
    ]
    figure, (axes,) = style.new_figure(8.5, 0.34 * len(rows) + 0.9)
    names, values = zip(*rows, strict=True)
    colours = [style.ACCEPTED, *[style.REFUSED] * len(counts)]
    axes.barh(names, values, color=colours, height=0.66)
    for row, value in enumerate(values):
        axes.annotate(
            str(value),
            (value, row),
            xytext=(4, 0),
            textcoords='offset points',
            va='center',
            fontsize=9,
            color=style.INK,
        )
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.grid(False, axis='y')
    axes.set_xlabel('queries', color=style.INK)
    return figure


def latency_figure(evaluation: Evaluation) -> Figure | None:
    """Draw median and 95th percentile of each stage's run time; None when none was measured."""
    stages = {
        name: values
        for name, values in evaluation.metrics['latency_ms'].items()
        if values['count']
    }
    if not stages:
        return None
    figure, (axes,) = style.new_figure(8.5, 0.42 * len(stages) + 1.3)
    medians = [values['p50'] for values in stages.values()]
    tails = [values['p95'] for values in stages.values()]
    rows = np.arange(len(stages))
    axes.barh(rows, medians, color=style.OPTIMISED, height=0.6, label='median')
    axes.hlines(rows, medians, tails, color=style.INK, lw=1.4)
    axes.plot(
        tails,
        rows,
        '|',
        color=style.INK,
        ms=10,
        mew=1.6,
        ls='',
        label='95th percentile',
    )
    for row, (median, tail) in enumerate(zip(medians, tails, strict=True)):
        axes.annotate(
            f'{median:.2f} / {tail:.2f} ms',
            (tail, row),
            xytext=(8, 0),
            textcoords='offset points',
            va='center',
            fontsize=9,
            color=style.INK,
        )
    axes.set_yticks(rows, list(stages))
    axes.invert_yaxis()
    axes.set_xlim(0, max(tails) * 1.3 or 1.0)
    axes.grid(False, axis='y')
    axes.set_xlabel('run time per keyframe [ms]', color=style.INK)
    figure.legend(frameon=False, fontsize=9, loc='outside upper right', ncols=2)
    return figure


def shrink(matrix: NDArray[np.float32], max_size: int) -> NDArray[np.float32]:
    """Reduce a (K, K) matrix to at most ``max_size`` rows by the maximum of each block.

    A maximum keeps single bright entries, which are the loops; blocks with only NaN stay NaN.
    """
    K = len(matrix)
    block = -(-K // max_size)
    if block <= 1:
        return matrix
    size = -(-K // block)
    padded = np.full((size * block, size * block), -np.inf, dtype=np.float32)
    padded[:K, :K] = np.where(np.isnan(matrix), -np.inf, matrix)
    out = padded.reshape(size, block, size, block).max(axis=(1, 3))
    return np.where(np.isneginf(out), np.nan, out).astype(np.float32)


def _mark_closures(axes: Axes, evaluation: Evaluation) -> None:
    index_of = evaluation.result.index_of
    for is_wrong, marker, colour in ((False, 'o', '#ffffff'), (True, 'X', style.WRONG)):
        places = [
            (index_of[match_key(closure)], index_of[query_key(closure)])
            for closure, check in zip(evaluation.result.closures, evaluation.checks, strict=True)
            if bool(check.is_wrong) == is_wrong
            and query_key(closure) in index_of
            and match_key(closure) in index_of
        ]
        if places:
            axes.plot(
                *np.array(places).T,
                marker,
                mfc='none' if marker == 'o' else colour,
                mec=style.ODOMETRY if marker == 'o' else colour,
                ms=6,
                mew=1.1,
                ls='',
                label='wrong closure' if is_wrong else 'accepted closure',
            )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, loc='upper right')
