"""What a database compares images by: S3E or bag of words, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.dbow.direct_index import FeatureVector
from s3e_gnn_ros.dbow.features import ImageFeatures
from s3e_gnn_ros.dbow.results import Comparison
from s3e_gnn_ros.types import Encoding, Features


@dataclass(frozen=True, eq=False)
class Prepared:
    """What an image is compared by, computed once for its query and its addition.

    Attributes:
        given: what came.
        features: its ORB features.
        words: (N,) int32 word of each feature; None with S3E.
        encoding: of the encoder; None with bag of words.
    """

    given: ImageFeatures
    features: Features
    words: NDArray[np.int32] | None = None
    encoding: Encoding | None = None


class Backend(Protocol):
    """The entries of a database, numbered 0, 1, 2 ... in order of addition."""

    @property
    def method(self) -> str:
        """Name of the retrieval method."""
        ...

    def __len__(self) -> int:
        """Return the number of entries."""
        ...

    def emptied(self) -> Backend:
        """Return an empty one that shares the vocabulary or the networks."""
        ...

    def prepare(self, given: ImageFeatures) -> Prepared:
        """Compute what an image is compared by.

        Raises:
            InputError: it lacks what this method needs.
        """
        ...

    def add(self, prepared: Prepared, *, is_next: bool) -> int:
        """Add an entry; returns its number."""
        ...

    def compare(self, prepared: Prepared, *, is_next: bool) -> Comparison:
        """Compare with every entry."""
        ...

    def join(self, first: int, second: int) -> None:
        """Learn that two entries were verified to see the same place."""
        ...

    def node_of(self, words: NDArray[np.int32], levels_up: int) -> NDArray[np.intp]:
        """Return the node (N,) of each word; -1 where the word weighs nothing.

        Raises:
            InputError: the method has no vocabulary.
        """
        ...

    def feature_vector(self, entry: int, levels_up: int) -> FeatureVector:
        """Return the direct index of an entry.

        Raises:
            InputError: the method has none.
        """
        ...

    @property
    def digest(self) -> str:
        """Hash of vocabulary or weights: entries are comparable only under the same."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return all entries as plain arrays."""
        ...

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add the entries of :meth:`arrays`.

        Raises:
            InputError: the arrays are not such.
        """
        ...


def make_backend(config: Config) -> Backend:
    """Make an empty one of ``config.retrieval.method``.

    Raises:
        InputError: its weights or vocabulary cannot be read.
    """
    # Only the chosen method is imported: bag of words needs no torch.
    if config.retrieval.method == 's3e':
        from s3e_gnn_ros.dbow.s3e import S3EBackend

        return S3EBackend.from_config(config)
    assert config.retrieval.method == 'bow'  # the configuration has refused every other name
    from s3e_gnn_ros.dbow.bow import BowBackend
    from s3e_gnn_ros.retrieval.vocabulary_file import load_vocabulary

    return BowBackend(load_vocabulary(config.retrieval.vocabulary), config.features)


def stored(arrays: Mapping[str, NDArray[Any]], name: str, dtype: Any, ndim: int) -> NDArray[Any]:
    """Return an array of a file after checking its type.

    Raises:
        KeyError: it is missing.
        ValueError: it is of another type or dimension.
    """
    array = arrays[name]
    if array.dtype != dtype or array.ndim != ndim:
        raise ValueError(f'{name} is {array.shape} {array.dtype}')
    return array
