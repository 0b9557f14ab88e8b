"""One look for all figures: colours that colour-blind readers can tell apart, few lines, units."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette.
TRUTH = '#c3c9d0'
REFUSED = '#8a8a8a'
ODOMETRY = '#d55e00'
OPTIMISED = '#0072b2'
ACCEPTED = '#009e73'
WRONG = '#cc3f9a'
INK = '#24292f'
DPI = 130


def new_figure(
    width_in: float, height_in: float, num_rows: int = 1, num_columns: int = 1
) -> tuple[Figure, list[Axes]]:
    """Create a figure without pyplot, whose global state would not survive threads."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout='constrained', facecolor='white')
    axes = figure.subplots(num_rows, num_columns, squeeze=False).ravel().tolist()
    for each in axes:
        _style(each)
    return figure, axes


def png_bytes(figure: Figure) -> bytes:
    """Render a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    # Without the software's version in it, the same run gives the same file.
    figure.savefig(buffer, format='png', dpi=DPI, metadata={'Software': None})
    return buffer.getvalue()


def set_title(axes: Axes, text: str) -> None:
    """Write a title at the left, where reading starts."""
    axes.set_title(text, loc='left', fontsize=11, color=INK, fontweight='bold')


def say_nothing_to_show(axes: Axes, text: str) -> None:
    """Write a sentence in place of an empty plot."""
    axes.text(
        0.5,
        0.5,
        text,
        transform=axes.transAxes,
        ha='center',
        va='center',
        color='#57606a',
    )
    axes.set_xticks([])
    axes.set_yticks([])


def _style(axes: Axes) -> None:
    axes.grid(True, color='#eceff2', linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, length=3)
    for side in ('top', 'right'):
        axes.spines[side].set_visible(False)
    for side in ('left', 'bottom'):
        axes.spines[side].set_color('#aeb4bb')
