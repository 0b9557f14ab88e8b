"""Builds a training set once, shard by shard, on as many processes as there are."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import cv2
from tqdm import tqdm

from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.training.shards import MANIFEST, Shard, ViewShards, write_manifest, write_shard
from s3e_gnn_ros.training.view_group import ViewGroup

GROUPS_PER_SHARD = 64  # about 50 MB, which is also what building keeps in memory


class GroupSource(Protocol):
    """Makes groups of views, each from its number alone; sent to other processes."""

    @property
    def options(self) -> Any:
        """The frozen dataclass that says how, the seed included."""

    def make_groups(self, start: int, stop: int) -> Iterator[ViewGroup]:
        """Make the groups number ``start`` to ``stop - 1``."""


def build_training_set(
    source: GroupSource,
    folder: Path,
    num_groups: int,
    *,
    workers: int = 1,
    groups_per_shard: int = GROUPS_PER_SHARD,
) -> ViewShards:
    """Write groups 0 to ``num_groups - 1`` of a source to a folder.

    The bytes do not depend on the number of workers.

    Args:
        source: makes the groups.
        folder: new, or empty.
        num_groups: how many.
        workers: processes; 1 builds in this one.
        groups_per_shard: how many groups a file holds.

    Raises:
        ConfigError: a number is not positive.
        InputError: the folder holds something, or cannot be written.
    """
    if min(num_groups, workers, groups_per_shard) < 1:
        raise ConfigError(
            f'cannot build {num_groups} groups, {groups_per_shard} per shard, with {workers} '
            'workers'
        )
    _make_folder(folder)
    spans = [
        (start, min(start + groups_per_shard, num_groups))
        for start in range(0, num_groups, groups_per_shard)
    ]
    make = partial(_build_shard, source, folder)
    with tqdm(total=num_groups, desc=folder.name, unit='group', disable=None) as bar:
        shards = []
        for shard in _map(make, spans, workers):
            shards.append(shard)
            bar.update(len(shard.scenes))
    # As JSON has it: tuples become lists, for who builds and who reads alike.
    options = json.loads(json.dumps(asdict(source.options)))
    write_manifest(folder, {'source': type(source).__name__, **options}, shards)
    return ViewShards(folder, verify=False)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = sorted(path.name for path in folder.iterdir())
    except OSError as err:
        raise InputError(f"cannot build a training set in '{folder}': {err.strerror}") from err
    if found:
        what = 'a training set' if MANIFEST in found else f"'{found[0]}'"
        raise InputError(f"cannot build a training set in '{folder}': it holds {what} already")


def _build_shard(source: GroupSource, folder: Path, span: tuple[int, int]) -> Shard:
    groups = list(source.make_groups(*span))
    return write_shard(folder / f'views-{span[0]:07d}.safetensors', groups)


def _map(make: partial[Shard], spans: list[tuple[int, int]], workers: int) -> Iterator[Shard]:
    if workers == 1:
        yield from map(make, spans)
        return
    # Fork would copy the locks of other threads' libraries in whatever state they are.
    context = multiprocessing.get_context('spawn')
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        yield from pool.map(make, spans)
