"""Entry point of ``s3e-gnn``: finds the command, prints known errors in one line."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence

from s3e_gnn_ros import __version__
from s3e_gnn_ros.errors import S3EError

COMMANDS = {
    'replay': 'run loop closure over a recording and write a report',
    'convert': 'turn a recording into a rosbag2',
    'play': 'publish a bag on its topics',
    'run': 'start both nodes without ROS launch',
    'simulate': 'render a recording of a building or a scene file',
    'overlap': 'compute the true overlap (IoU) of every pair of keyframes',
    'train': 'build training sets, train encoder and GNN',
    'evaluate': 'compare retrieval methods on recordings',
    'map': 'list, merge, export, import stored maps',
    'explain': 'why two keyframes of a map have a loop closure, or why not',
    'vocabulary': 'train a bag-of-words vocabulary from images',
    'bench': 'measure run time and memory of every part',
    'config': 'print the default configuration',
}
"""Each is a module of this package with ``add_arguments(parser)`` and ``run(args)``.

``run`` returns what ``--json`` prints, or None; it prints the human form itself, on stdout,
unless ``args.json`` is set. Progress goes to stderr.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (0 done, 2 a known error, 130 interrupted)."""
    # The products are small: threads that wait for one another cost ten times what they save.
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog='s3e-gnn', description='Loop closure for ROS 2.')
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    commands = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    chosen = arguments[0] if arguments else ''
    module = None
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            # Only the chosen command is imported: `s3e-gnn --help` must not load GTSAM.
            module = importlib.import_module(f's3e_gnn_ros.cli.{name}')
            module.add_arguments(command)
            command.add_argument('--json', action='store_true', help='print the result as JSON')
    args = parser.parse_args(arguments)
    assert module is not None  # argparse has refused every other first word
    try:
        result = module.run(args)
    except S3EError as err:
        print(f's3e-gnn {args.command}: {err}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if args.json and result is not None:
        print(json.dumps(result, indent=2))
    return 0


if __name__ == '__main__':
    sys.exit(main())
