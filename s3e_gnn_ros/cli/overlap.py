"""``s3e-gnn overlap``: the true overlap (IoU) of all pairs of keyframes, as numbers and image."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3e_gnn_ros.cli.recording_options import add_recording_arguments, recording_options
from s3e_gnn_ros.errors import ConfigError, InputError

if TYPE_CHECKING:
    from s3e_gnn_ros.data.overlap import OverlapCounts
    from s3e_gnn_ros.data.overlap_views import DepthView, ViewOptions
    from s3e_gnn_ros.data.recording import Recording


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_recording_arguments(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.npz', help='result')
    parser.add_argument(
        '--figure', type=Path, metavar='FILE.png', help='heatmap (default: beside --out)'
    )
    parser.add_argument('--device', default='cpu', help='of torch, such as cuda (%(default)s)')
    views = parser.add_argument_group('keyframes')
    for option, default, unit, text in (
        ('--min-translation', 0.1, 'M', 'a keyframe after so much motion'),
        ('--min-rotation', 10.0, 'DEG', 'or so much rotation'),
        ('--min-depth', 0.1, 'M', 'depth below this is unknown'),
        ('--max-depth', 10.0, 'M', 'depth above this is unknown'),
        ('--tolerance', 0.05, 'M', 'depths that differ by more do not agree; grows beyond 1 m'),
    ):
        views.add_argument(
            option, type=float, default=default, metavar=unit, help=f'{text} (%(default)s)'
        )
    views.add_argument(
        '--width', type=int, default=80, metavar='PX', help='reduce depth to this (%(default)s)'
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Read the depth, compare all pairs, write the arrays and the picture."""
    figure = args.figure or args.out.with_suffix('.png')
    _check_options(args, figure)
    options = _view_options(args)
    from s3e_gnn_ros.data.open_recording import open_recording
    from s3e_gnn_ros.data.overlap_views import make_depth_views

    recording = open_recording(args.recording, recording_options(args))
    views = make_depth_views(recording, options)
    start = time.perf_counter()
    counts = _compare(views, args)
    compare_s = time.perf_counter() - start
    _write(views, counts, recording.name, args.out, figure)
    result = _summary(recording, counts, args.out, figure, compare_s)
    if not args.json:
        _print_summary(result)
    return result


def _check_options(args: argparse.Namespace, figure: Path) -> None:
    """Refuse what would only fail after the work, or would be ignored."""
    if args.odometry != 'recording' or args.drift or args.odometry_file:
        raise ConfigError('overlap compares true poses: --odometry and --drift have no meaning')
    for option, path, suffix in (('--out', args.out, '.npz'), ('--figure', figure, '.png')):
        if path.suffix != suffix:
            raise InputError(f"{option} is '{path}' instead of a file that ends in {suffix}")
        if not path.parent.is_dir():
            raise InputError(f"{option} is '{path}', but there is no folder '{path.parent}'")
        if path.is_dir():
            raise InputError(f"{option} is '{path}', which is a folder")


def _view_options(args: argparse.Namespace) -> ViewOptions:
    from s3e_gnn_ros.data.overlap_views import ViewOptions

    return ViewOptions(
        width_px=args.width,
        min_depth_m=args.min_depth,
        max_depth_m=args.max_depth,
        min_translation_m=args.min_translation,
        min_rotation_deg=args.min_rotation,
    )


def _compare(views: list[DepthView], args: argparse.Namespace) -> OverlapCounts:
    from tqdm import tqdm

    from s3e_gnn_ros.data.overlap import overlap_counts

    with tqdm(desc='overlap', unit='pair', disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return overlap_counts(views, args.tolerance, args.device, progress=show)


def _write(
    views: list[DepthView], counts: OverlapCounts, name: str, out: Path, figure: Path
) -> None:
    import io

    import numpy as np

    from s3e_gnn_ros.evaluation.figure_style import png_bytes
    from s3e_gnn_ros.evaluation.files import write_atomic
    from s3e_gnn_ros.evaluation.overlap_figure import overlap_figure

    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        overlap=counts.directed,
        symmetric=counts.symmetric,
        stamps_ns=np.array([view.stamp_ns for view in views], dtype=np.int64),
        T_world_camera=np.array([view.T_world_camera for view in views]),
    )
    write_atomic(out, buffer.getvalue())
    title = f'{name}: true overlap of {len(views)} keyframes'
    write_atomic(figure, png_bytes(overlap_figure(counts.directed, title)))


def _summary(
    recording: Recording, counts: OverlapCounts, out: Path, figure: Path, compare_s: float
) -> dict[str, Any]:
    import numpy as np

    N = len(counts.num_known)
    others = counts.symmetric[np.triu_indices(N, 1)]
    return {
        'recording': recording.name,
        'overlap': str(out),
        'figure': str(figure),
        'num_keyframes': N,
        'num_pairs': len(others),
        'num_pairs_overlapping': int((others > 0).sum()),
        'mean_overlap': float(others.mean()) if N > 1 else None,
        'pairs_per_s': N * N / compare_s,
        'drops': dict(recording.drops),
    }


def _print_summary(result: dict[str, Any]) -> None:
    mean = result['mean_overlap']
    print(
        f'{result["overlap"]}: {result["num_keyframes"]} keyframes, '
        f'{result["num_pairs_overlapping"]} of {result["num_pairs"]} pairs overlap'
        + ('' if mean is None else f', by {mean:.3f} on average')
        + f'; {result["pairs_per_s"]:,.0f} directed pairs/s\n'
        f'{result["figure"]}: heatmap'
    )
    if result['drops']:
        print('left out: ' + ', '.join(f'{n} {name}' for name, n in result['drops'].items()))
