"""``s3e-gnn simulate``: render a recording of a procedural building or of a GLB file."""

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
    _add_scene_arguments(parser)
    _add_lap_arguments(parser)
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


def _add_scene_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('scene')
    group.add_argument(
        '--scene', default='building', metavar='building|FILE.glb', help='what to drive through'
    )
    group.add_argument(
        '--pictures',
        type=Path,
        metavar='DIR',
        help="pictures (jpg, png) for the building's walls, floors and posters",
    )
    group.add_argument(
        '--plain-walls',
        type=float,
        default=0.0,
        metavar='SHARE',
        help='share of the floor where walls have no texture',
    )
    group.add_argument(
        '--max-lap',
        type=float,
        default=60.0,
        metavar='M',
        help='greatest length of a lap in a GLB file (default: %(default)s)',
    )


def _add_lap_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        'laps',
        'Comma-separated, one value per lap and from the first again; every second lap runs in '
        'the opposite direction, and there are as many as the longest list has, at least two.',
    )
    for name, unit, text in (
        ('heights', 'M', 'of the camera above the floor'),
        ('yaw-offsets', 'DEG', 'turns of the camera away from where it would look'),
        ('dark', 'SHARE', 'share of the light that is missing, 0 to less than 1'),
        ('exposure', 'FACTOR', 'on the light that falls on the sensor'),
        ('gain', 'FACTOR', 'on the signal and its noise'),
        ('noise', 'FACTOR', "on the deviation of the image's noise"),
        ('blur', 'S', 'time the shutter is open'),
        ('shake', 'DEG/S', 'shaking that adds to the blur'),
        ('tint', 'SHARE', 'more red and less blue, or the opposite when negative'),
        ('moving-objects', 'N', 'things that stand elsewhere in every lap, or walk'),
    ):
        group.add_argument(f'--{name}', metavar=f'{unit},...', help=text)


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
    from s3e_gnn_ros.simulation.lap_values import LAP_VALUES, parse_laps
    from s3e_gnn_ros.simulation.motion import MotionLimits
    from s3e_gnn_ros.simulation.recording import SimulationOptions

    options = SimulationOptions(
        seed=args.seed,
        rate_hz=args.rate,
        duration_s=args.duration,
        max_frames=args.max_frames,
        workers=args.workers,
        limits=MotionLimits(speed_mps=args.speed),
        scene=args.scene,
        laps=parse_laps({name: getattr(args, name) for name in LAP_VALUES}),
        max_lap_m=args.max_lap,
        plain_walls=args.plain_walls,
        pictures=args.pictures,
    )
    return options if args.drift is None else replace(options, drift=parse_drift(args.drift))
