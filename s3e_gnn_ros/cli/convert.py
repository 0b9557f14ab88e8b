"""``s3e-gnn convert``: turn any recording into a rosbag2."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3e_gnn_ros.cli.recording_options import (
    add_recording_arguments,
    frames_with_odometry,
    recording_options,
)
from s3e_gnn_ros.errors import RecordingError

if TYPE_CHECKING:
    from s3e_gnn_ros.data.bag_writer import BagWriter
    from s3e_gnn_ros.types import Frame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_recording_arguments(parser)
    parser.add_argument('bag', type=Path, metavar='BAG', help='folder of the bag to write')
    group = parser.add_argument_group('bag')
    group.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), default='mcap', help='(%(default)s)'
    )
    group.add_argument(
        '--image-transport',
        choices=('raw', 'compressed'),
        default='raw',
        help='compressed is jpeg, and 16-bit png for depth (%(default)s)',
    )
    group.add_argument('--overwrite', action='store_true', help='replace a bag that is there')


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Write the bag, and print what it holds and what was left out."""
    from s3e_gnn_ros.data.bag_writer import BagWriter, check_bag_target
    from s3e_gnn_ros.data.open_recording import open_recording

    check_bag_target(args.bag, overwrite=args.overwrite)
    options = recording_options(args)
    recording = open_recording(args.recording, options)
    frames = frames_with_odometry(args, recording)
    writer = BagWriter(
        args.bag,
        storage=args.storage,
        image_transport=args.image_transport,
        overwrite=args.overwrite,
    )
    with writer:
        counts = _write(writer, frames, recording.num_frames)
        if not counts['num_frames']:
            raise RecordingError(
                f"no frame of '{recording.name}' can be used: {_drop_text(recording.drops)}"
            )
    result = {
        'bag': str(args.bag),
        **counts,
        'drops': dict(recording.drops),
        'notes': list(recording.notes),
    }
    if not args.json:
        _print_summary(result)
    return result


def _write(writer: BagWriter, frames: Iterator[Frame], total: int) -> dict[str, int]:
    """Write all frames; returns how many had what."""
    from tqdm import tqdm

    counts = {'num_frames': 0, 'num_depth': 0, 'num_odometry': 0, 'num_ground_truth': 0}
    for frame in tqdm(frames, total=total, desc='convert', unit='frame', disable=None):
        writer.write_frame(frame)
        counts['num_frames'] += 1
        counts['num_depth'] += frame.depth_m is not None
        if frame.T_odom_camera is not None:
            writer.write_odometry(frame.stamp_ns, frame.T_odom_camera)
            counts['num_odometry'] += 1
        if frame.T_world_camera is not None:
            writer.write_ground_truth(frame.stamp_ns, frame.T_world_camera)
            counts['num_ground_truth'] += 1
    return counts


def _print_summary(result: dict[str, Any]) -> None:
    print(
        f'{result["bag"]}: {result["num_frames"]} frames, {result["num_depth"]} with depth, '
        f'{result["num_odometry"]} with odometry, {result["num_ground_truth"]} with ground truth'
    )
    if result['drops']:
        print(f'left out: {_drop_text(result["drops"])}')
    for note in result['notes']:
        print(f'note: {note}')


def _drop_text(drops: dict[str, int]) -> str:
    return ', '.join(f'{count} {reason}' for reason, count in sorted(drops.items())) or 'none'
