"""Optimisers, and the running average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from s3e_gnn_ros.training.train_config import OptimiserConfig


def make_optimiser(module: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Make the optimiser of all parameters that learn."""
    learning = [p for p in module.parameters() if p.requires_grad]
    if config.name == 'sgd':
        return torch.optim.SGD(
            learning, config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
    # Biases, norms and temperatures are not pulled towards zero.
    groups = [
        {'params': [p for p in learning if p.dim() >= 2], 'weight_decay': config.weight_decay},
        {'params': [p for p in learning if p.dim() < 2], 'weight_decay': 0.0},
    ]
    return torch.optim.AdamW(
        [g for g in groups if g['params']], config.lr, (config.momentum, 0.99)
    )


class WeightAverage:
    """Exponential running average of the weights; counters and the like are copied.

    Args:
        module: whose weights are averaged.
        decay: share of the old average that stays with each step; 0: no average at all.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module = module
        self._decay = decay
        self.tensors: dict[str, Tensor] = {}
        if decay > 0.0:
            self.restore(module.state_dict())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step."""
        state = self._module.state_dict() if self.tensors else {}
        for name, value in state.items():
            if value.is_floating_point():
                self.tensors[name].lerp_(value, 1.0 - self._decay)
            else:
                self.tensors[name].copy_(value)

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back a stored average."""
        now = self._module.state_dict()
        self.tensors = {k: v.detach().clone().to(now[k].device) for k, v in tensors.items()}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have the average in the module, and the weights back afterwards."""
        if not self.tensors:
            yield
            return
        weights = {name: value.clone() for name, value in self._module.state_dict().items()}
        self._module.load_state_dict(self.tensors)
        try:
            yield
        finally:
            self._module.load_state_dict(weights)
