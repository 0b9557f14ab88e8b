"""``s3e-gnn run``: a set-up's nodes as child processes, without ROS's launch."""

from __future__ import annotations

import argparse
import json
import math
import shlex
from pathlib import Path
from typing import Any

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.ros.processes import (
    Child,
    plan_commands,
    player_command,
    wait_for_first,
)
from s3e_gnn_ros.ros.setup_plan import (
    NODES,
    Choices,
    Plan,
    make_plan,
    parse_parameters,
    parse_remaps,
)
from s3e_gnn_ros.ros.setups import SETUPS, Setup


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = 'set-ups:\n' + '\n'.join(
        f'  {setup.name:16}{setup.summary}' for setup in SETUPS.values()
    )
    parser.add_argument(
        'setup',
        nargs='?',
        choices=sorted(SETUPS),
        metavar='SETUP',
        help='one of those below; none: topics by --remap, everything else by --config',
    )
    _add_topics(parser.add_argument_group('topics'))
    _add_parameters(parser.add_argument_group('parameters'))
    parser.add_argument('--no-back-end', action='store_true', help='no pose_graph_node')
    parser.add_argument('--only', choices=NODES, help='start one node only')
    parser.add_argument('--one-process', action='store_true', help='both nodes in one process')
    parser.add_argument(
        '--no-autostart',
        action='store_true',
        help='wait until a lifecycle manager configures and activates the nodes',
    )
    parser.add_argument('--bag', help='with the set-up replay: rosbag2 folder')
    parser.add_argument('--rate', default='1.0', help='with --bag: times real time (default 1)')
    parser.add_argument('--dry-run', action='store_true', help='print the commands only')
    parser.add_argument(
        '--check', action='store_true', help='start nothing, and see whether every input comes'
    )
    parser.add_argument(
        '--check-time',
        type=float,
        default=10.0,
        metavar='S',
        help='with --check: wait no longer than S seconds (default 10)',
    )


def _add_topics(group: argparse._ArgumentGroup) -> None:
    group.add_argument('--namespace', default='', help='of our nodes')
    group.add_argument(
        '--host-namespace',
        '--vins-namespace',
        metavar='NAME',
        help="where the host's topics begin, such as vins_estimator; '': no prefix",
    )
    group.add_argument(
        '--camera-prefix',
        metavar='NAME',
        help="where the camera's topics begin, such as /camera/camera",
    )
    group.add_argument(
        '--remap', nargs='+', default=[], metavar='FROM:=TO', help='e.g. image:=/camera/image_raw'
    )
    group.add_argument('--image-transport', choices=('raw', 'compressed'), default='')


def _add_parameters(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        '--camera', metavar='NAME', help="profile such as d455_848x480, or a file; '': none"
    )
    group.add_argument('--retrieval', choices=('s3e', 'bow'), default='', help='how to search')
    group.add_argument('--map', default='', metavar='NAME', help='map to write')
    group.add_argument('--load', default='', metavar='NAME', help='map to begin with')
    group.add_argument('--config', type=Path, help='parameter file of your own, over the others')
    group.add_argument(
        '--set',
        nargs='+',
        default=[],
        metavar='NAME=VALUE',
        help='over all files, e.g. node.use_depth=false',
    )
    group.add_argument(
        '--use-sim-time',
        action=argparse.BooleanOptionalAction,
        help='take the time from /clock (default: with replay)',
    )


def run(args: argparse.Namespace) -> dict[str, Any] | None:
    """Run until interrupted or until a node ends; exits with the status of that node."""
    setup = SETUPS[args.setup] if args.setup else None
    _check(args, setup)
    # Wrong values end here in one line: the nodes would refuse them as well, one after the other.
    plan = make_plan(setup, _choices(args))
    commands = plan_commands(plan)
    if args.only:
        commands = {args.only: commands[args.only]}
    helpers = {'player': player_command(plan, args.bag, args.rate)} if args.bag else {}
    if args.dry_run:
        return _show(args, {**commands, **helpers})

    from s3e_gnn_ros.cli.ros_available import check_ros

    check_ros(with_messages=True)
    if args.check:
        return _check_inputs(args, plan)
    status = wait_for_first(
        [Child(name, command) for name, command in commands.items()],
        [Child(name, command) for name, command in helpers.items()],
    )
    if status:
        raise SystemExit(status)
    return None


def _choices(args: argparse.Namespace) -> Choices:
    return Choices(
        namespace=args.namespace,
        host_namespace=args.host_namespace,
        camera=args.camera,
        camera_prefix=args.camera_prefix,
        retrieval=args.retrieval,
        image_transport=args.image_transport,
        has_back_end=not args.no_back_end,
        is_one_process=args.one_process,
        autostart=False if args.no_autostart else None,
        map_name=args.map,
        map_load=args.load,
        config=args.config,
        parameters=parse_parameters(args.set),
        remaps=parse_remaps(args.remap),
        use_sim_time=args.use_sim_time,
    )


def _check(args: argparse.Namespace, setup: Setup | None) -> None:
    plays_bag = setup is not None and setup.plays_bag
    if args.bag and not plays_bag:
        raise ConfigError(f"--bag '{args.bag}' is for the set-up replay")
    if plays_bag and not args.bag:
        raise ConfigError('the set-up replay needs --bag DIR')
    if args.no_back_end and args.only == 'pose_graph':
        raise ConfigError('--no-back-end leaves nothing of --only pose_graph')
    if args.one_process and args.only:
        raise ConfigError(f'--one-process is for both nodes, --only {args.only} for one')
    if not (math.isfinite(args.check_time) and args.check_time > 0):
        raise ConfigError(f'--check-time is {args.check_time} instead of more than 0')


def _show(args: argparse.Namespace, commands: dict[str, list[str]]) -> dict[str, Any]:
    if not args.json:
        for command in commands.values():
            print(shlex.join(command))
    return {'commands': commands}


def _check_inputs(args: argparse.Namespace, plan: Plan) -> dict[str, Any]:
    """Print one line per input, or one per problem and exit with 2."""
    from s3e_gnn_ros.ros.preflight import check_inputs

    report = check_inputs(plan, args.check_time)
    result = report.as_dict()
    if args.json and report.problems:
        print(json.dumps(result, indent=2))  # as main does for a command that ends well
    elif not args.json:
        print('\n'.join(report.problems or report.lines))
    if report.problems:
        raise SystemExit(2)
    return result
