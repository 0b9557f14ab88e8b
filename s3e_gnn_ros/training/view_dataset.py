"""Streams batches of view groups from training sets, from any step on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.training.batch_plan import BatchPlan
from s3e_gnn_ros.training.pair_sampling import balanced_pairs
from s3e_gnn_ros.training.shards import ViewShards

_PER_PATCH = ('pixels', 'points_px', 'sizes_px', 'landmarks', 'spacing')
_PER_VIEW = ('image_size', 'overlap')
_Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ViewBatch:
    """G groups of V views; no two groups show the same place.

    Attributes:
        pixels: (G, V, n, C, S, S) uint8.
        points_px: (G, V, n, 2) float32.
        sizes_px: (G, V, n) float32, diameter of the keypoints.
        landmarks: (G, V, n, 3) float32 in the group's frame; NaN where unknown.
        spacing: (G, V, n) float32; NaN where unknown.
        image_size: (G, V, 2) int32, width and height.
        overlap: (G, V, V) float32, directed; across groups it is 0.
        scene: (G,) int64, number of the scene.
    """

    pixels: Tensor
    points_px: Tensor
    sizes_px: Tensor
    landmarks: Tensor
    spacing: Tensor
    image_size: Tensor
    overlap: Tensor
    scene: Tensor

    def to(self, device: torch.device | str) -> ViewBatch:
        """Copy to a device; from pinned memory without waiting for it."""
        moved = {
            item.name: getattr(self, item.name).to(device, non_blocking=True)
            for item in fields(self)
        }
        return ViewBatch(**moved)

    def pin_memory(self) -> ViewBatch:
        """Copy to memory that a GPU reads directly; a data loader calls it."""
        return ViewBatch(**{i.name: getattr(self, i.name).pin_memory() for i in fields(self)})


class ViewDataset(Dataset[ViewBatch]):
    """Batches of one or several training sets, in an order that only the seed decides.

    Item ``step`` is the batch of that step, counted from the start of training, so that a run
    resumes exactly: its state is the seed and the step.

    Args:
        folders: training sets with the same patches and equally many views.
        batch_size: groups per step, over all processes together.
        num_patches: drawn anew from those stored for each view and step; None takes all.
        seed: of the order of groups, the patches drawn and the mirroring.
        flip: mirror half of the groups, patches and coordinates together.
        balanced_bins: of the overlap of first views with the others; groups of rare overlap are
            repeated until all bins are equally full. 0: each group counts once.
        rank: which process this is; each gets its part of every batch.
        world_size: number of processes.
        verify: compare the bytes of the sets with their manifests first.

    Raises:
        InputError: a set is damaged, they do not fit together, or are too small.
        DependencyError: imbalanced-learn, which balances, is not installed.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        batch_size: int,
        *,
        num_patches: int | None = 128,
        seed: int = 0,
        flip: bool = True,
        balanced_bins: int = 0,
        rank: int = 0,
        world_size: int = 1,
        verify: bool = True,
    ) -> None:
        if batch_size % world_size:
            raise InputError(f'{batch_size} groups cannot be shared by {world_size} processes')
        self.sets = tuple(ViewShards(folder, verify=verify) for folder in folders)
        _check_alike(self.sets, num_patches)
        self._form = str(self.sets[0].options['patches']['form'])
        self._group_in_set = [(s, k) for s, one in enumerate(self.sets) for k in range(len(one))]
        scenes = [scene for one in self.sets for scene in one.scenes]
        bounds = np.concatenate([one.read_all('bounds') for one in self.sets])
        if balanced_bins:
            chosen = balanced_pairs(_mean_overlap(self.sets), balanced_bins, seed)
            self._group_in_set = [self._group_in_set[k] for k in chosen]
            scenes, bounds = [scenes[k] for k in chosen], bounds[chosen]
        self._plan = BatchPlan(scenes, bounds, batch_size, seed)
        self._num_patches = num_patches
        self._seed = seed
        self._flip = flip
        self._part = slice(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return self._plan.batches_per_epoch

    def __getitem__(self, step: int) -> ViewBatch:
        """Read the batch of a step, which may lie in any epoch."""
        numbers = list(enumerate(self._plan.batch(step)))[self._part]
        groups = [self._group(number, step, place) for place, number in numbers]
        arrays = {
            name: torch.from_numpy(np.stack([group[name] for group in groups]))
            for name in (*_PER_PATCH, *_PER_VIEW)
        }
        scene = self._plan.scene_ids[[number for _, number in numbers]]
        return ViewBatch(**arrays, scene=torch.from_numpy(scene))

    def stream(
        self, start: int, stop: int, *, workers: int = 0, pin_memory: bool = False
    ) -> Iterator[ViewBatch]:
        """Read the batches of steps ``start`` to ``stop - 1``, ahead of time with workers."""
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
            pin_memory=pin_memory,
        )
        yield from loader

    def _group(self, number: int, step: int, place: int) -> _Arrays:
        """Read one group, draw its patches, and mirror it or not."""
        owner, index = self._group_in_set[number]
        arrays = self.sets[owner].read(index, (*_PER_PATCH, *_PER_VIEW))
        rng = np.random.default_rng((self._seed, step, place))
        is_mirrored = self._flip and rng.random() < 0.5
        if self._num_patches is not None:
            arrays = _draw_patches(arrays, self._num_patches, rng)
        return mirror(arrays, self._form) if is_mirrored else arrays


