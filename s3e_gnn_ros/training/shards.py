"""Training sets on disk: a manifest, and shards that any group can be read from at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.plain_data import parse_json, read_text
from s3e_gnn_ros.training.view_group import View, ViewGroup

FORMAT = 's3e_gnn_ros training views'
VERSION = 1
MANIFEST = 'manifest.json'
_MAX_MANIFEST_BYTES = 1 << 28

_VIEW_ARRAYS = tuple(item.name for item in fields(View))
_GROUP_ARRAYS = ('overlap', 'bounds')


@dataclass(frozen=True)
class Shard:
    """One file of a training set.

    Attributes:
        name: of the file.
        num_bytes: its size.
        sha256: of its bytes.
        scenes: of its groups, in order.
        sources: of its groups, for people.
    """

    name: str
    num_bytes: int
    sha256: str
    scenes: tuple[str, ...]
    sources: tuple[str, ...]


def write_shard(path: Path, groups: Sequence[ViewGroup]) -> Shard:
    """Write groups with equally many views, patches and pixels to one file.

    The same groups give the same bytes, and an interrupted run leaves no half file.

    Raises:
        InputError: the file cannot be written.
    """
    arrays: dict[str, NDArray[Any]] = {
        name: np.stack([[getattr(view, name) for view in group.views] for group in groups])
        for name in _VIEW_ARRAYS
    }
    for name in _GROUP_ARRAYS:
        arrays[name] = np.stack([getattr(group, name) for group in groups])
    partial = path.with_name(path.name + '.partial')
    try:
        save_file(arrays, partial)
        partial.replace(path)
    except (OSError, SafetensorError) as err:
        raise InputError(f"cannot write '{path}': {err}") from err
    return describe_shard(path, groups)


def describe_shard(path: Path, groups: Sequence[ViewGroup]) -> Shard:
    """Return what the manifest says about a written shard."""
    return Shard(
        path.name,
        path.stat().st_size,
        _sha256(path),
        tuple(group.scene for group in groups),
        tuple(group.source for group in groups),
    )


def write_manifest(folder: Path, options: Mapping[str, Any], shards: Sequence[Shard]) -> None:
    """Write the manifest, last of all: a folder without one is no training set.

    Raises:
        InputError: the file cannot be written.
    """
    content = {
        'format': FORMAT,
        'version': VERSION,
        'options': dict(options),
        'num_groups': sum(len(shard.scenes) for shard in shards),
        'num_scenes': len({scene for shard in shards for scene in shard.scenes}),
        'shards': [asdict(shard) for shard in shards],
    }
    path = folder / MANIFEST
    partial = path.with_name(path.name + '.partial')
    try:
        partial.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
        partial.replace(path)
    except OSError as err:
        raise InputError(f"cannot write '{path}': {err.strerror}") from err


class ViewShards:
    """A training set on disk, group by group, at random and without reading the rest.

    Args:
        folder: with a manifest and its shards.
        verify: compare the bytes of all shards with the manifest; else only their sizes.

    Attributes:
        folder: where it is.
        options: what it was made with.
        scenes: name of the scene of each group.
        sources: where each group came from.

    Raises:
        InputError: no training set, of another version, or damaged.
    """

    def __init__(self, folder: Path, *, verify: bool = True) -> None:
        manifest = read_manifest(folder)
        self.folder = folder
        self.options: dict[str, Any] = manifest['options']
        self._shards = _shards_of(manifest, folder)
        for shard in self._shards:
            _check_shard(folder / shard.name, shard, verify)
        self.scenes = tuple(scene for shard in self._shards for scene in shard.scenes)
        self.sources = tuple(source for shard in self._shards for source in shard.sources)
        self._starts = np.cumsum([0, *(len(shard.scenes) for shard in self._shards)])
        self._open: dict[int, Any] = {}

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.scenes)

    def __getstate__(self) -> dict[str, Any]:
        """Leave open files out of what goes to another process."""
        return {**self.__dict__, '_open': {}}

    def read(self, group: int, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Read some arrays of one group; those of views have V in front.

        Raises:
            InputError: the shard cannot be read.
            IndexError: there is no such group.
        """
        if not 0 <= group < len(self):
            raise IndexError(f'group {group} of {len(self)}')
        number = int(np.searchsorted(self._starts, group, side='right')) - 1
        row = group - int(self._starts[number])
        file = self._file(number)
        try:
            return {name: file.get_slice(name)[row : row + 1][0] for name in names}
        except SafetensorError as err:
            shard = self._shards[number].name
            raise InputError(f"training shard '{self.folder / shard}' is damaged: {err}") from err

    def read_all(self, name: str) -> NDArray[Any]:
        """Read one small array of all groups."""
        return np.concatenate(
            [self._file(number).get_tensor(name) for number in range(len(self._shards))]
        )

    def _file(self, number: int) -> Any:
        if number not in self._open:
            path = self.folder / self._shards[number].name
            try:
                self._open[number] = safe_open(path, framework='numpy')
            except (OSError, SafetensorError) as err:
                raise InputError(f"training shard '{path}' is damaged: {err}") from err
        return self._open[number]


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a training set.

    Raises:
        InputError: there is none, it is damaged, or of another version.
    """
    path = folder / MANIFEST
    try:
        content = parse_json(read_text(path, _MAX_MANIFEST_BYTES))
    except OSError as err:
        raise InputError(f"'{folder}' is no training set: {MANIFEST}: {err.strerror}") from err
    except ValueError as err:
        raise InputError(f"manifest '{path}' is damaged: {err}") from err
    if not isinstance(content, dict) or content.get('format') != FORMAT:
        raise InputError(f"'{path}' is no manifest of a training set")
    if content.get('version') != VERSION:
        raise InputError(
            f"training set '{folder}' has version {content.get('version')}, not {VERSION}: "
            'build it again'
        )
    return content


def _shards_of(manifest: Mapping[str, Any], folder: Path) -> tuple[Shard, ...]:
    try:
        shards = tuple(
            Shard(
                str(item['name']),
                int(item['num_bytes']),
                str(item['sha256']),
                tuple(item['scenes']),
                tuple(item['sources']),
            )
            for item in manifest['shards']
        )
    except (KeyError, TypeError, ValueError, OverflowError) as err:
        raise InputError(f"manifest of '{folder}' is damaged: {err!r}") from err
    for shard in shards:
        if Path(shard.name).name != shard.name or '\0' in shard.name:
            raise InputError(f"manifest of '{folder}' names '{shard.name}', outside the folder")
    return shards


def _check_shard(path: Path, shard: Shard, verify: bool) -> None:
    if not path.is_file():
        raise InputError(f"training shard '{path}' is missing")
    if path.stat().st_size != shard.num_bytes:
        raise InputError(
            f"training shard '{path}' has {path.stat().st_size} bytes instead of {shard.num_bytes}"
        )
    if verify and _sha256(path) != shard.sha256:
        raise InputError(f"training shard '{path}' is damaged: its SHA-256 differs")


def _sha256(path: Path) -> str:
    with path.open('rb') as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
