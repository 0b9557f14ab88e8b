"""Draws the trajectory before and after the closures, and its error over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.evaluation import figure_style as style
from s3e_gnn_ros.evaluation.metrics import Evaluation
from s3e_gnn_ros.evaluation.trajectory_error import AbsoluteError
from s3e_gnn_ros.geometry.trajectory import Trajectory

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_Points = NDArray[np.float64]


def trajectory_figure(evaluation: Evaluation) -> Figure:
    """Draw odometry and optimised trajectory side by side on the truth, with the closures.

    The view is along the axis in which the recording moved least. With a ground truth both are
    aligned to it, as for the ATE.
    """
    odometry = _positions(evaluation.result.odometry, evaluation.ate_odometry)
    optimised = _positions(evaluation.optimised, evaluation.ate_optimised)
    truth = evaluation.result.ground_truth
    true_points = (
        None
        if truth is None or isinstance(evaluation.ate_optimised, str)
        else (truth.poses[:, :3, 3])
    )
    shown = [p for p in (odometry, optimised, true_points) if p is not None and len(p)]
    if not shown:
        figure, axes = style.new_figure(8, 3)
        style.say_nothing_to_show(axes[0], 'no frame has odometry')
        return figure
    u, v = _widest_axes(optimised if true_points is None else true_points)
    low, high = _limits(np.concatenate(shown)[:, [u, v]])
    figure, axes = _two_panels(high - low)
    _panel(axes[0], evaluation, odometry[:, [u, v]], 'Odometry', style.ODOMETRY)
    _panel(axes[1], evaluation, optimised[:, [u, v]], 'After loop closure', style.OPTIMISED)
    for each in axes:
        if true_points is not None:
            # A broad band: it shows on both sides of an estimate that lies right on it.
            points = true_points[:, [u, v]].T
            each.plot(*points, color=style.TRUTH, lw=5.5, zorder=2, label='ground truth')
        each.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
        each.set_aspect('equal', adjustable='box')
        each.set_xlabel(f'{"xyz"[u]} [m]', color=style.INK)
        each.set_ylabel(f'{"xyz"[v]} [m]', color=style.INK)
    _legend(figure, axes)
    return figure


def error_figure(evaluation: Evaluation) -> Figure | None:
    """Draw the distance to the truth over time, before and after; None without a truth."""
    before, after = evaluation.ate_odometry, evaluation.ate_optimised
    if isinstance(before, str) or isinstance(after, str):
        return None
    figure, (axes,) = style.new_figure(11, 3.2)
    start = int(min(before.stamps_ns[0], after.stamps_ns[0]))
    drawn = (
        (before, style.ODOMETRY, 'odometry'),
        (after, style.OPTIMISED, 'after loop closure'),
    )
    for error, colour, name in drawn:
        seconds = (error.stamps_ns - start) / 1e9
        label = f'{name}: RMSE {error.rmse_m:.3f} m'
        axes.plot(seconds, error.errors_m, color=colour, lw=1.6, label=label)
    for stamp in {closure.query_stamp_ns for closure in evaluation.result.closures}:
        axes.axvline((stamp - start) / 1e9, ymax=0.03, color=style.ACCEPTED, lw=1)
    axes.plot([], [], color=style.ACCEPTED, lw=1, marker='|', ls='', label='closure')
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    axes.set_xlabel('time [s]', color=style.INK)
    axes.set_ylabel('position error [m]', color=style.INK)
    axes.legend(frameon=False, fontsize=9, loc='upper left', ncols=3)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.15)
    return figure


def _positions(path: Trajectory, error: AbsoluteError | str) -> _Points:
    """Return (N, 3) positions, in the frame of the truth where the alignment is known."""
    points = path.poses[:, :3, 3]
    if isinstance(error, str):
        return points
    T = error.T_truth_estimate
    return np.asarray(points @ T[:3, :3].T + T[:3, 3])


def _widest_axes(points: _Points) -> tuple[int, int]:
    narrowest = int(np.argmin(np.ptp(points, axis=0)))
    u, v = (axis for axis in range(3) if axis != narrowest)
    return u, v


def _limits(points: _Points) -> tuple[_Points, _Points]:
    low, high = points.min(axis=0), points.max(axis=0)
    # A straight drive still gets a panel that can be read.
    half = np.maximum((high - low) / 2, 0.2 * max((high - low).max() / 2, 0.5)) * 1.08
    middle = (low + high) / 2
    return middle - half, middle + half


def _two_panels(size: _Points) -> tuple[Figure, list[Axes]]:
    """Place the panels side by side, or one above the other when the recording is wide."""
    ratio = float(size[1] / size[0])
    if ratio < 0.45:
        return style.new_figure(11, 2 * (10 * ratio + 0.9) + 0.4, 2, 1)
    return style.new_figure(11, min(4.9 * ratio, 8.0) + 1.1, 1, 2)


def _panel(axes: Axes, evaluation: Evaluation, points: _Points, name: str, colour: str) -> None:
    error = evaluation.ate_odometry if colour == style.ODOMETRY else evaluation.ate_optimised
    title = name if isinstance(error, str) else f'{name}: ATE {error.rmse_m:.3f} m'
    style.set_title(axes, title)
    label = 'odometry' if colour == style.ODOMETRY else 'optimised'
    axes.plot(*points.T, color=colour, lw=1.8, zorder=3, label=label, solid_capstyle='round')
    axes.plot(*points[0], 'o', color=style.INK, ms=5, zorder=6, label='start')
    _draw_closures(axes, evaluation, points)


def _draw_closures(axes: Axes, evaluation: Evaluation, points: _Points) -> None:
    """Draw a line from each query to its match: long ones show how far they had drifted apart."""
    from matplotlib.collections import LineCollection

    result = evaluation.result
    stamps = result.odometry.stamps_ns
    for is_wrong in (False, True):
        ends = [
            (closure.query_stamp_ns, closure.match_stamp_ns)
            for closure, check in zip(result.closures, evaluation.checks, strict=True)
            if bool(check.is_wrong) == is_wrong
        ]
        if not ends:
            continue
        rows = np.clip(np.searchsorted(stamps, np.array(ends)), 0, len(stamps) - 1)  # (C, 2)
        segments = points[rows]  # (C, 2, 2)
        colour = style.WRONG if is_wrong else style.ACCEPTED
        lines = LineCollection(
            list(segments),
            colors=colour,
            linewidths=1.6 if is_wrong else 0.8,
            zorder=5,
            linestyles='dashed' if is_wrong else 'solid',
            alpha=0.9 if is_wrong else 0.6,
        )
        axes.add_collection(lines)
        kind = 'wrong closure' if is_wrong else 'closure'
        label = f'{len(ends)} {kind}{"s" if len(ends) != 1 else ""}'
        axes.plot(
            *segments.reshape(-1, 2).T,
            'x' if is_wrong else '.',
            ms=6 if is_wrong else 4,
            color=colour,
            ls='',
            zorder=5,
            label=label,
        )


def _legend(figure: Figure, axes: list[Axes]) -> None:
    entries = {}
    for each in axes:
        entries.update(dict(zip(*each.get_legend_handles_labels()[::-1], strict=True)))
    figure.legend(
        entries.values(),
        entries.keys(),
        loc='outside lower center',
        ncols=6,
        frameon=False,
        fontsize=9,
    )