def mirror(arrays: _Arrays, form: str) -> _Arrays:
    """Return what would have been cut from the mirrored images of a group.

    Landmarks stay: they name what is seen. An upright patch (form 'paper') turns left to right.
    A patch in the frame of its keypoint's angle a turns about that axis, top to bottom, as the
    angle becomes 180 deg - a.

    Args:
        arrays: ``pixels`` (V, n, C, S, S), ``points_px`` (V, n, 2), ``image_size`` (V, 2), others.
        form: of the patches.
    """
    points = arrays['points_px'].copy()
    points[..., 0] = arrays['image_size'][:, None, 0] - 1 - points[..., 0]
    pixels = arrays['pixels']
    pixels = pixels[..., ::-1] if form == 'paper' else pixels[..., ::-1, :]
    return {**arrays, 'points_px': points.astype(np.float32), 'pixels': pixels}


def _draw_patches(arrays: _Arrays, num: int, rng: np.random.Generator) -> _Arrays:
    """Choose ``num`` patches of each view."""
    num_views, num_stored = arrays['spacing'].shape
    chosen = np.stack([rng.permutation(num_stored)[:num] for _ in range(num_views)])
    rows = np.arange(num_views)[:, None]
    drawn = {name: arrays[name][rows, chosen] for name in _PER_PATCH}
    return {**arrays, **drawn}


def _mean_overlap(sets: Sequence[ViewShards]) -> NDArray[np.float32]:
    """Return how much the first view of each group (G,) overlaps the others, in the mean."""
    overlap = np.concatenate([one.read_all('overlap') for one in sets])  # (G, V, V)
    both = 0.5 * (overlap[:, 0, 1:] + overlap[:, 1:, 0])
    return np.asarray(both.mean(axis=1), np.float32)


def _check_alike(sets: Sequence[ViewShards], num_patches: int | None) -> None:
    """Refuse sets of different patches or number of views, or with too few patches."""
    if not sets:
        raise InputError('there is no training set to read')
    first = _description(sets[0])
    for one in sets:
        if _description(one) != first:
            raise InputError(
                f"training set '{one.folder}' has {_description(one)}, '{sets[0].folder}' {first}"
            )
        stored = one.read(0, ('spacing',))['spacing'].shape[1]
        if num_patches is not None and stored < num_patches:
            raise InputError(
                f"training set '{one.folder}' has {stored} patches per view instead of at least "
                f'{num_patches}'
            )


def _description(one: ViewShards) -> str:
    pixels = one.read(0, ('pixels',))['pixels']
    form = one.options['patches']['form']
    size = one.options['patches']['patch_size_px']
    shape = 'x'.join(map(str, pixels.shape[2:]))
    return f"{pixels.shape[0]} views and patches of form '{form}', {size} px, {shape}"
