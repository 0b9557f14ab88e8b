"""Files as bytes, text and plain values: bounded, from regular files, and nothing in them runs."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import yaml

MAX_TEXT_BYTES = 1 << 30
"""Of tables: a pose graph of a million edges has a fifth of it."""
MAX_YAML_BYTES = 1 << 20


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file, whose size is looked at first.

    Raises:
        OSError: it cannot be read, is a device, a pipe or a folder, or is larger than that; its
            ``strerror`` says which.
    """
    # A pipe without a writer would make open wait for one.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with open(descriptor, 'rb') as file:  # noqa: PTH123 - of a descriptor
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, 'it is no regular file')
        if status.st_size > max_bytes:
            raise OSError(
                errno.EFBIG, f'it has {status.st_size} bytes, and {max_bytes} are the limit'
            )
        return file.read()


def read_text(path: Path, max_bytes: int = MAX_TEXT_BYTES, encoding: str = 'utf-8') -> str:
    """Return the content of a regular file as text, with line ends as Python has them.

    Raises:
        OSError: as :func:`read_bytes`.
        UnicodeDecodeError: it is no text.
    """
    text = read_bytes(path, max_bytes).decode(encoding)
    return text.replace('\r\n', '\n').replace('\r', '\n')


def parse_json(text: str | bytes) -> Any:
    """Return the values of a JSON text.

    Raises:
        ValueError: it is none, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as err:
        raise ValueError('it is nested too deeply') from err


def parse_yaml(text: str) -> Any:
    """Return the plain values of a YAML text.

    Aliases are refused, as ROS's own reader refuses them: a few lines of them stand for
    billions of values.

    Raises:
        ValueError: it is no YAML, of a type that is no plain value, nested too deeply, or larger
            than ``MAX_YAML_BYTES``.
    """
    if len(text) > MAX_YAML_BYTES:
        raise ValueError(f'{len(text)} characters are more than {MAX_YAML_BYTES}')
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as err:
        raise ValueError(str(err).splitlines()[0]) from err
    except RecursionError as err:
        raise ValueError('it is nested too deeply') from err
    except (TypeError, AttributeError, LookupError, ArithmeticError) as err:
        # Of PyYAML's own constructors, for scalars that only look like numbers and dates.
        raise ValueError(f'a value cannot be read: {err}') from err


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # yaml has no types
    """Plain values only, each of them written out."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse aliases."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, 'an alias (*) is not taken', mark)
        return super().compose_node(parent, index)
