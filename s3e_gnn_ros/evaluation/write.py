"""Writes a run's folder: trajectories, tables, metrics, figures and the report."""

from __future__ import annotations

from pathlib import Path

from s3e_gnn_ros.config_file import dump_config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation import files
from s3e_gnn_ros.evaluation.closure_error import Tolerance
from s3e_gnn_ros.evaluation.figure_style import png_bytes
from s3e_gnn_ros.evaluation.metrics import Evaluation, evaluate
from s3e_gnn_ros.evaluation.pair_images import choose_pairs, draw_pair, encode
from s3e_gnn_ros.evaluation.report import ReportImages, report_html
from s3e_gnn_ros.evaluation.result import ReplayResult
from s3e_gnn_ros.evaluation.run_figures import (
    latency_figure,
    similarity_figure,
    status_figure,
)
from s3e_gnn_ros.evaluation.trajectory_figures import error_figure, trajectory_figure

MAX_PAIRS = 48


def write_result(
    result: ReplayResult, directory: Path, tolerance: Tolerance | None = None
) -> Evaluation:
    """Measure a run and write its folder; what other programs read comes first.

    Each file replaces its predecessor only when it is complete. Files of an earlier run that this
    one does not have (a ground truth, pictures of closures) are removed, so that the folder never
    mixes two runs.

    Args:
        result: the run.
        directory: created when missing.
        tolerance: from where on a closure is called wrong.

    Raises:
        InputError: the folder cannot be written.
        DependencyError: evo or matplotlib is not installed.
    """
    files.make_directory(directory)
    evaluation = evaluate(result, tolerance)
    _write_data(evaluation, directory)
    write_report(evaluation, directory)
    return evaluation


def write_report(evaluation: Evaluation, directory: Path) -> None:
    """Write figures/ and report.html.

    Raises:
        InputError: the folder cannot be written.
    """
    figures = directory / 'figures'
    files.make_directory(figures)
    drawn = {
        'trajectory': trajectory_figure(evaluation),
        'error': error_figure(evaluation),
        'similarity': similarity_figure(evaluation),
        'queries': status_figure(evaluation),
        'latency': latency_figure(evaluation),
    }
    images = {name: png_bytes(figure) for name, figure in drawn.items() if figure is not None}
    chosen = choose_pairs(evaluation.result, evaluation.checks, MAX_PAIRS)
    pairs = {index: draw_pair(evaluation.result, index) for index in chosen}
    contents = {f'{name}.png': data for name, data in images.items()}
    contents |= {f'closure_{index:04d}.png': encode(pairs[index], '.png') for index in chosen}
    for name, data in contents.items():
        files.write_atomic(figures / name, data)
    jpegs = {index: encode(image, '.jpg') for index, image in pairs.items()}
    page = report_html(evaluation, ReportImages(images, jpegs))
    files.write_atomic(directory / 'report.html', page)
    stale = {'error.png', 'similarity.png', 'latency.png'}
    stale |= {path.name for path in figures.glob('closure_[0-9]*.png')}
    _remove(figures, stale - contents.keys())


def _write_data(evaluation: Evaluation, directory: Path) -> None:
    result = evaluation.result
    contents = {
        'trajectory_odometry.tum': files.tum_text(result.odometry),
        'trajectory_optimised.tum': files.tum_text(evaluation.optimised),
        'closures.csv': files.closures_csv(result.closures, evaluation.checks),
        'queries.csv': files.queries_csv(result.queries),
        'pose_graph.g2o': result.g2o,
        'config.yaml': dump_config(result.config),
        'metrics.json': files.json_text(evaluation.metrics),
    }
    if result.ground_truth is not None:
        contents['groundtruth.tum'] = files.tum_text(result.ground_truth)
    for name, content in contents.items():
        files.write_atomic(directory / name, content)
    _remove(directory, {'groundtruth.tum'} - contents.keys())


def _remove(directory: Path, names: set[str]) -> None:
    for name in names:
        try:
            (directory / name).unlink(missing_ok=True)
        except OSError as err:
            raise InputError(f"cannot remove '{directory / name}': {err.strerror}") from err
