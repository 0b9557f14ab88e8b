"""What a training run is made of, as read from ``config/train/*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field

from s3e_gnn_ros.encoder.encoder_config import EncoderConfig
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.training.section import Section, value

STAGES = ('local', 'head', 'global', 'pairs', 'whitening')
IMPROVED_STAGES = ('local', 'head', 'whitening')  # the paper's encoders have none of these


@dataclass(frozen=True)
class DataConfig(Section):
    """Folders of training sets, split by scene: none may hold a scene of another.

    Attributes:
        train: folders that are learned from.
        validation: folders that choose the best weights.
        validation_groups: per batch of validation.
        num_validation_batches: read per validation, the same ones each time.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    validation_groups: int = value(8, minimum=1)
    num_validation_batches: int = value(16, minimum=1)


@dataclass(frozen=True)
class OptimiserConfig(Section):
    """How a gradient becomes a step.

    Attributes:
        name: 'adamw' or 'sgd'.
        lr: learning rate; the lowest one of the cyclic schedule, the highest of the others.
        momentum: of SGD, and the first beta of AdamW.
        weight_decay: on weights of two dimensions and more; all weights with SGD (the paper's).
        max_gradient_norm: longer gradients are shortened to it; 0 leaves them.
    """

    name: str = value('adamw', choices=('adamw', 'sgd'))
    lr: float = value(1e-3, minimum=0.0)
    momentum: float = value(0.9, minimum=0.0, maximum=0.9999)
    weight_decay: float = value(1e-4, minimum=0.0)
    max_gradient_norm: float = value(1.0, minimum=0.0)


@dataclass(frozen=True)
class ScheduleConfig(Section):
    """Learning rate over the steps of a stage.

    Attributes:
        name: 'constant', 'cyclic' (triangles between lr and max_lr), or 'cosine' (rise to lr,
            then half a cosine down to 0.01 lr).
        max_lr: top of the cyclic schedule.
        num_cycles: triangles over the stage; the paper gives no number.
        warmup: share of the stage in which 'cosine' rises.
    """

    name: str = value('cosine', choices=('constant', 'cyclic', 'cosine'))
    max_lr: float = value(0.1, minimum=0.0)
    num_cycles: int = value(7, minimum=1)
    warmup: float = value(0.05, minimum=0.0, maximum=1.0)


@dataclass(frozen=True)
class LossConfig(Section):
    """Losses of a stage.

    Attributes:
        local_weight: weight of the patch correspondences beside the stage's own loss.
        local_temperature: of the patch correspondences.
        tolerance_px: patches closer than this see the same place.
        name: of the stage 'global': 'info_nce' or 'multi_similarity'.
        temperature: of InfoNCE.
        shrinkage_a: of the stage 'pairs'.
        shrinkage_c: of the stage 'pairs'.
        num_bins: of IoU, each with the same weight in the stage 'pairs'; 1 weighs all pairs alike.
    """

    local_weight: float = value(0.3, minimum=0.0)
    local_temperature: float = value(0.07, minimum=1e-4)
    tolerance_px: float = value(4.0, minimum=0.0)
    name: str = value('info_nce', choices=('info_nce', 'multi_similarity'))
    temperature: float = value(0.07, minimum=1e-4)
    shrinkage_a: float = value(10.0, minimum=0.0)
    shrinkage_c: float = value(0.2, minimum=0.0)
    num_bins: int = value(10, minimum=1)


@dataclass(frozen=True)
class StageConfig(Section):
    """One part of a training run, with its own optimiser.

    Attributes:
        name: 'local' (patch correspondences), 'head' (VLAD centres by k-means and PCA whitening,
            without gradient), 'global' (contrastive), 'pairs' (the paper's: cosine to IoU), or
            'whitening' (of what is pooled now, without gradient).
        steps: gradient steps; 0: ``epochs`` counts. Of 'head' and 'whitening': batches whose
            images are used.
        epochs: passes over the training set.
        groups: groups of views per step, over all processes together.
        views: of each group that are used, the first and random others; 0: all.
        flip: mirror groups at random, patches and coordinates together.
        balanced_bins: groups are repeated until equally many have each overlap of their first
            view with the others, in so many bins; 0: each counts once.
        optimiser: how a gradient becomes a step.
        schedule: learning rate over the stage.
        losses: weights and temperatures.
        exchange: of 'local': the descriptors after the exchange between patches are trained, and
            the backbone with them; else those of each patch alone.
        frozen: parts of the network that do not learn, by the start of their names.
    """

    name: str = value('global', choices=STAGES)
    steps: int = value(0, minimum=0)
    epochs: int = value(0, minimum=0)
    groups: int = value(8, minimum=1)
    views: int = value(0, minimum=0)
    flip: bool = True
    balanced_bins: int = value(0, minimum=0)
    exchange: bool = False
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    losses: LossConfig = field(default_factory=LossConfig)
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a stage without an end, or with two."""
        super().__post_init__()
        if (self.steps > 0) == (self.epochs > 0):
            raise ConfigError(
                f"stage '{self.name}' has {self.steps} steps and {self.epochs} epochs instead of "
                'one of them'
            )


@dataclass(frozen=True)
class LoopConfig(Section):
    """What all stages share.

    Attributes:
        seed: of initial weights and of the order of data.
        threads: of torch on the CPU; 0 leaves its own choice.
        device: 'auto' (a GPU if there is one), 'cpu' or 'cuda'.
        precision: 'float32', or 'bfloat16' in the forward pass.
        ema_decay: of the running average of weights, which is validated and kept; 0: none.
        log_interval: steps between points of the curves.
        validation_interval: steps between validations.
        checkpoint_interval: steps between checkpoints.
        workers: processes that read the training set; 0: the training process itself.
    """

    seed: int = value(0, minimum=0)
    threads: int = value(0, minimum=0)
    device: str = value('auto', choices=('auto', 'cpu', 'cuda'))
    precision: str = value('float32', choices=('float32', 'bfloat16'))
    ema_decay: float = value(0.0, minimum=0.0, maximum=0.99999)
    log_interval: int = value(10, minimum=1)
    validation_interval: int = value(200, minimum=1)
    checkpoint_interval: int = value(200, minimum=1)
    workers: int = value(0, minimum=0)


@dataclass(frozen=True)
class EncoderTrainConfig(Section):
    """Training of an encoder.

    Attributes:
        data: training and validation sets.
        encoder: architecture.
        initial_weights: a weights file or packaged name to start from; empty: random. It may
            lack the backbone.
        stages: in this order.
        loop: what all stages share.
    """

    data: DataConfig = field(default_factory=DataConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    initial_weights: str = ''
    stages: tuple[StageConfig, ...] = ()
    loop: LoopConfig = field(default_factory=LoopConfig)

    def __post_init__(self) -> None:
        """Refuse a run without stages, or stages the encoder cannot take."""
        super().__post_init__()
        if not self.stages:
            raise ConfigError('there are no stages to train')
        for stage in self.stages:
            if stage.name in IMPROVED_STAGES and self.encoder.form == 'paper':
                raise ConfigError(f"the paper's encoders have no stage '{stage.name}'")
