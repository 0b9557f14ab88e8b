"""The folder of one training run: configuration, checkpoint, curves, weights, result."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.evaluation.files import json_text, make_directory, write_atomic
from s3e_gnn_ros.training.curves import CURVES_FILE
from s3e_gnn_ros.training.section import read_section, section_yaml
from s3e_gnn_ros.training.trainer import CHECKPOINT_FILE

CONFIG_FILE = 'config.yaml'
RESULT_FILE = 'result.json'

C = TypeVar('C')


def start_run(folder: Path, config: Any) -> None:
    """Make the folder of a new run and write its configuration into it.

    Raises:
        InputError: the folder holds a run already, or cannot be written.
    """
    for name in (CONFIG_FILE, CHECKPOINT_FILE, CURVES_FILE):
        if (folder / name).exists():
            raise InputError(f"'{folder}' holds a run already: go on with --resume, or remove it")
    make_directory(folder)
    write_atomic(folder / CONFIG_FILE, section_yaml(config))


def check_resumed(folder: Path, config: Any) -> None:
    """Refuse to go on with another configuration than the run was started with.

    Raises:
        InputError: the folder holds no checkpoint.
        ConfigError: the configuration is another one.
    """
    if not (folder / CHECKPOINT_FILE).is_file():
        raise InputError(f"'{folder}' holds no checkpoint to resume from")
    before = read_section(type(config), folder / CONFIG_FILE)
    if before != config:
        raise ConfigError(
            f"the run in '{folder}' was started with another configuration, see its {CONFIG_FILE}"
        )


def write_result(folder: Path, result: dict[str, Any]) -> None:
    """Write what a finished run reports.

    Raises:
        InputError: the file cannot be written.
    """
    write_atomic(folder / RESULT_FILE, json_text(result))
