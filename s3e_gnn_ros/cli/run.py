"""``s3e-gnn run``: both nodes as child processes, without ROS's launch."""

from __future__ import annotations

import argparse
from pathlib import Path

from s3e_gnn_ros.config import load_config
from s3e_gnn_ros.ros.processes import (
    NODE_MODULES,
    Child,
    node_command,
    ros_arguments,
    wait_for_first,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument('--config', type=Path, help='ROS parameter file, such as config/x.yaml')
    parser.add_argument(
        '--remap', nargs='+', default=[], metavar='FROM:=TO', help='e.g. image:=/camera/image_raw'
    )
    parser.add_argument('--namespace', default='', help='namespace of both nodes')
    parser.add_argument('--use-sim-time', action='store_true', help='take the time from /clock')
    parser.add_argument('--only', choices=sorted(NODE_MODULES), help='start one node only')


def run(args: argparse.Namespace) -> None:
    """Run until interrupted or until a node ends; exits with the status of that node."""
    from s3e_gnn_ros.cli.ros_available import check_ros

    if args.config is not None:
        load_config(args.config)  # the nodes would refuse it as well, one after the other
    arguments = ros_arguments(
        args.config, args.remap, args.namespace, use_sim_time=args.use_sim_time
    )
    check_ros(with_messages=True)
    names = [args.only] if args.only else list(NODE_MODULES)
    status = wait_for_first([Child(name, node_command(name, arguments)) for name in names])
    if status:
        raise SystemExit(status)
