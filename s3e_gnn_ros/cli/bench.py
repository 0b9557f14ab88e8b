"""``s3e-gnn bench``: run time and memory of every part, in one table."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

_NUM_PARTS = 8  # beside the recorded pose graphs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        '--frames', type=int, default=60, metavar='N', help='frames to render (%(default)s)'
    )
    parser.add_argument(
        '--keyframes',
        type=int,
        nargs='+',
        default=[100, 1000, 10000],
        metavar='N',
        help='sizes of the map at which retrieval is measured (%(default)s)',
    )
    parser.add_argument(
        '--poses', type=int, default=1000, metavar='N', help='poses of the graph (%(default)s)'
    )
    parser.add_argument(
        '--pose-graphs',
        type=int,
        nargs='+',
        default=[],
        metavar='N',
        help='sizes at which the pose graph is solved and judged as a whole',
    )
    parser.add_argument(
        '--learned-keyframes',
        type=int,
        nargs='+',
        default=[100, 1000, 10000, 100000],
        metavar='N',
        help='sizes of the map at which the learned method is measured (%(default)s)',
    )
    parser.add_argument(
        '--large',
        type=int,
        nargs='?',
        const=1_000_000,
        default=0,
        metavar='N',
        help='also measure with very many keyframes, %(const)s if not given; takes minutes',
    )
    parser.add_argument(
        '--g2o',
        type=Path,
        action='append',
        default=[],
        metavar='FILE',
        help='also optimise a recorded pose graph online; may be given again',
    )
    parser.add_argument('--seed', type=int, default=0, help='of all that is made up')
    parser.add_argument(
        '--config', type=Path, metavar='YAML', help='settings that differ from the defaults'
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure, print the table."""
    if 'numpy' not in sys.modules:  # it reads this once; a robot has no other core to spare
        os.environ.setdefault('OMP_NUM_THREADS', '1')
    from s3e_gnn_ros.evaluation.bench_memory import resident_bytes

    start_bytes = resident_bytes()  # before the libraries are loaded
    from tqdm import tqdm

    from s3e_gnn_ros.config_file import load_config
    from s3e_gnn_ros.errors import ConfigError
    from s3e_gnn_ros.evaluation.bench import MIN_FRAMES, BenchOptions, run_bench
    from s3e_gnn_ros.evaluation.bench_table import bench_table
    from s3e_gnn_ros.simulation.recording import SimulatedRecording, SimulationOptions

    options = BenchOptions(
        sizes=tuple(args.keyframes),
        num_poses=args.poses,
        pose_sizes=tuple(args.pose_graphs),
        g2o=tuple(args.g2o),
        graph_sizes=tuple(args.learned_keyframes),
        num_large=args.large,
        seed=args.seed,
        start_bytes=start_bytes,
    )
    if args.frames < MIN_FRAMES:
        raise ConfigError(f'--frames is {args.frames} instead of at least {MIN_FRAMES}')
    config = load_config(args.config) if args.config else None
    with tqdm(
        total=_NUM_PARTS + len(args.g2o) + bool(args.large), desc='building', disable=None
    ) as bar:

        def show(part: str) -> None:
            bar.set_description(part)
            bar.update()

        recording = SimulatedRecording(SimulationOptions(args.seed, max_frames=args.frames))
        result = run_bench(recording.frames(), options, config, show)
    if not args.json:
        print(bench_table(result))
    return result
