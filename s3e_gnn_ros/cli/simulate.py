"""``s3e-gnn simulate``: render a recording of a procedural building."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s3e_gnn_ros.simulation.recording import SimulationOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--out', type=Path, required=True, help='folder of the rosbag2 to make')
    parser.add_argument('--overwrite', action='store_true', help='replace a bag that is there')
    parser.add_argument('--seed', type=int, default=0, help='another building, route and noise')
    parser.add_argument('--rate', type=float, default=10.0, metavar='HZ', help='images per second')
    parser.add_argument('--speed', type=float, default=0.7, metavar='M/S', help='driving speed')
    parser.add_argument('--duration', type=float, metavar='S', help='record only the beginning')
    parser.add_argument('--max-frames', type=int, metavar='N', help='record at most N images')
    parser.add_argument(
        '--drift', metavar='NAME=VALUE,...', help='error of the odometry (see convert --help)'
    )
    parser.add_argument('--storage', default='mcap', choices=('mcap', 'sqlite3'))
    parser.add_argument('--image-transport', default='raw', choices=('raw', 'compressed'))
    parser.add_argument(
        '--workers',
        type=int,
        default=min(2, os.cpu_count() or 1),
        metavar='N',
        help='rendering processes; the recording does not depend on it (default: %(default)s)',
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Render the recording and write the bag."""
    from tqdm import tqdm

    from s3e_gnn_ros.data.bag_writer import BagWriter
    from s3e_gnn_ros.simulation.recording import SimulatedRecording
    from s3e_gnn_ros.simulation.simulate import describe, write_bag

    options = _options(args)
    writer = BagWriter(
        args.out,
        storage=args.storage,
        image_transport=args.image_transport,
        overwrite=args.overwrite,
    )
    with writer:  # entered first: a path that cannot be written is said before the work
        recording = SimulatedRecording(options)
        with tqdm(
            total=recording.num_frames, unit='frame', desc='render', disable=None
        ) as progress:
            write_bag(recording, writer, lambda _: progress.update())
    result = describe(recording, args.out)
    if not args.json:
        print(
            f'{args.out}: {result["num_frames"]} frames, {result["distance_m"]} m in '
            f'{result["duration_s"]} s; odometry is {result["odometry_error_at_end_m"]} m off '
            'at the end'
        )
    return result


def _options(args: argparse.Namespace) -> SimulationOptions:
    from s3e_gnn_ros.data.drift import parse_drift
    from s3e_gnn_ros.simulation.motion import MotionLimits
    from s3e_gnn_ros.simulation.recording import SimulationOptions

    options = SimulationOptions(
        seed=args.seed,
        rate_hz=args.rate,
        duration_s=args.duration,
        max_frames=args.max_frames,
        workers=args.workers,
        limits=MotionLimits(speed_mps=args.speed),
    )
    return options if args.drift is None else replace(options, drift=parse_drift(args.drift))
