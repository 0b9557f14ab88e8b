"""Files of trained weights: safetensors with a description of what they are weights of.

One file holds everything that retrieval needs (encoder, GNN, calibration), so that its parts
cannot be mixed up. safetensors holds tensors and text only: opening a file runs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.plain_data import parse_json
from s3e_gnn_ros.resources import packaged_folder

FORMAT = 's3e_gnn_ros weights'
VERSION = 1
DEFAULT_WEIGHTS = 'vlad'

# Smaller tensors (scales, knots of a calibration) cost nothing and keep their precision.
_MIN_ROUNDED = 1024

_DTYPES = (torch.float16, torch.float32, torch.float64, torch.int64)
_SUFFIX = '.safetensors'
_FOLDER = 'encoder/resources'


@dataclass(frozen=True, eq=False)
class Weights:
    """The content of a weights file.

    Attributes:
        name: for messages: a packaged name or the path.
        description: configuration of each part and where the weights come from (plain JSON).
        tensors: all tensors, named '<part>.<name>', float32 where they are floating point.
    """

    name: str
    description: Mapping[str, Any]
    tensors: Mapping[str, Tensor]

    def part(self, part: str) -> dict[str, Tensor]:
        """Return the tensors of one part under their own names; empty when it is absent."""
        head = part + '.'
        return {k.removeprefix(head): v for k, v in self.tensors.items() if k.startswith(head)}

    def configuration(self, part: str) -> Mapping[str, Any]:
        """Return the configuration of one part.

        Raises:
            InputError: the file does not have this part.
        """
        found = self.description.get(part)
        if not isinstance(found, Mapping):
            raise InputError(f"weights '{self.name}' hold no {part}")
        return found

    def has(self, part: str) -> bool:
        """Whether the file describes this part."""
        return part in self.description

    def build(self, make: Callable[[], nn.Module], part: str) -> nn.Module:
        """Make a module and fill it from one part.

        It is made without memory at first: a description may ask for more than there is.

        Raises:
            InputError: the tensors are those of another architecture.
        """
        with torch.device('meta'):
            self._check_architecture(make(), part)
        module = make()
        self.load_into(module, part)
        return module

    def load_into(self, module: nn.Module, part: str) -> None:
        """Fill a module from one part.

        Raises:
            InputError: the tensors are those of another architecture.
        """
        self._check_architecture(module, part)
        module.load_state_dict(self.part(part))

    def _check_architecture(self, module: nn.Module, part: str) -> None:
        wanted = module.state_dict().items()
        self.check_shapes(part, {name: tuple(value.shape) for name, value in wanted})

    def check_shapes(self, part: str, wanted: Mapping[str, tuple[int, ...]]) -> None:
        """Refuse a part whose tensors have other names or shapes than those wanted.

        Raises:
            InputError: the tensors are those of another architecture.
        """
        found = {name: tuple(value.shape) for name, value in self.part(part).items()}
        for name in sorted(set(found) | set(wanted)):
            have, need = found.get(name, 'nothing'), wanted.get(name, 'nothing')
            if have != need:
                raise InputError(
                    f"weights '{self.name}' are of another architecture: '{part}.{name}' is "
                    f'{have} instead of {need}'
                )


def packaged_weights() -> tuple[str, ...]:
    """Return the names of the weights inside the package."""
    folder = packaged_folder(_FOLDER)
    return tuple(sorted(p.name.removesuffix(_SUFFIX) for p in folder.glob('*' + _SUFFIX)))


def weights_path(name_or_path: str) -> Path:
    """Find a weights file: '' the default, a bare name one of the package, else a path.

    Raises:
        InputError: there is no such file.
    """
    name = name_or_path or DEFAULT_WEIGHTS
    packaged = packaged_folder(_FOLDER) / (name + _SUFFIX)
    if '/' not in name and packaged.is_file():
        return packaged
    path = Path(name)
    if not path.is_file():
        known = ', '.join(packaged_weights())
        raise InputError(f"no weights '{name}': neither a file nor one of the package ({known})")
    return path


def load_weights(name_or_path: str = '') -> Weights:
    """Read a weights file.

    Args:
        name_or_path: a name of :func:`packaged_weights`, a path, or '' for the default.

    Raises:
        InputError: no such file, damaged, no weights of this package, or of another version.
    """
    path = weights_path(name_or_path)
    name = name_or_path or DEFAULT_WEIGHTS
    try:
        with safe_open(path, framework='pt') as file:
            metadata = file.metadata() or {}
            # Copies: the file is mapped into memory, and may be written over while a node runs.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as err:
        raise InputError(f"weights '{name}' are damaged: {err}") from err
    description = _check_metadata(name, metadata)
    _check_tensors(name, tensors)
    if digest(tensors) != metadata.get('digest'):
        raise InputError(f"weights '{name}' are damaged: their checksum does not agree")
    floats = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    return Weights(name, description, floats)


def weights_digest(name_or_path: str = '') -> str:
    """Return the digest that a weights file carries, without reading its tensors.

    Raises:
        InputError: no such file, or no weights of this package.
    """
    name = name_or_path or DEFAULT_WEIGHTS
    try:
        with safe_open(weights_path(name_or_path), framework='pt') as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as err:
        raise InputError(f"weights '{name}' are damaged: {err}") from err
    _check_metadata(name, metadata)
    return str(metadata.get('digest', ''))


def save_weights(
    path: Path, parts: Mapping[str, Mapping[str, Tensor]], description: Mapping[str, Any]
) -> None:
    """Write a weights file; large tensors are rounded to half precision.

    Args:
        path: the file.
        parts: state of each part by its name.
        description: at least one entry per part: its configuration.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {
        f'{part}.{name}': _to_half(value).clone(memory_format=torch.contiguous_format)
        for part, state in parts.items()
        for name, value in state.items()
    }
    metadata = {
        'format': FORMAT,
        'version': str(VERSION),
        'description': json.dumps(_without_folders(description), sort_keys=True),
        'digest': digest(tensors),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path, metadata)
    except (OSError, SafetensorError) as err:
        raise InputError(f"cannot write weights '{path}': {err}") from err


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of names, shapes and values: identifies the weights."""
    result = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].contiguous()
        result.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        result.update(value.numpy().tobytes())
    return result.hexdigest()


def _check_tensors(name: str, tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if tensor.dtype not in _DTYPES or not torch.isfinite(tensor).all():
            raise InputError(
                f"weights '{name}' are damaged: '{key}' holds values that are not finite, or no "
                'plain numbers'
            )


def _to_half(value: Tensor) -> Tensor:
    value = value.detach().cpu()
    is_large = value.is_floating_point() and value.numel() > _MIN_ROUNDED
    return value.to(torch.float16) if is_large else value


def _without_folders(value: Any) -> Any:
    """Shorten absolute paths to their last part: a file tells nothing of where it was made."""
    if isinstance(value, Mapping):
        return {name: _without_folders(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_folders(each) for each in value]
    if isinstance(value, str) and value.startswith('/'):
        return Path(value).name
    return value


def _check_metadata(name: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    if metadata.get('format') != FORMAT:
        raise InputError(f"'{name}' holds no weights of this package")
    if metadata.get('version') != str(VERSION):
        raise InputError(
            f"weights '{name}' are of version {metadata.get('version')}, "
            f'this package reads version {VERSION}'
        )
    try:
        description = parse_json(metadata['description'])
    except (KeyError, ValueError) as err:
        raise InputError(f"weights '{name}' are damaged: no description") from err
    if not isinstance(description, dict):
        raise InputError(f"weights '{name}' are damaged: no description")
    return description
