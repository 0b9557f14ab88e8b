"""``s3e-gnn config``: print the default configuration, or check a file."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from s3e_gnn_ros.config import Config, dump_config, load_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'file', nargs='?', type=Path, help='check this YAML file and print it with all defaults'
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print the resolved configuration as YAML."""
    config = load_config(args.file) if args.file else Config()
    if not args.json:
        print(dump_config(config), end='')
    return dataclasses.asdict(config)
