"""The measurements as one table of text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

_NAME = 44
_GROUPS = {
    'stages': 'per keyframe',
    'learned': 'learned method, per keyframe, one core',
    'retrieval': 'bag of words, as the map grows',
    'others': 'other',
}


def bench_table(result: Mapping[str, Any]) -> str:
    """Lay out what :func:`~s3e_gnn_ros.evaluation.bench.run_bench` returns."""
    head = _row('run time', 'n', 'p50 ms', 'p95 ms', 'max ms', 'x features')
    width = len(head)
    lines = [', '.join(f'{name} {value}' for name, value in result['machine'].items()), '', head]
    for group, title in _GROUPS.items():
        lines += [_rule(title, width), *(_timing(timing) for timing in result[group])]
    lines += [_rule('memory', width)]
    lines += [_memory(name, size) for name, size in _sizes(result)]
    outcome = ', '.join(f'{name} {count}' for name, count in result['outcome'].items())
    lines += ['-' * width, *_note(f'outcome of the drive: {outcome}', width)]
    for note in result['notes']:
        lines += _note(note, width)
    return '\n'.join(lines)


def _row(name: str, *cells: str) -> str:
    first, *others = cells
    return f'{name:<{_NAME}}{first:>7}' + ''.join(f'{cell:>11}' for cell in others)


def _rule(title: str, width: int) -> str:
    return f'-- {title} '.ljust(width, '-')


def _timing(timing: Mapping[str, Any]) -> str:
    times = (f'{timing[name]:.3f}' for name in ('p50_ms', 'p95_ms', 'max_ms'))
    return _row(timing['name'], f'{timing["count"]:,}', *times, f'{timing["ratio"]:.3f}')


def _sizes(result: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    yield from result['memory'].items()
    for growth in result['growth']:
        name = f'index, per keyframe of {growth["num_keyframes"]:,}'
        yield name, growth['bytes_per_keyframe']
    for growth in result['learned_growth']:
        name = f'learned map, per keyframe of {growth["num_keyframes"]:,}'
        yield name, growth['bytes_per_keyframe']


def _memory(name: str, size: int) -> str:
    text = f'{size / 1e6:,.1f} MB' if size >= 1e6 else f'{size / 1e3:,.1f} kB'
    return f'{name:<{_NAME}}{text:>18}'


def _note(note: str, width: int) -> list[str]:
    return textwrap.wrap(note, width, initial_indent='* ', subsequent_indent='  ')
