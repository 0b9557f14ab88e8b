"""Messages as a stranger, a broken driver or a flipped bit would send them."""

from __future__ import annotations

import copy
import re
from typing import Any

import numpy as np
from hypothesis import strategies as st

_INTEGERS = {
    'boolean': (0, 1), 'octet': (0, 255), 'uint8': (0, 255), 'int8': (-128, 127),
    'uint16': (0, 2**16 - 1), 'int16': (-(2**15), 2**15 - 1),
    'uint32': (0, 2**32 - 1), 'int32': (-(2**31), 2**31 - 1),
    'uint64': (0, 2**64 - 1), 'int64': (-(2**63), 2**63 - 1),
}  # fmt: skip
_ODD = (0.0, -0.0, 1.0, -1.0, 1e-30, 1e9, float('nan'), float('inf'), -float('inf'))
_TEXTS = (
    '', 'mono8', 'bgr8', '16UC1', '32FC1', 'rgba16', 'bayer_rggb8', 'yuv422', 'plumb_bob',
    '16UC1; compressedDepth', 'equidistant', 'rational_polynomial', 'odom', 'camera', 'base_link',
    'ünï/\N{SNOWMAN}', '../../etc/passwd', '/dev/zero', 'a' * 5000, 'line\nforged', 'tum', 'g2o',
    'vins', 'a.s3emap',
)  # fmt: skip
_LENGTHS = st.sampled_from((0, 0, 1, 2, 3, 7, 32, 64))
_ARRAY = re.compile(r'(?:sequence<(?P<of>.+?)(?:, \d+)?>|(?P<fixed>.+)\[(?P<size>\d+)\])$')


def fields_of(message_class: type) -> dict[str, str]:
    """Return the types of a message's fields by name."""
    return dict(message_class.get_fields_and_field_types())


def messages(message_class: type) -> st.SearchStrategy[Any]:
    """Strategy of messages whose every field is anything that its type can hold."""
    return st.builds(message_class, **{n: values(t) for n, t in fields_of(message_class).items()})


def values(field_type: str) -> st.SearchStrategy[Any]:
    """Strategy of what a field of a type can hold."""
    array = _ARRAY.match(field_type)
    if array is None:
        return _single(field_type)
    kind = array['of'] or array['fixed']
    sizes = _LENGTHS if array['size'] is None else st.just(int(array['size']))
    if kind in ('float', 'double') or kind in _INTEGERS:
        return sizes.flatmap(lambda size: _numbers(kind, size))
    return sizes.map(lambda n: min(n, 3) if array['size'] is None else n).flatmap(
        lambda n: st.lists(_single(kind), min_size=n, max_size=n)
    )


def _single(kind: str) -> st.SearchStrategy[Any]:
    if kind == 'boolean':
        return st.booleans()
    if kind == 'octet':
        return st.binary(min_size=1, max_size=1)
    if kind in _INTEGERS:
        low, high = _INTEGERS[kind]
        near = [n for n in (low, low + 1, 0, 1, 2, 640, high - 1, high) if low <= n <= high]
        return st.sampled_from(near) | st.integers(low, high)
    if kind in ('float', 'double'):
        width = 32 if kind == 'float' else 64
        return st.sampled_from([float(np.float32(each)) for each in _ODD]) | st.floats(width=width)
    if kind.startswith(('string', 'wstring')):
        return st.sampled_from(_TEXTS) | st.text(
            st.characters(exclude_categories=['Cs'], exclude_characters='\0'), max_size=10
        )
    return st.deferred(lambda: messages(message_class(kind)))


def _numbers(kind: str, size: int) -> st.SearchStrategy[Any]:
    """Many numbers by one seed: to draw each would take seconds."""

    def make(seed: int, scale: float) -> np.ndarray:
        rng = np.random.default_rng(seed)
        if kind in _INTEGERS:
            low, high = _INTEGERS[kind]
            array = rng.integers(
                low, high, size, dtype=kind.replace('octet', 'uint8'), endpoint=True
            )
        else:
            array = (rng.normal(0, 1, size) * scale).astype('f4' if kind == 'float' else 'f8')
            if size and seed % 3 == 0:
                array[rng.integers(size)] = (np.nan, np.inf, -np.inf, 0)[seed % 4]
        return array

    return st.builds(make, st.integers(0, 10**6), st.sampled_from((1.0, 1e-6, 1e6, 1e30)))


def message_class(kind: str) -> type:
    """Return the class of a name such as ``std_msgs/Header``."""
    import importlib

    package, name = kind.split('/')[0], kind.split('/')[-1]
    return getattr(importlib.import_module(f'{package}.msg'), name)


@st.composite
def mutated(draw: st.DrawFn, valid: Any) -> Any:
    """Draw a copy of a message in which up to three fields, at any depth, are something else."""
    message = copy.deepcopy(valid)
    for _ in range(draw(st.integers(0, 3)) if fields_of(type(valid)) else 0):
        node = message
        while True:
            name = draw(st.sampled_from(sorted(fields_of(type(node)))))
            inner = getattr(node, name)
            if hasattr(inner, 'get_fields_and_field_types') and draw(st.integers(0, 9)):
                node = inner
                continue
            setattr(node, name, draw(values(fields_of(type(node))[name])))
            break
    return message
