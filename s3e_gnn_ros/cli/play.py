"""``s3e-gnn play``: publishes a bag on its topics."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from pathlib import Path
from typing import Any

from s3e_gnn_ros.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('bag', type=Path, help='rosbag2 folder, or its .mcap or .db3 file')
    parser.add_argument('--rate', type=float, default=1.0, help='times real time (default 1)')
    parser.add_argument(
        '--clock',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='publish /clock (default)',
    )
    parser.add_argument('--topics', nargs='+', default=(), metavar='TOPIC', help='only these')
    parser.add_argument(
        '--wait-for-subscribers',
        type=float,
        default=0.0,
        metavar='S',
        help='wait up to S seconds until every topic has a subscriber (default 0)',
    )
    parser.add_argument(
        '--wait-for',
        nargs='+',
        default=(),
        metavar='TOPIC',
        help='with --wait-for-subscribers: these topics are enough, of those the bag has',
    )
    parser.add_argument('--loop', action='store_true', help='start again at the end, for ever')
    parser.add_argument(
        '--start-offset', type=float, default=0.0, metavar='S', help='skip the first S seconds'
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Play the bag; returns what was published."""
    _check(args)
    from s3e_gnn_ros.cli.ros_available import check_ros

    check_ros()
    from s3e_gnn_ros.ros.player import PlayOptions, running_player

    options = PlayOptions(
        args.rate,
        args.clock,
        tuple(args.topics),
        args.wait_for_subscribers,
        args.loop,
        args.start_offset,
        tuple(args.wait_for),
    )
    with running_player(args.bag, options) as player:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: player.stop())
        report = _play(player)
    return {
        'published': dict(report.published),
        'skipped': report.skipped,
        'without_subscriber': report.without_subscriber,
        'is_acknowledged': report.is_acknowledged,
        'duration_s': report.duration_s,
    }


def _play(player: Any) -> Any:
    """Play with a bar on stderr that counts seconds of the recording."""
    from tqdm import tqdm

    for topic, reason in player.report.skipped.items():
        print(f's3e-gnn play: skipping {topic}: {reason}', file=sys.stderr)
    total_s = round(player.duration_s, 1)
    layout = '{l_bar}{bar}| {n:.1f}/{total:.1f} s [{elapsed}<{remaining}]'
    with tqdm(total=total_s, bar_format=layout, desc='play', file=sys.stderr, disable=None) as bar:

        def show(seconds: float) -> None:
            bar.update(min(seconds, total_s) - bar.n)

        report = player.play(show)
    if report.without_subscriber:
        topics = ', '.join(report.without_subscriber)
        print(f's3e-gnn play: nobody listened to {topics} at the start', file=sys.stderr)
    if not report.is_acknowledged:
        print('s3e-gnn play: a subscriber did not confirm all messages', file=sys.stderr)
    return report


def _check(args: argparse.Namespace) -> None:
    if not (math.isfinite(args.rate) and args.rate > 0):
        raise ConfigError(f'--rate is {args.rate} instead of more than 0')
    for name in ('wait_for_subscribers', 'start_offset'):
        value = getattr(args, name)
        if not (math.isfinite(value) and value >= 0):
            raise ConfigError(f'--{name.replace("_", "-")} is {value} instead of at least 0')
