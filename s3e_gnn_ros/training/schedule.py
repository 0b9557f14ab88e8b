"""Learning rates as functions of the step, so that a resumed run needs no state of them."""

from __future__ import annotations

import math

from s3e_gnn_ros.training.train_config import ScheduleConfig

_FINAL_SHARE = 0.01


def learning_rate(step: int, num_steps: int, lr: float, schedule: ScheduleConfig) -> float:
    """Return the learning rate of one step.

    Args:
        step: counts from 0.
        num_steps: of the whole stage.
        lr: base learning rate.
        schedule: its shape over the stage.
    """
    if schedule.name == 'cyclic':
        return _cyclic(step, num_steps / schedule.num_cycles, lr, schedule.max_lr)
    if schedule.name == 'cosine':
        return _cosine(step, num_steps, lr, schedule.warmup)
    return lr


def _cyclic(step: int, period: float, low: float, high: float) -> float:
    """Triangles (Smith, Cyclical learning rates for training neural networks, WACV 2017)."""
    phase = (step / period) % 1.0
    return low + (high - low) * (1.0 - abs(2.0 * phase - 1.0))


def _cosine(step: int, num_steps: int, top: float, warmup: float) -> float:
    """A linear rise, then half a cosine down to a hundredth."""
    rise = warmup * num_steps
    if step < rise:
        return top * (step + 1) / (rise + 1)
    progress = (step - rise) / max(1.0, num_steps - rise)
    low = _FINAL_SHARE * top
    return low + (top - low) * 0.5 * (1.0 + math.cos(math.pi * progress))
