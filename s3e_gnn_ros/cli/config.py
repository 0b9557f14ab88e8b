"""``s3e-gnn config``: print the default configuration, or check a file."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.config_file import dump_config, load_config, parameters_page


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        'file', nargs='?', type=Path, help='check this YAML file and print it with all defaults'
    )
    parser.add_argument(
        '--page', action='store_true', help='print the parameters as a Markdown page instead'
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Print the resolved configuration as YAML."""
    config = load_config(args.file) if args.file else Config()
    if not args.json:
        print(parameters_page() if args.page else dump_config(config), end='')
    return dataclasses.asdict(config)
