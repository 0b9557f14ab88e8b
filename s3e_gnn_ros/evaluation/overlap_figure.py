"""Draws overlap matrices: the true one, and beside it the predicted one (paper Fig. 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation import figure_style as style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER_MAX_ERROR = 0.1
"""The paper's largest error; the scale of errors reaches at least as far."""

_OVERLAP_COLOURS = 'viridis'
_ERROR_COLOURS = 'magma_r'  # white-ish is no error


def overlap_figure(overlap: NDArray[np.floating], title: str) -> Figure:
    """Draw one matrix as a heatmap.

    Args:
        overlap: (N, N) in [0, 1]; NaN stays white.
        title: above it.

    Raises:
        InputError: it is no square matrix.
    """
    _check_square(overlap, 'overlap')
    figure, (axes,) = style.new_figure(6.4, 5.6)
    _panel(axes, overlap, title, 1.0, _OVERLAP_COLOURS, 'overlap (IoU)')
    axes.set_xlabel('target keyframe', color=style.INK)
    axes.set_ylabel('source keyframe', color=style.INK)
    return figure


def comparison_figure(
    true: NDArray[np.floating],
    predicted: NDArray[np.floating],
    query_name: str = 'query keyframe',
    reference_name: str = 'reference keyframe',
) -> Figure:
    """Draw the true similarity, the predicted one and their absolute difference side by side.

    The first two share one scale, so equal colours are equal values.

    Args:
        true: (M, N) overlap in [0, 1]; NaN where it is not known.
        predicted: (M, N) similarity in [0, 1].
        query_name: what the rows are.
        reference_name: what the columns are.

    Raises:
        InputError: the shapes differ.
    """
    if true.ndim != 2 or true.shape != predicted.shape:
        raise InputError(
            f'true similarity has shape {true.shape}, the predicted {predicted.shape}'
        )
    error = np.abs(predicted - true)
    known = error[np.isfinite(error)]
    largest = float(known.max()) if known.size else 0.0
    mean = float(known.mean()) if known.size else 0.0
    figure, axes = style.new_figure(15, 4.9, 1, 3)
    figure.set_layout_engine('constrained', wspace=0.06)  # a bar's label is no label of the next
    _panel(axes[0], true, 'True', 1.0, _OVERLAP_COLOURS, 'overlap (IoU)')
    _panel(axes[1], predicted, 'Predicted', 1.0, _OVERLAP_COLOURS, 'similarity')
    scale = max(PAPER_MAX_ERROR, largest)
    title = f'Error: mean {mean:.3f}, max {largest:.3f}'
    _panel(axes[2], error, title, scale, _ERROR_COLOURS, 'absolute error')
    axes[0].set_ylabel(query_name, color=style.INK)
    for each in axes:
        each.set_xlabel(reference_name, color=style.INK)
    return figure


def _panel(
    axes: Axes,
    values: NDArray[np.floating],
    title: str,
    largest: float,
    colours: str,
    label: str,
) -> None:
    from matplotlib.ticker import MaxNLocator

    style.set_title(axes, title)
    axes.grid(False)
    if values.size == 0:
        style.say_nothing_to_show(axes, 'no keyframes')
        return
    # Interpolation would invent overlap between one keyframe and the next.
    image = axes.imshow(values, vmin=0.0, vmax=largest, cmap=colours, interpolation='nearest')
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02)
    bar.set_label(label, color=style.INK)
    bar.ax.tick_params(colors=style.INK, labelsize=9, length=3)
    bar.outline.set_visible(False)


def _check_square(matrix: NDArray[np.floating], name: str) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(f'{name} has shape {matrix.shape} instead of a square one')
