"""Places of images that have no pose, from a file somebody wrote while looking at them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.retrieval_item import Item
from s3e_gnn_ros.evaluation.retrieval_relevance import JUNK, NEGATIVE, POSITIVE
from s3e_gnn_ros.plain_data import read_text

HEAD = ['image', 'place', 'position', 'group', 'near']


@dataclass(frozen=True)
class Label:
    """Where one image was taken.

    Attributes:
        place: name of the place; empty for an image that is asked nothing.
        position: along the place; None where unknown: anywhere in it.
        group: images of one group never match each other; empty for none.
        near: places of which parts may be in view.
    """

    place: str
    position: float | None
    group: str
    near: frozenset[str]

    @property
    def is_left_out(self) -> bool:
        """Whether nothing is said about the image at all."""
        return not self.place and not self.near


@dataclass(frozen=True)
class Nearness:
    """From where to where two positions in one place are the same.

    Attributes:
        positive_within: up to this difference a pair is positive.
        negative_beyond: above this one it is negative; left out between the two.

    Raises:
        InputError: a value is negative, or they are in the wrong order.
    """

    positive_within: float = np.inf
    negative_beyond: float = np.inf

    def __post_init__(self) -> None:
        """Refuse what leaves no sense."""
        if not 0 <= self.positive_within <= self.negative_beyond:
            raise InputError(
                f'pairs within {self.positive_within} are positive and beyond '
                f'{self.negative_beyond} negative: these are no two distances in order'
            )


def read_labels(path: Path) -> dict[str, Label]:
    """Read a CSV file with the columns of ``HEAD``; lines that begin with # are comments.

    Returns:
        Labels by ``folder/file`` of the image.

    Raises:
        InputError: the file cannot be read, or a line of it, or two lines are of one image.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeDecodeError) as err:
        raise InputError(f"cannot read labels '{path}': {err}") from err
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith('#'))
    if rows.fieldnames != HEAD:
        raise InputError(f"labels '{path}' have columns {rows.fieldnames} instead of {HEAD}")
    labels: dict[str, Label] = {}
    for row in rows:
        if row['image'] in labels:
            raise InputError(f"labels '{path}' hold two lines of '{row['image']}'")
        labels[row['image']] = _label(row, path)
    return labels


def _label(row: dict[str, str], path: Path) -> Label:
    try:
        position = float(row['position']) if row['position'] else None
        return Label(row['place'], position, row['group'], frozenset(row['near'].split()))
    except (ValueError, AttributeError, TypeError) as err:
        raise InputError(f"labels '{path}' hold a wrong line: {list(row.values())}") from err


def find_labels(items: Sequence[Item], labels: dict[str, Label]) -> list[Label]:
    """Return the label of each item.

    Raises:
        InputError: one has none.
    """
    missing = [item.name for item in items if item.name not in labels]
    if missing:
        raise InputError(f"no label for '{missing[0]}' and {len(missing) - 1} other images")
    return [labels[item.name] for item in items]


def label_relevance(
    queries: Sequence[Label], database: Sequence[Label], nearness: Nearness
) -> NDArray[np.int8]:
    """Return the relevance (Q, N) of each pair; what may match by order is not looked at.

    Images left out, pairs of one group, and images without a place as queries are junk.
    """
    relevance = np.full((len(queries), len(database)), JUNK, dtype=np.int8)
    for row, query in enumerate(queries):
        if query.place:
            relevance[row] = [_relevance(query, match, nearness) for match in database]
    return relevance


def _relevance(query: Label, match: Label, nearness: Nearness) -> int:
    if match.is_left_out or (query.group and query.group == match.group):
        return JUNK
    if query.place == match.place:
        if query.position is None or match.position is None:
            return POSITIVE
        gap = abs(query.position - match.position)
        if gap <= nearness.positive_within:
            return POSITIVE
        return NEGATIVE if gap > nearness.negative_beyond else JUNK
    return JUNK if query.place in match.near or match.place in query.near else NEGATIVE
