"""Checkpoints: one safetensors file with everything that a run needs to go on exactly.

safetensors holds tensors and text only: opening a file runs nothing, unlike a pickle. The random
numbers of a step follow from the seed and the number of the step, as do its data and learning
rate, so that the step is their whole state, in each of several processes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.files import write_atomic
from s3e_gnn_ros.plain_data import parse_json

FORMAT = 's3e_gnn_ros checkpoint'
VERSION = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run.

    Attributes:
        tensors: '<part>.<name>', with the parts 'model', 'optimiser' and 'average'.
        progress: plain values: stage, step, best metric, configuration.
    """

    tensors: Mapping[str, Tensor]
    progress: Mapping[str, Any] = field(default_factory=dict)

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors of one part under their own names; empty when it is absent."""
        head = name + '.'
        return {k.removeprefix(head): v for k, v in self.tensors.items() if k.startswith(head)}


def save_checkpoint(
    path: Path, parts: Mapping[str, Mapping[str, Tensor]], progress: Mapping[str, Any]
) -> None:
    """Write a checkpoint; the old one stays whole until the new one is.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {
        f'{part}.{name}': tensor.detach().cpu().contiguous().clone()
        for part, state in parts.items()
        for name, tensor in state.items()
    }
    metadata = {'format': FORMAT, 'version': str(VERSION), 'progress': json.dumps(progress)}
    write_atomic(path, save(tensors, metadata))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        InputError: no such file, damaged, or no checkpoint of this version.
    """
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as err:
        raise InputError(f"cannot read checkpoint '{path}': {err}") from err
    if (metadata.get('format'), metadata.get('version')) != (FORMAT, str(VERSION)):
        raise InputError(f"'{path}' is no checkpoint of version {VERSION} of this package")
    try:
        progress = parse_json(metadata['progress'])
    except (KeyError, ValueError) as err:
        raise InputError(f"checkpoint '{path}' is damaged: no progress: {err}") from err
    if not isinstance(progress, dict):
        raise InputError(f"checkpoint '{path}' is damaged: its progress is {progress!r}")
    return Checkpoint(tensors, progress)


def optimiser_tensors(optimiser: torch.optim.Optimizer, module: nn.Module) -> dict[str, Tensor]:
    """Return the state of an optimiser as '<slot>/<parameter>': momentum, variance, step."""
    return {
        f'{slot}/{name}': torch.as_tensor(value)
        for name, parameter in module.named_parameters()
        for slot, value in optimiser.state.get(parameter, {}).items()
        if value is not None
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, module: nn.Module, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what :func:`optimiser_tensors` returned."""
    parameters = dict(module.named_parameters())
    for key, tensor in tensors.items():
        slot, _, name = key.partition('/')
        # Adam's step count stays on the CPU, where it was.
        device = parameters[name].device if tensor.dim() else tensor.device
        optimiser.state[parameters[name]][slot] = tensor.to(device)


def restore_module(module: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Fill a module from a part of a checkpoint.

    Raises:
        InputError: the tensors are those of another architecture.
    """
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as err:
        raise InputError(f"checkpoint '{path}' is of another architecture") from err
