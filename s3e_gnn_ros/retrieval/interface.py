"""What every retrieval method offers, so that one can take another's place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.types import Encoding, Features, Frame, Keyframe


@dataclass(frozen=True, eq=False)
class StoredEntries:
    """N keyframes of a stored map, in the order of their addition.

    Attributes:
        stamps_ns: (N,) of the images.
        sessions: (N,) of the recordings.
        T_odom_camera: (N, 4, 4) poses of the camera.
        embeddings: (N, D) float32, or None where the map was made without an encoder.
        descriptors: (n, 32) uint8 of each keyframe in turn; read only by a method that needs
            them, once.
        loops: (L, 2) rows, query and match, of verified loops in the order they were found.
    """

    stamps_ns: NDArray[np.int64]
    sessions: NDArray[np.int64]
    T_odom_camera: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None
    descriptors: Iterable[NDArray[np.uint8]]
    loops: NDArray[np.int64]

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self.stamps_ns)


@dataclass(frozen=True, eq=False)
class Scores:
    """What a keyframe scores against N entries.

    Attributes:
        raw: (N,) float32 as the method computes it; higher is better.
        similarities: (N,) float32 the same on a scale of [0, 1].
    """

    raw: NDArray[np.float32]
    similarities: NDArray[np.float32]


class Retrieval(Protocol):
    """A searchable set of keyframes; entries are numbered 0, 1, 2 ... in order of addition.

    A number is never used again: those of all others survive when an entry is removed.
    """

    def encode(self, frame: Frame, features: Features) -> Encoding | None:
        """Return what a keyframe must carry before it is added or compared; None for nothing.

        Raises:
            InputError: the image has a shape or type that cannot be read.
        """
        ...

    def add(self, keyframe: Keyframe) -> int:
        """Add a keyframe and return its entry number."""
        ...

    def join(self, query: int, match: int) -> None:
        """Learn that two entries were verified to see the same place."""
        ...

    def similarities(self, keyframe: Keyframe) -> NDArray[np.float32]:
        """Compare a keyframe with every entry.

        Returns:
            (N,) float32 in [0, 1], higher is better, N the number of entries so far. What stands
            for a removed entry means nothing.
        """
        ...

    def compare(self, keyframe: Keyframe, before: NDArray[np.float32] | None) -> Scores:
        """Compare a keyframe as if it came after certain others, whatever came last.

        Args:
            keyframe: it may be an entry itself.
            before: (n, D) embeddings of those right before it in its session, oldest first; None
                where the method has none.
        """
        ...

    def embeddings(self, entries: Sequence[int]) -> NDArray[np.float32] | None:
        """Return the embeddings (n, D) of entries that were not removed; None without any."""
        ...

    def remove(self, entry: int) -> None:
        """Forget an entry.

        Raises:
            InputError: it is unknown, or removed already.
        """
        ...

    def restore(self, stored: StoredEntries) -> None:
        """Add the keyframes of a stored map: the same as adding and joining them one by one.

        Raises:
            InputError: the map lacks what this method compares, or it has another shape.
        """
        ...

    def __len__(self) -> int:
        """Return the number of entries ever added: the next number."""
        ...
