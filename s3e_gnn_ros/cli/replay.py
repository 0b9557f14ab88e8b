"""``s3e-gnn replay``: loop closure over a recording, offline or through the live ROS 2 graph."""

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
from s3e_gnn_ros.errors import ConfigError

if TYPE_CHECKING:
    from s3e_gnn_ros.config import Config
    from s3e_gnn_ros.evaluation.result import ReplayResult
    from s3e_gnn_ros.types import Frame


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_recording_arguments(parser)
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='result folder')
    parser.add_argument(
        '--config', type=Path, metavar='YAML', help='settings that differ from the defaults'
    )
    parser.add_argument(
        '--retrieval', metavar='METHOD', help='retrieval method in place of the configured one'
    )
    parser.add_argument(
        '--max-wrong-m',
        type=float,
        default=0.2,
        metavar='M',
        help='a closure further off the ground truth is called wrong (%(default)s m)',
    )
    parser.add_argument(
        '--max-wrong-deg',
        type=float,
        default=10.0,
        metavar='DEG',
        help='a closure rotated further off is called wrong (%(default)s deg)',
    )
    live = parser.add_argument_group('live', 'play the bag to the two nodes over DDS instead')
    live.add_argument('--live', action='store_true', help='run player and nodes as processes')
    live.add_argument(
        '--rate', type=float, default=1.0, help='speed of the player with --live (%(default)s)'
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Replay, write the result folder, print the summary."""
    from s3e_gnn_ros.evaluation.closure_error import Tolerance
    from s3e_gnn_ros.evaluation.summary import summary
    from s3e_gnn_ros.evaluation.write import write_result

    tolerance = Tolerance(args.max_wrong_m, args.max_wrong_deg)
    config = _config(args)
    result = _replay_live(args, config) if args.live else _replay_offline(args, config)
    evaluation = write_result(result, args.out, tolerance)
    if not args.json:
        print(summary(evaluation, args.out))
    return evaluation.metrics


def _config(args: argparse.Namespace) -> Config:
    from s3e_gnn_ros.config import Config, config_from_dict
    from s3e_gnn_ros.config_file import load_config

    config = load_config(args.config) if args.config else Config()
    if args.retrieval:
        config = config_from_dict({'retrieval': {'method': args.retrieval}}, config)
    return config


def _replay_offline(args: argparse.Namespace, config: Config) -> ReplayResult:
    from s3e_gnn_ros.data.open_recording import open_recording
    from s3e_gnn_ros.evaluation.files import make_directory
    from s3e_gnn_ros.evaluation.replay import replay_offline

    recording = open_recording(args.recording, recording_options(args))
    frames = frames_with_odometry(args, recording)
    make_directory(args.out)  # a folder that cannot be written is said before the work
    return replay_offline(
        recording.name,
        _with_progress(frames, recording.num_frames),
        config,
        recording.ground_truth,
        recording.drops,
        recording.notes,
    )


def _replay_live(args: argparse.Namespace, config: Config) -> ReplayResult:
    if args.odometry != 'recording':
        raise ConfigError(
            f'--live plays the bag as it is, --odometry {args.odometry} is for offline replay: '
            'put that odometry into a bag with `s3e-gnn convert` first'
        )
    from s3e_gnn_ros.cli.ros_available import check_ros

    check_ros(with_messages=True)
    from tqdm import tqdm

    from s3e_gnn_ros.evaluation.files import make_directory
    from s3e_gnn_ros.ros.live import replay_live

    make_directory(args.out)
    with tqdm(desc='live replay', unit='message', disable=None) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return replay_live(args.recording, recording_options(args), config, args.rate, show)


def _with_progress(frames: Iterator[Frame], num_frames: int) -> Iterator[Frame]:
    from tqdm import tqdm

    return iter(tqdm(frames, total=num_frames, desc='replay', unit='frame', disable=None))
