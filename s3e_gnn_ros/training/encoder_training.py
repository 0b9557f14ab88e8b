"""An encoder's training: its stages one after the other, then its weights file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from s3e_gnn_ros.encoder.model import build_encoder
from s3e_gnn_ros.encoder.weights import Weights, load_weights, save_weights
from s3e_gnn_ros.training.checkpoint import (
    Checkpoint,
    load_checkpoint,
    restore_module,
    save_checkpoint,
)
from s3e_gnn_ros.training.curves import Curves, best_values
from s3e_gnn_ros.training.distributed import Placement
from s3e_gnn_ros.training.encoder_task import EncoderTask
from s3e_gnn_ros.training.head_fit import fit_head, fit_whitening
from s3e_gnn_ros.training.run_folder import write_result
from s3e_gnn_ros.training.train_config import EncoderTrainConfig, StageConfig
from s3e_gnn_ros.training.trainer import CHECKPOINT_FILE, Plan, Trainer

WEIGHTS_FILE = 'encoder.safetensors'
_PART = 'encoder'  # its name in a weights file


class Batches(Protocol):
    """Batches of groups whose content follows from seed and step alone."""

    def __len__(self) -> int:
        """Return the steps of an epoch."""

    def __getitem__(self, step: int) -> Any:
        """Return the batch of a step."""

    def stream(
        self, start: int, stop: int, *, workers: int = 0, pin_memory: bool = False
    ) -> Iterable[Any]:
        """Yield the batches of steps ``start`` to ``stop - 1``."""


class GroupData(Protocol):
    """Training and validation sets."""

    def training(self, stage: StageConfig, seed: int, place: Placement) -> Batches:
        """Open the training sets for this process."""

    def validation(self) -> Sequence[Any]:
        """Return the same batches each time; none without validation data."""


class EncoderRun:
    """Training of an encoder.

    Args:
        config: all of the run.
        data: training and validation groups.
        folder: of the run; there already.
        place: device and number of this process.
    """

    def __init__(
        self,
        config: EncoderTrainConfig,
        data: GroupData,
        folder: Path,
        place: Placement,
    ) -> None:
        self._config = config
        self._data = data
        self._folder = folder
        self._place = place
        torch.manual_seed(config.loop.seed)  # of the initial weights: alike in all processes
        network = build_encoder(config.encoder)
        if config.initial_weights:
            _start_from(load_weights(config.initial_weights), network)
        self.network: Any = network.to(place.device)

    def run(self, curves: Curves, *, resume: bool = False) -> dict[str, Any]:
        """Train all stages, or those that remain, and write the weights.

        Returns:
            The last validation values of each stage, and where the weights are.

        Raises:
            ConfigError: a stage does not fit the data.
            InputError: a file cannot be read or written, or the loss is no longer a number.
            KeyboardInterrupt: after a checkpoint has been written.
        """
        path = self._folder / CHECKPOINT_FILE
        checkpoint = load_checkpoint(path) if resume else None
        first = 0
        if checkpoint is not None:
            first, step = int(checkpoint.progress['stage']), int(checkpoint.progress['step'])
            curves.cut([self._label(number) for number in range(first)], self._label(first), step)
            restore_module(self.network, checkpoint.part('model.network'), path)
        for number in range(first, len(self._config.stages)):
            self._run_stage(number, curves, checkpoint if number == first else None)
            self._mark_done(number)
        return self._finish()

    def _run_stage(self, number: int, curves: Curves, checkpoint: Checkpoint | None) -> None:
        stage, loop, device = self._config.stages[number], self._config.loop, self._place.device
        task = EncoderTask(self.network, stage, self._data.validation()).to(device)
        if stage.name in ('head', 'whitening'):
            self._fit_head(stage, number)
            with torch.no_grad():
                curves.add(self._label(number), 0, task.validate())
            return
        batches = self._data.training(stage, loop.seed + number, self._place)
        num_steps = stage.steps or stage.epochs * len(batches)
        plan = Plan(self._label(number), number, num_steps, stage.optimiser, stage.schedule, loop)

        def source(step: int) -> Iterable[Any]:
            is_gpu = device.type == 'cuda'
            return batches.stream(step, num_steps, workers=loop.workers, pin_memory=is_gpu)

        trainer = Trainer(task, source, plan, self._folder, curves, self._place)
        if checkpoint is not None and int(checkpoint.progress['step']) > 0:
            trainer.restore(checkpoint, self._folder / CHECKPOINT_FILE)
        trainer.fit()

    def _fit_head(self, stage: StageConfig, number: int) -> None:
        """Fit from the same images in every process."""
        alone = Placement(self._place.device)
        batches = self._data.training(stage, self._config.loop.seed + number, alone)
        images = batches.stream(0, stage.steps or stage.epochs * len(batches))
        if stage.name == 'head':
            fit_head(self.network, images, self._place.device, self._config.loop.seed)
        else:
            fit_whitening(self.network, images, self._place.device)

    def _label(self, number: int) -> str:
        """Return the name of a stage in files; stages of one kind can follow each other."""
        stages = self._config.stages
        return f'{number}_{stages[number].name}' if number < len(stages) else 'done'

    def _mark_done(self, number: int) -> None:
        if self._place.is_first:
            parts = {'model.network': self.network.state_dict()}
            progress = {'stage': number + 1, 'step': 0, 'best': None}
            save_checkpoint(self._folder / CHECKPOINT_FILE, parts, progress)

    def _finish(self) -> dict[str, Any]:
        path = self._folder / WEIGHTS_FILE
        values = best_values(self._folder)
        if self._place.is_first:
            description = {
                _PART: asdict(self._config.encoder),
                'training': {'configuration': asdict(self._config), 'validation': values},
            }
            save_weights(path, {_PART: self.network.state_dict()}, description)
            write_result(self._folder, {'weights': WEIGHTS_FILE, 'validation': values})
        return {'weights': str(path), 'validation': values}


def _start_from(weights: Weights, network: nn.Module) -> None:
    """Fill a network; a backbone that the weights do not have starts as it is.

    Raises:
        InputError: the weights are of another architecture in any other way.
    """
    lacking = {
        f'{_PART}.{name}': value
        for name, value in network.state_dict().items()
        if name.startswith('context.')
    }
    tensors = {**lacking, **weights.tensors}
    replace(weights, tensors=tensors).load_into(network, _PART)
