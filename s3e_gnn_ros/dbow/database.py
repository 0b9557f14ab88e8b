"""DBoW2's Database in Python, with S3E or bag of words behind."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.dbow.backend import Backend, Prepared, make_backend
from s3e_gnn_ros.dbow.database_file import DatabaseFile, read_database, write_database
from s3e_gnn_ros.dbow.direct_index import FeatureVector
from s3e_gnn_ros.dbow.features import ImageFeatures, as_image_features
from s3e_gnn_ros.dbow.results import Comparison, IdRule, QueryResults, allowed, best
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.retrieval.vocabulary import Vocabulary

FeaturesLike = ImageFeatures | Prepared | NDArray[np.uint8]
"""Bare descriptors (N, 32) as DBoW2 takes them, an image with or without features, or what
:meth:`Database.prepare` made of either."""


class Database:
    """A set of images that can be asked which of them look like another one.

    Entries are numbered 0, 1, 2 ... in order of addition. With method 'bow' it is DBoW2: tf-idf
    weights, L1 score, ORB descriptors (N, 32) are all it needs. With 's3e' each image is embedded
    and takes part in the learned graph; that needs the image. Not for several threads at once.

    Args:
        config: all settings, or the name of a retrieval method.
        vocabulary: words of 'bow', which is the method then; None: those of ``config``.
        di_levels: levels that the direct index goes up in the vocabulary; 0: words.
        id_rule: what ``max_id`` means.

    Raises:
        ConfigError: no such method.
        InputError: vocabulary or weights cannot be read, or ``di_levels`` is negative.
    """

    def __init__(
        self,
        config: Config | str = 's3e',
        *,
        vocabulary: Vocabulary | None = None,
        di_levels: int = 0,
        id_rule: IdRule = IdRule.DOCUMENTED,
    ) -> None:
        if di_levels < 0:
            raise InputError(f'di_levels is {di_levels} instead of at least 0')
        method = 'bow' if vocabulary is not None else None
        self.config = _with_method(config, method)
        self.di_levels = di_levels
        self.id_rule = id_rule
        self._backend = _make_backend(self.config, vocabulary)
        self._last: tuple[ImageFeatures, Prepared] | None = None

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._backend)

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self)

    @property
    def method(self) -> str:
        """Name of the retrieval method."""
        return self._backend.method

    def clear(self) -> None:
        """Forget all entries: the next one is 0 again."""
        self._backend = self._backend.emptied()

    def emptied(self) -> Database:
        """Return an empty database with the same settings; it shares vocabulary or networks."""
        other = object.__new__(Database)
        other.__dict__.update(self.__dict__)
        other._backend = self._backend.emptied()
        return other

    def prepare(self, features: FeaturesLike) -> Prepared:
        """Compute what an image is compared by.

        Not needed before :meth:`query` and :meth:`add`: an :class:`ImageFeatures` that is passed
        to both is computed once.

        Raises:
            InputError: the features lack what the method needs, or have another shape.
        """
        if isinstance(features, Prepared):
            return features
        given = as_image_features(features)
        if self._last is None or self._last[0] is not given:
            self._last = given, self._backend.prepare(given)
        return self._last[1]

    def add(self, features: FeaturesLike, *, is_next: bool = True) -> int:
        """Add an image.

        Args:
            features: see ``FeaturesLike``.
            is_next: it follows the last one added, in one drive; False: a new drive begins. Only
                S3E makes use of that.

        Returns:
            Its entry number.

        Raises:
            InputError: as :meth:`prepare`.
        """
        return self._backend.add(self.prepare(features), is_next=is_next)

    def query(
        self,
        features: FeaturesLike,
        max_results: int = 1,
        max_id: int = -1,
        *,
        is_next: bool = True,
    ) -> QueryResults:
        """Find the entries that look like an image.

        ``query(features, 4, frame_index - 50)`` and then ``add(features)`` is what VINS does.

        Args:
            features: see ``FeaturesLike``.
            max_results: at most so many; 0 or less: all.
            max_id: only entries up to this one, see :class:`IdRule`; -1: all.
            is_next: it follows the last one added, and S3E asks with those before it as well;
                False: it is asked about alone, as in relocalisation.

        Returns:
            (id, score) with scores in (0, 1], best first; entries that have nothing in common with
            the image are left out, as in DBoW2.

        Raises:
            InputError: as :meth:`prepare`.
        """
        comparison = self.compare(features, is_next=is_next)
        return best(comparison, allowed(len(self), max_id, self.id_rule), max_results)

    def compare(self, features: FeaturesLike, *, is_next: bool = True) -> Comparison:
        """Compare an image with every entry; arguments and errors as :meth:`query`."""
        return self._backend.compare(self.prepare(features), is_next=is_next)

    def join(self, first: int, second: int) -> None:
        """Tell of a verified loop between two entries: S3E's graph gets an edge.

        Raises:
            InputError: an entry is unknown, or both are the same.
        """
        for entry in (first, second):
            self._check_entry(entry)
        if first == second:
            raise InputError(f'entry {first} cannot close a loop with itself')
        self._backend.join(first, second)

    def retrieve_features(self, entry: int) -> FeatureVector:
        """Return the direct index of an entry: node of the vocabulary -> indices of features.

        Raises:
            InputError: the entry is unknown, or the method has no vocabulary.
        """
        self._check_entry(entry)
        return self._backend.feature_vector(entry, self.di_levels)

    def nodes_of(self, prepared: Prepared) -> NDArray[np.intp]:
        """Return the node (N,) of each feature in the direct index; -1 for those of no weight.

        Raises:
            InputError: the method has no vocabulary.
        """
        words = np.zeros(0, np.int32) if prepared.words is None else prepared.words
        return self._backend.node_of(words, self.di_levels)

    def save(self, path: str | Path) -> None:
        """Write all entries to a file. Vocabulary and weights stay outside: it holds their hash.

        Raises:
            InputError: the file cannot be written.
        """
        backend = self._backend
        content = DatabaseFile(backend.method, backend.digest, backend.arrays())
        write_database(Path(path), content)

    def load(self, path: str | Path) -> None:
        """Replace all entries by those of a file; after an error they are as before.

        Raises:
            InputError: no such file, a damaged one, or one of another method, vocabulary or
                weights.
        """
        content = read_database(Path(path))
        if content.method != self.method:
            raise InputError(
                f"database '{path}' was made by '{content.method}' instead of '{self.method}'"
            )
        if content.models != self._backend.digest:
            models = 'vocabulary' if self.method == 'bow' else 'weights'
            raise InputError(f"database '{path}' was made with another {models}")
        backend = self._backend.emptied()
        try:
            backend.restore(content.arrays)
        except InputError as err:
            raise InputError(f"database '{path}' is damaged: {err}") from err
        self._backend = backend

    def _check_entry(self, entry: int) -> None:
        if not 0 <= entry < len(self):
            raise InputError(f'there is no entry {entry} among {len(self)}')


def _with_method(config: Config | str, method: str | None) -> Config:
    if isinstance(config, str):
        method, config = method or config, Config()
    if method is None:
        return config
    retrieval = dataclasses.replace(config.retrieval, method=method)
    return dataclasses.replace(config, retrieval=retrieval)


def _make_backend(config: Config, vocabulary: Vocabulary | None) -> Backend:
    if vocabulary is None:
        return make_backend(config)
    from s3e_gnn_ros.dbow.bow import BowBackend

    return BowBackend(vocabulary, config.features)
