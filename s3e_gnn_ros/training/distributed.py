"""One process or several: what ``torchrun`` says, and the device that follows from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed as dist

from s3e_gnn_ros.errors import ConfigError


@dataclass(frozen=True)
class Placement:
    """Where this process stands.

    Attributes:
        device: what it computes on.
        rank: its number among all processes.
        num_processes: of the whole run.
    """

    device: torch.device
    rank: int = 0
    num_processes: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def seed(self, seed: int) -> None:
        """Start the random numbers of the device and of the CPU anew."""
        # torch.manual_seed formats a stack trace for each GPU interface that is not in use.
        torch.default_generator.manual_seed(seed)
        if self.device.type == 'cuda':
            torch.cuda.manual_seed(seed)


@contextmanager
def placement(device: str = 'auto') -> Iterator[Placement]:
    """Join the processes that ``torchrun`` started, if it did.

    Args:
        device: 'auto', 'cpu' or 'cuda'.

    Raises:
        ConfigError: 'cuda' without a GPU.
    """
    if device == 'cuda' and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but torch finds no GPU")
    use_gpu = device == 'cuda' or (device == 'auto' and torch.cuda.is_available())
    num_processes = int(os.environ.get('WORLD_SIZE', '1'))
    local = int(os.environ.get('LOCAL_RANK', '0'))
    chosen = torch.device('cuda', local) if use_gpu else torch.device('cpu')
    if use_gpu:
        torch.cuda.set_device(chosen)
    if num_processes == 1:
        yield Placement(chosen)
        return
    dist.init_process_group('nccl' if use_gpu else 'gloo')
    try:
        yield Placement(chosen, dist.get_rank(), num_processes)
    finally:
        dist.destroy_process_group()


def step_seed(seed: int, step: int, rank: int) -> int:
    """Return the seed of the random numbers of one step of one process."""
    return ((seed * 1_000_003 + step) * 1009 + rank) % 2**63
