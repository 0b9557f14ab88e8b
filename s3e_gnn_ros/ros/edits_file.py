"""Edits of closures by hand in a file, so that a node that is started again makes them again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.files import make_directory, write_atomic
from s3e_gnn_ros.map_store.paths import check_plain
from s3e_gnn_ros.plain_data import parse_json, read_bytes
from s3e_gnn_ros.types import KeyframeKey

Pair = tuple[KeyframeKey, KeyframeKey]
"""Match and query."""

FILE_NAME = 'closure_edits.json'
_MAX_BYTES = 1 << 24
_MAX_EDITS = 50_000
_LIMITS = (2**64, 2**32)


class EditsFile:
    """Which closures a person has taken out, and which pinned.

    Keyframes keep their session and id over restarts and in maps, so the edits of a closure hold
    wherever it comes back.

    Args:
        directory: of the maps; made when there is something to write.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME

    def read(self) -> dict[str, list[Pair]]:
        """Return the pairs by what was done to them; nothing where there is no file.

        Raises:
            InputError: it cannot be read, or is not what :meth:`write` writes.
        """
        try:
            content = parse_json(read_bytes(check_plain(self.path), _MAX_BYTES))
        except FileNotFoundError:
            return {}
        except OSError as err:
            raise InputError(f"cannot read '{self.path}': {err.strerror}") from err
        except ValueError as err:
            raise InputError(f"'{self.path}' is no list of edits: {err}") from err
        if not isinstance(content, dict):
            raise InputError(f"'{self.path}' is no list of edits")
        return {str(name): self._pairs(pairs) for name, pairs in content.items()}

    def write(self, edits: dict[str, Iterable[Pair]]) -> None:
        """Replace the file; of more than 50,000 edits of a kind the newest are kept.

        Raises:
            InputError: it cannot be written.
        """
        make_directory(self.path.parent)
        check_plain(self.path)
        content = {
            name: [[*match, *query] for match, query in pairs][-_MAX_EDITS:]
            for name, pairs in edits.items()
        }
        write_atomic(self.path, json.dumps(content))

    def _pairs(self, rows: Any) -> list[Pair]:
        if not isinstance(rows, list) or not all(map(_is_row, rows)):
            raise InputError(f"'{self.path}' is no list of edits: {str(rows)[:100]}")
        return [(KeyframeKey(*row[:2]), KeyframeKey(*row[2:])) for row in rows]


def _is_row(row: Any) -> bool:
    """Whether these are session and id of two keyframes."""
    return (
        isinstance(row, list)
        and len(row) == 4
        and all(
            type(number) is int and 0 <= number < limit
            for number, limit in zip(row, _LIMITS * 2, strict=True)
        )
    )
