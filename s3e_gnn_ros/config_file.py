"""The configuration tree as text: the YAML that ROS reads too, and a page for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from s3e_gnn_ros.config import Config, Leaf, config_from_dict, leaves
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.plain_data import MAX_YAML_BYTES, parse_yaml, read_text


def load_config(path: Path, base: Config | None = None) -> Config:
    """Read a ROS-style YAML parameter file (``/**: ros__parameters: ...``).

    Raises:
        ConfigError: no such file, no YAML, no such layout, or a wrong value.
    """
    try:
        content = parse_yaml(read_text(path, MAX_YAML_BYTES))
    except OSError as err:
        raise ConfigError(f"cannot read configuration '{path}': {err.strerror}") from err
    except ValueError as err:
        raise ConfigError(f"'{path}' is no YAML file: {err}") from err
    try:
        (node,) = content.values()
        # What belongs to every ROS node, and not to this tree.
        of_ros = ('use_sim_time', 'qos_overrides')
        values = {k: v for k, v in (node['ros__parameters'] or {}).items() if k not in of_ros}
    except (AttributeError, ValueError, KeyError, TypeError) as err:
        raise ConfigError(f"'{path}' lacks the layout '/**: ros__parameters: ...'") from err
    try:
        return config_from_dict(values, base)
    except ConfigError as err:
        raise ConfigError(f"'{path}': {err}") from err


def dump_config(config: Config) -> str:
    """Write the tree as commented ROS-style YAML that :func:`load_config` reads back."""
    lines = ['/**:', '  ros__parameters:']
    section = ''
    for leaf in leaves(config):
        head, _, name = leaf.name.partition('.')
        if head != section:
            section = head
            lines.append(f'    {section}:')
        value = list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
        text = yaml.safe_dump(value, default_flow_style=True).replace('\n...', '').strip()
        note = f' ({" | ".join(map(str, leaf.choices))})' if leaf.choices else ''
        lines += [f'      # {leaf.description}{note}', f'      {name}: {text}']
    return '\n'.join(lines) + '\n'


def parameters_page() -> str:
    """Write every parameter with its default, range and meaning as a Markdown page."""
    lines = [
        '# Parameters',
        '',
        'Both nodes and every command read the same tree: as ROS parameters, or from a YAML file',
        'that holds only what differs from [config/default.yaml](../config/default.yaml).',
        'Those that are *live* may change while a node is configured; the others take effect when',
        'it is configured anew ([nodes.md](nodes.md)).',
        'Generated: `make config` writes this page anew.',
    ]
    section = ''
    for leaf in leaves():
        head = leaf.name.partition('.')[0]
        if head != section:
            section = head
            lines += ['', f'## {section}', '', '| parameter | default | range | live | meaning |']
            lines.append('|---|---|---|---|---|')
        cells = (
            f'`{leaf.name}`',
            _default_text(leaf.default),
            _range_text(leaf),
            'yes' if leaf.at_run_time else '',
            leaf.description,
        )
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def _default_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ' '.join(f'{each:g}' for each in value)
    return str(value) if value != '' else "''"


def _range_text(leaf: Leaf) -> str:
    if leaf.choices:
        return ', '.join(map(str, leaf.choices))
    if leaf.minimum is None and leaf.maximum is None:
        return ''
    if leaf.maximum is None:
        return f'from {leaf.minimum:g}'
    if leaf.minimum is None:
        return f'to {leaf.maximum:g}'
    return f'{leaf.minimum:g} to {leaf.maximum:g}'
