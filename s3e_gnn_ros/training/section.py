"""Frozen dataclasses from YAML, strictly: what is not declared, or out of range, is an error."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.plain_data import MAX_YAML_BYTES, parse_yaml, read_text

T = TypeVar('T')


def value(
    default: Any,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare one value with its range."""
    metadata = {'minimum': minimum, 'maximum': maximum, 'choices': choices}
    return field(default=default, metadata=metadata)


class Section:
    """Base of a frozen dataclass that refuses values outside the declared ranges."""

    def __post_init__(self) -> None:
        """Check every value declared with :func:`value`."""
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            if item.metadata:
                _check_range(item.name, getattr(self, item.name), item.metadata)


def build_section(cls: type[T], content: Any, name: str = '') -> T:
    """Build a dataclass, and the dataclasses in it, from the mappings and lists of YAML.

    Args:
        cls: the dataclass; values may be numbers, text, truth values, tuples and dataclasses.
        content: ``{name: value}``; None counts as empty.
        name: where in the file this is, for messages.

    Raises:
        ConfigError: an unknown name, a wrong type or a value out of range.
    """
    content = {} if content is None else content
    if not isinstance(content, Mapping):
        raise ConfigError(f'{name or "the file"} holds {content!r} instead of names and values')
    hints = typing.get_type_hints(cls)
    known = [item.name for item in dataclasses.fields(cls)]  # type: ignore[arg-type]
    for key in content:
        if key not in known:
            raise ConfigError(f"unknown name '{_join(name, key)}'; known: {', '.join(known)}")
    values = {key: _coerce(hints[key], item, _join(name, key)) for key, item in content.items()}
    try:
        return cls(**values)
    except ConfigError as err:
        raise ConfigError(f'{name}: {err}' if name else str(err)) from err
    except TypeError as err:  # a value without a default
        raise ConfigError(f'{name or "the file"} lacks a value: {err}') from err


def read_section(cls: type[T], path: Path, overrides: Mapping[str, str] | None = None) -> T:
    """Read a dataclass from a YAML file.

    Args:
        cls: the dataclass.
        path: the file.
        overrides: ``{'dotted.name': text}``; a list is entered by position or by the ``name`` of
            its entry, as in ``stages.local.steps``.

    Raises:
        ConfigError: no such file, no YAML, or what :func:`build_section` refuses.
    """
    try:
        content = parse_yaml(read_text(path, MAX_YAML_BYTES))
    except OSError as err:
        raise ConfigError(f"cannot read configuration '{path}': {err.strerror}") from err
    except ValueError as err:
        raise ConfigError(f"'{path}' is no YAML file: {err}") from err
    content = {} if content is None else content
    for dotted, text in (overrides or {}).items():
        _override(content, dotted, text)
    try:
        return build_section(cls, content)
    except ConfigError as err:
        raise ConfigError(f"'{path}': {err}") from err


def section_yaml(section: Any) -> str:
    """Write a dataclass with all its values as YAML that :func:`read_section` reads back."""
    text: str = yaml.safe_dump(_plain(dataclasses.asdict(section)), sort_keys=False)
    return text


def _coerce(hint: Any, item: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return build_section(typing.cast('type[Any]', hint), item, name)
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
        return None if item is None and len(kinds) == 1 else _coerce(kinds[0], item, name)
    if origin is tuple:
        if not isinstance(item, (list, tuple)):
            raise ConfigError(f'{name} is {item!r} instead of a list')
        kind = typing.get_args(hint)[0]
        return tuple(_coerce(kind, each, f'{name}.{i}') for i, each in enumerate(item))
    if hint is float:
        item = _as_float(item)
    if type(item) is not hint:
        raise ConfigError(f'{name} is {item!r} instead of a value of type {hint.__name__}')
    return item


def _as_float(item: Any) -> Any:
    """YAML 1.1 reads 1 as a whole number and 1e-3 as text."""
    if isinstance(item, bool) or not isinstance(item, (int, str)):
        return item
    try:
        return float(item)
    except ValueError:
        return item


def _check_range(name: str, number: Any, meta: Mapping[str, Any]) -> None:
    if meta['choices'] and number not in meta['choices']:
        raise ConfigError(f'{name} is {number!r} instead of one of {", ".join(meta["choices"])}')
    if number != number:
        raise ConfigError(f'{name} is NaN')
    if meta['minimum'] is not None and number < meta['minimum']:
        raise ConfigError(f'{name} is {number} instead of at least {meta["minimum"]}')
    if meta['maximum'] is not None and number > meta['maximum']:
        raise ConfigError(f'{name} is {number} instead of at most {meta["maximum"]}')


def _override(content: Any, dotted: str, text: str) -> None:
    *path, last = dotted.split('.')
    node = content
    for part in path:
        if isinstance(node, list):
            node = _entry(node, part, dotted)
        elif isinstance(node, dict):
            node[part] = {} if node.get(part) is None else node[part]
            node = node[part]
        else:
            raise ConfigError(f"unknown name '{dotted}': '{part}' holds no names")
    if not isinstance(node, dict):
        raise ConfigError(f"unknown name '{dotted}'")
    try:
        node[last] = parse_yaml(text)
    except ValueError as err:
        raise ConfigError(f"'{text}' is no value for '{dotted}'") from err


def _entry(entries: list[Any], key: str, dotted: str) -> Any:
    for number, entry in enumerate(entries):
        if key == str(number) or (isinstance(entry, dict) and entry.get('name') == key):
            return entry
    raise ConfigError(f"unknown name '{dotted}': the list has no '{key}'")


def _plain(content: Any) -> Any:
    """YAML has lists, not tuples."""
    if isinstance(content, dict):
        return {key: _plain(item) for key, item in content.items()}
    return [_plain(item) for item in content] if isinstance(content, (list, tuple)) else content


def _join(head: str, name: object) -> str:
    return f'{head}.{name}' if head else str(name)
