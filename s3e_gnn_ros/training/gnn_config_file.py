"""What the training of a GNN is made of, as read from ``config/train/gnn*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.graph.gnn_config import GNNConfig
from s3e_gnn_ros.training.section import Section, value
from s3e_gnn_ros.training.train_config import LoopConfig, OptimiserConfig, ScheduleConfig


@dataclass(frozen=True)
class SequenceConfig(Section):
    """Embedding sequences, split by scene, and what training does to them.

    Attributes:
        train: npz files, or folders of them, that are learned from.
        validation: those that choose the best weights.
        scenes_per_step: sequences per step, over all processes together.
        windows: query sub-graphs per sequence and step.
        noise: deviation of what is added to an embedding of unit length.
        drop: share of the keyframes left out, at most.
        max_stride: only every so many-th keyframe, at most, of both runs of a step.
        validation_strides: likewise, of the episodes that choose the best weights.
        loops: share of overlapping keyframes of one run that are joined as by a verified loop.
        num_bins: of overlap; windows of every bin in use are drawn equally often.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    scenes_per_step: int = value(2, minimum=1)
    windows: int = value(32, minimum=1)
    noise: float = value(0.2, minimum=0.0)
    drop: float = value(0.3, minimum=0.0, maximum=0.9)
    max_stride: int = value(1, minimum=1)
    validation_strides: tuple[int, ...] = (1,)
    loops: float = value(0.1, minimum=0.0, maximum=1.0)
    num_bins: int = value(10, minimum=1)

    def __post_init__(self) -> None:
        """Refuse strides that are none."""
        super().__post_init__()
        for stride in self.validation_strides:
            if stride < 1:
                raise ConfigError(f'validation_strides holds {stride} instead of 1 or more')


@dataclass(frozen=True)
class GNNLossConfig(Section):
    """The loss of the GNN: :func:`gnn_loss` and :func:`ranking_loss`.

    Attributes:
        row_weight: of the paper's loss, row by row.
        temperature: of its softmax over a row of U.
        ranking_weight: of the loss over all queries together.
        ranking_temperature: of its differences of U.
    """

    row_weight: float = value(0.0, minimum=0.0)
    temperature: float = value(0.02, minimum=1e-5)
    ranking_weight: float = value(1.0, minimum=0.0)
    ranking_temperature: float = value(0.05, minimum=1e-5)


@dataclass(frozen=True)
class GNNTrainConfig(Section):
    """Training of a GNN.

    Attributes:
        data: embedding sequences.
        encoder: weights file of the encoder that made them, which is stored with the GNN; empty:
            the GNN alone.
        gnn: architecture.
        steps: of gradient.
        optimiser: how a gradient becomes a step.
        schedule: learning rate over the steps.
        loss: what is lowered.
        loop: the rest.
    """

    data: SequenceConfig = field(default_factory=SequenceConfig)
    encoder: str = ''
    gnn: GNNConfig = field(default_factory=GNNConfig)
    steps: int = value(3000, minimum=1)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: GNNLossConfig = field(default_factory=GNNLossConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
