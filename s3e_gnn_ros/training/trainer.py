"""The training loop: one for the encoders and the GNN, on a CPU, a GPU or several."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimiser_tensors,
    restore_module,
    restore_optimiser,
    save_checkpoint,
)
from s3e_gnn_ros.training.curves import Curves
from s3e_gnn_ros.training.distributed import Placement, step_seed
from s3e_gnn_ros.training.interrupt import Interrupt
from s3e_gnn_ros.training.optimiser import WeightAverage, make_optimiser
from s3e_gnn_ros.training.schedule import learning_rate
from s3e_gnn_ros.training.train_config import LoopConfig, OptimiserConfig, ScheduleConfig

CHECKPOINT_FILE = 'checkpoint.safetensors'

Source = Callable[[int], Iterable[Any]]
"""Gives the batches from a step on; each is a function of seed, step and rank alone."""


class Task(Protocol):
    """What is learned: a ``torch.nn.Module`` around the network, with losses and validation.

    Attributes:
        network: whose weights are stored.
        metric: name of the validation value, higher is better, that chooses the best weights.
    """

    network: nn.Module
    metric: str

    def forward(self, batch: Any) -> dict[str, Tensor]:
        """Return scalars by name; 'loss' is the one to lower."""

    def set_training(self) -> None:
        """Put the parts that learn into training mode."""

    def validate(self) -> dict[str, float]:
        """Return validation values; empty without validation data."""


@dataclass(frozen=True)
class Plan:
    """One stage of a run.

    Attributes:
        stage: its name in files, different from that of all other stages.
        number: its place among all stages, from 0.
        num_steps: gradient steps.
        optimiser: how a gradient becomes a step.
        schedule: learning rate over the steps.
        loop: what all stages share.
    """

    stage: str
    number: int
    num_steps: int
    optimiser: OptimiserConfig
    schedule: ScheduleConfig
    loop: LoopConfig


class Trainer:
    """Runs the steps of one stage.

    Args:
        task: a module that is a :class:`Task`, on its device.
        source: the batches.
        plan: the stage.
        folder: of the run: checkpoint, best weights.
        curves: where the numbers go.
        place: device and number of this process.
    """

    def __init__(
        self,
        task: Any,
        source: Source,
        plan: Plan,
        folder: Path,
        curves: Curves,
        place: Placement,
    ) -> None:
        self._task = task
        self._source = source
        self._plan = plan
        self._folder = folder
        self._curves = curves
        self._place = place
        self._optimiser = make_optimiser(task, plan.optimiser)
        self._average = WeightAverage(task.network, plan.loop.ema_decay)
        self._model = DistributedDataParallel(task) if place.num_processes > 1 else task
        self.step = 0
        self.best = -math.inf

    def fit(self) -> None:
        """Run all steps that remain, and leave the best weights in the network.

        Raises:
            InputError: the loss is no longer a number, or a file cannot be written.
            KeyboardInterrupt: after the step during which it came; the checkpoint is written.
        """
        plan, loop = self._plan, self._plan.loop
        with Interrupt() as interrupt, self._bar() as bar:
            if self.step == 0:
                self._validate()  # no stage leaves weights worse than those it started from
            clock = _Clock(self.step)
            batches = itertools.islice(self._source(self.step), plan.num_steps - self.step)
            for batch in batches:
                losses = self._learn(batch.to(self._place.device))
                self.step += 1
                bar.update()
                if self._is_due(loop.log_interval):
                    rate = clock.steps_per_s(self.step)
                    self._curves.add(plan.stage, self.step, {**losses, 'steps_per_s': rate})
                    bar.set_postfix(loss=f'{losses["loss"]:.4f}')
                if self._is_due(loop.validation_interval):
                    self._validate()
                should_stop = self._agree(interrupt.is_requested)
                if should_stop or self._is_due(loop.checkpoint_interval):
                    self._write_checkpoint()
                if should_stop:
                    raise KeyboardInterrupt
        self._take_best()

    def restore(self, checkpoint: Checkpoint, path: Path) -> None:
        """Go back to a checkpoint of this stage."""
        restore_module(self._task, checkpoint.part('model'), path)
        restore_optimiser(self._optimiser, self._task, checkpoint.part('optimiser'))
        if self._average.tensors:
            self._average.restore(checkpoint.part('average'))
        self.step = int(checkpoint.progress['step'])
        best = checkpoint.progress['best']
        self.best = -math.inf if best is None else float(best)

    def _learn(self, batch: Any) -> dict[str, float]:
        """Forward, backward, step."""
        plan, loop = self._plan, self._plan.loop
        self._place.seed(step_seed(loop.seed, self.step, self._place.rank))
        rate = learning_rate(self.step, plan.num_steps, plan.optimiser.lr, plan.schedule)
        for group in self._optimiser.param_groups:
            group['lr'] = rate
        self._task.set_training()
        half = loop.precision == 'bfloat16'
        with torch.autocast(self._place.device.type, torch.bfloat16, enabled=half):
            losses = self._model(batch)
        numbers = {name: float(value.detach()) for name, value in losses.items()}
        if not math.isfinite(numbers['loss']):
            raise InputError(f'the loss is {numbers["loss"]} at step {self.step} of {plan.stage}')
        self._optimiser.zero_grad(set_to_none=True)
        losses['loss'].backward()
        norm = self._clip()
        self._optimiser.step()
        self._average.update()
        return {**numbers, 'gradient_norm': norm, 'lr': rate}

    def _clip(self) -> float:
        longest = self._plan.optimiser.max_gradient_norm or math.inf
        learning = (p for p in self._task.parameters() if p.requires_grad)
        return float(torch.nn.utils.clip_grad_norm_(learning, longest))

    def _validate(self) -> None:
        """Measure, and keep the weights when they are the best so far."""
        if not self._place.is_first:
            return
        with self._average.applied():
            self._task.network.eval()
            with torch.no_grad():
                values = self._task.validate()
            if not values:
                return
            self._curves.add(self._plan.stage, self.step, values)
            if values[self._task.metric] > self.best:
                self.best = values[self._task.metric]
                state = self._task.network.state_dict()
                save_checkpoint(self._best_path, {'model': state}, {'step': self.step, **values})

    def _take_best(self) -> None:
        """Load the best weights, or the average when there was no validation."""
        if self._average.tensors:
            self._task.network.load_state_dict(self._average.tensors)
        if self._place.num_processes > 1:
            dist.barrier()  # until the first process has written the file
        if self._best_path.is_file():
            best = load_checkpoint(self._best_path)
            restore_module(self._task.network, best.part('model'), self._best_path)
        self._task.network.eval()

    def _write_checkpoint(self) -> None:
        if not self._place.is_first:
            return
        parts: dict[str, Mapping[str, Tensor]] = {
            'model': self._task.state_dict(),
            'optimiser': optimiser_tensors(self._optimiser, self._task),
            'average': self._average.tensors,
        }
        progress = {
            'stage': self._plan.number,
            'step': self.step,
            'best': self.best if math.isfinite(self.best) else None,
            'seed': self._plan.loop.seed,
        }
        save_checkpoint(self._folder / CHECKPOINT_FILE, parts, progress)

    def _is_due(self, interval: int) -> bool:
        return self.step % interval == 0 or self.step == self._plan.num_steps

    def _agree(self, flag: bool) -> bool:
        """Whether any process says so: all have to stop after the same step."""
        if self._place.num_processes == 1:
            return flag
        votes = torch.tensor(float(flag), device=self._place.device)
        dist.all_reduce(votes)
        return bool(votes > 0)

    def _bar(self) -> Any:
        from tqdm import tqdm

        return tqdm(
            total=self._plan.num_steps,
            initial=self.step,
            desc=self._plan.stage,
            unit='step',
            disable=None if self._place.is_first else True,
        )

    @property
    def _best_path(self) -> Path:
        return self._folder / f'best_{self._plan.stage}.safetensors'


class _Clock:
    """Steps per second since it was last asked."""

    def __init__(self, step: int) -> None:
        self._step = step
        self._time = time.perf_counter()

    def steps_per_s(self, step: int) -> float:
        now = time.perf_counter()
        rate = (step - self._step) / max(now - self._time, 1e-9)
        self._step, self._time = step, now
        return round(rate, 3)
