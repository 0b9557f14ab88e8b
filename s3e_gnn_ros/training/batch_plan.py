"""Which groups make up which batch, so that all groups of a batch are negatives of each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError

# Groups put off because of a conflict that are looked at again before new ones.
_MAX_RECONSIDERED = 128


class BatchPlan:
    """Shuffles groups anew each epoch into batches in which no two may show the same place.

    Every epoch has ``len(groups) // batch_size`` batches. Towards its end, where the groups left
    conflict with each other, some groups come a second time instead of them.

    Args:
        scenes: (N,) name of each group's scene.
        bounds: (N, 2, 3) float32, box around what each group sees within its scene.
        batch_size: groups per batch.
        seed: of the shuffling.

    Attributes:
        scene_ids: (N,) int64, the same number for the same scene.
        batches_per_epoch: how many.

    Raises:
        InputError: there are too few groups, or too few that show different places.
    """

    def __init__(
        self, scenes: Sequence[str], bounds: NDArray[np.float32], batch_size: int, seed: int
    ) -> None:
        if not 1 <= batch_size <= len(scenes):
            raise InputError(f'a batch of {batch_size} groups from a set of {len(scenes)}')
        self.scene_ids = np.unique(np.array(scenes), return_inverse=True)[1].astype(np.int64)
        self.batches_per_epoch = len(scenes) // batch_size
        self._bounds = bounds
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._batches: list[list[int]] = []
        self.batch(0)

    def batch(self, step: int) -> list[int]:
        """Return the groups of a batch; batches count on through the epochs."""
        epoch, position = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._batches = self._plan(epoch)
            self._epoch = epoch
        return self._batches[position]

    def _plan(self, epoch: int) -> list[list[int]]:
        order = np.random.default_rng((self._seed, epoch)).permutation(len(self.scene_ids))
        fresh = iter(order.tolist())
        waiting: list[int] = []
        batches = []
        for _ in range(self.batches_per_epoch):
            batch: list[int] = []
            head = iter(waiting[:_MAX_RECONSIDERED])
            waiting = [*self._fill(batch, head), *head, *waiting[_MAX_RECONSIDERED:]]
            waiting += self._fill(batch, fresh)
            self._fill(batch, chain(waiting, order.tolist()))
            if len(batch) < self._batch_size:
                raise InputError(
                    f'a batch of {self._batch_size} groups needs as many places, the training '
                    f'set gives {len(batch)} that surely differ'
                )
            batches.append(batch)
            waiting = [group for group in waiting if group not in batch]
        return batches

    def _fill(self, batch: list[int], candidates: Iterator[int]) -> list[int]:
        """Append candidates without conflict until the batch is full; return those put off."""
        put_off: list[int] = []
        while len(batch) < self._batch_size:
            group = next(candidates, None)
            if group is None:
                return put_off
            if self._conflicts(group, batch):
                put_off.append(group)
            else:
                batch.append(group)
        return put_off

    def _conflicts(self, group: int, batch: list[int]) -> bool:
        if group in batch:
            return True
        same = [other for other in batch if self.scene_ids[other] == self.scene_ids[group]]
        low, high = self._bounds[group]
        others = self._bounds[same]  # (K, 2, 3)
        meets = (others[:, 0] <= high).all(axis=1) & (low <= others[:, 1]).all(axis=1)
        return bool(meets.any())
