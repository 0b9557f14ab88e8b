"""Files and texts that were damaged on purpose, and limits to what a reader may take.

The number of examples is small and they are always the same, unless S3E_FUZZ_EXAMPLES gives
another: then they are drawn anew each time.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from s3e_gnn_ros.errors import S3EError

MAX_EXTRA_MIB = 512
"""Address space a reader may take for a file of some kilobytes, libraries it loads included."""
MAX_CPU_S = 20.0
MAX_SENTENCE = 1000

_VARIABLE = 'S3E_FUZZ_EXAMPLES'
_WORDS = ('', '0', '-1', 'nan', '-inf', '1e400', '1e-320', '1e99999999', '9' * 5000, 'x', '\x00')
_NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1)


def fuzzed(num_examples: int) -> Callable:
    """Return hypothesis's settings: so many examples, or as many as the environment says."""
    wanted = os.environ.get(_VARIABLE)
    return settings(
        max_examples=int(wanted or num_examples),
        derandomize=wanted is None,
        database=None,
        deadline=None,
        # To shrink a file takes long, and tells little.
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


@contextmanager
def limited() -> Iterator[None]:
    """Let the process take little more memory than it has, and little time of a core."""

    def stop(*_args: object) -> None:
        raise TimeoutError(f'it has taken {MAX_CPU_S} s')

    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + (MAX_EXTRA_MIB << 20)
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    signal.setitimer(signal.ITIMER_PROF, MAX_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGPROF, handler)


def is_read(read: Callable[[], object]) -> bool:
    """Let a reader try: False when it refuses in one sentence; any other error is a failure."""
    try:
        with limited(), warnings.catch_warnings():
            # Numbers that overflow are judged by what is returned.
            warnings.simplefilter('ignore', RuntimeWarning)
            read()
    except S3EError as err:
        assert_sentence(str(err))
        return False
    return True


def assert_sentence(text: str) -> None:
    """Require one line of a length that somebody reads."""
    assert text.strip(), 'the error says nothing'
    assert '\n' not in text, text[:MAX_SENTENCE]
    assert len(text) <= MAX_SENTENCE, f'{len(text)} characters: {text[:MAX_SENTENCE]}'


@st.composite
def damaged(draw: st.DrawFn, valid: bytes, *, is_text: bool = False) -> bytes:
    """Draw a copy of bytes with one to four kinds of damage."""
    kinds = (*_TEXT_KINDS, *_BYTE_KINDS[:2]) if is_text else _BYTE_KINDS
    data = valid
    for _ in range(draw(st.integers(1, 4))):
        data = draw(st.sampled_from(kinds))(draw, data)
    return data


def copied(source: Path, target: Path) -> Path:
    """Put a fresh copy of a folder in place of what is there."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def _place(draw: st.DrawFn, data: bytes) -> int:
    # Headers are short and matter most.
    near = st.integers(0, min(len(data), 256))
    return draw(near | st.integers(0, len(data)))


def _flip(draw: st.DrawFn, data: bytes) -> bytes:
    if not data:
        return data
    at = min(_place(draw, data), len(data) - 1)
    return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: _place(draw, data)]


def _splice(draw: st.DrawFn, data: bytes) -> bytes:
    start, at = _place(draw, data), _place(draw, data)
    piece = data[start : start + draw(st.integers(1, 64))]
    return data[:at] + piece + data[at + draw(st.sampled_from((0, len(piece)))) :]


def _number(draw: st.DrawFn, data: bytes) -> bytes:
    at, value = _place(draw, data), draw(st.sampled_from(_NUMBERS))
    layout = draw(st.sampled_from(('<B', '<H', '>H', '<I', '>I', '<Q', '>Q')))
    size = struct.calcsize(layout)
    return data[:at] + struct.pack(layout, value % 2 ** (8 * size)) + data[at + size :]


def _insert(draw: st.DrawFn, data: bytes) -> bytes:
    at = _place(draw, data)
    return data[:at] + draw(st.binary(min_size=1, max_size=16)) + data[at:]


def _word(draw: st.DrawFn, data: bytes) -> bytes:
    spans = [match.span() for match in re.finditer(rb'[^\s,:;\[\]{}"]+', data)]
    if not spans:
        return data
    start, end = spans[draw(st.integers(0, len(spans) - 1))]
    return data[:start] + draw(st.sampled_from(_WORDS)).encode() + data[end:]


def _line(draw: st.DrawFn, data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    if not lines:
        return data
    source, target = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    how = draw(st.sampled_from(('twice', 'gone', 'swapped')))
    if how == 'gone':
        del lines[target]
    elif how == 'twice':
        lines.insert(target, lines[source])
    else:
        lines[source], lines[target] = lines[target], lines[source]
    return b''.join(lines)


_BYTE_KINDS = (_flip, _cut, _splice, _number, _insert)
_TEXT_KINDS = (_word, _word, _line)
