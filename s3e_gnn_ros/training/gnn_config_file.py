"""What the training of a GNN is made of, as read from ``config/train/gnn*.yaml``."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        loops: share of overlapping keyframes of one run that are joined as by a verified loop.
        num_bins: of overlap; windows of every bin in use are drawn equally often.
    """

    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    scenes_per_step: int = value(2, minimum=1)
    windows: int = value(32, minimum=1)
    noise: float = value(0.2, minimum=0.0)
    drop: float = value(0.3, minimum=0.0, maximum=0.9)
    loops: float = value(0.1, minimum=0.0, maximum=1.0)
    num_bins: int = value(10, minimum=1)


@dataclass(frozen=True)
class GNNLossConfig(Section):
    """The loss of the GNN; see :func:`gnn_loss`.

    Attributes:
        temperature: of the softmax over a row of U.
        binary_weight: of telling rows with overlap from those without.
    """

    temperature: float = value(0.02, minimum=1e-5)
    binary_weight: float = value(0.5, minimum=0.0)


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
