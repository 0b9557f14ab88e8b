"""The training and validation sets that a configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.training.distributed import Placement
from s3e_gnn_ros.training.shards import ViewShards
from s3e_gnn_ros.training.train_config import EncoderTrainConfig, StageConfig
from s3e_gnn_ros.training.view_dataset import ViewBatch, ViewDataset

_PATCH_OPTIONS = {
    'paper': ('form', 'patch_size_px'),
    'improved': ('form', 'patch_size_px', 'sampled_size_px', 'num_scales'),
}


class ViewData:
    """Opens the sets of a configuration.

    Args:
        config: whose folders are read.

    Raises:
        ConfigError: no training set is named, or one scene is in both splits.
        InputError: a set is damaged or holds other patches than the encoder takes.
    """

    def __init__(self, config: EncoderTrainConfig) -> None:
        self._data = config.data
        self._num_patches = config.encoder.num_patches
        self._encoder = config.encoder
        if not config.data.train:
            raise ConfigError('data.train names no training set')
        self._validation: list[ViewBatch] | None = None
        self._check_split()

    def training(self, stage: StageConfig, seed: int, place: Placement) -> ViewDataset:
        """Open the training sets for one process; see :class:`ViewDataset`."""
        return ViewDataset(
            [Path(folder) for folder in self._data.train],
            stage.groups,
            num_patches=self._num_patches,
            seed=seed,
            flip=stage.flip,
            balanced_bins=stage.balanced_bins,
            rank=place.rank,
            world_size=place.num_processes,
            verify=False,
        )

    def validation(self) -> Sequence[ViewBatch]:
        """Return the same batches each time; none without validation data."""
        if self._validation is None:
            self._validation = self._read_validation()
        return self._validation

    def _read_validation(self) -> list[ViewBatch]:
        if not self._data.validation:
            return []
        dataset = ViewDataset(
            [Path(folder) for folder in self._data.validation],
            self._data.validation_groups,
            num_patches=self._num_patches,
            flip=False,
            verify=False,
        )
        num_batches = min(self._data.num_validation_batches, len(dataset))
        return list(dataset.stream(0, num_batches))

    def _check_split(self) -> None:
        """Read every set once, whole, and refuse a scene that is on both sides."""
        sides = []
        for folders in (self._data.train, self._data.validation):
            sets = [ViewShards(Path(folder)) for folder in folders]
            for one in sets:
                self._check_patches(one)
            sides.append({scene for one in sets for scene in one.scenes})
        both = sorted(sides[0] & sides[1])
        if both:
            raise ConfigError(f"scene '{both[0]}' is in the training and in the validation sets")

    def _check_patches(self, one: ViewShards) -> None:
        """Refuse patches that were cut otherwise than this encoder's."""
        stored = one.options['patches']
        for name in _PATCH_OPTIONS[self._encoder.form]:
            wanted = getattr(self._encoder, name, None)
            if name in stored and wanted is not None and stored[name] != wanted:
                raise ConfigError(
                    f"training set '{one.folder}' has {name} {stored[name]!r}, the encoder "
                    f'{wanted!r}'
                )
