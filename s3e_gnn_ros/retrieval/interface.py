"""What every retrieval method offers, so that one can take another's place."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.types import Encoding, Features, Frame, Keyframe


class Retrieval(Protocol):
    """A searchable set of keyframes; entries are numbered 0, 1, 2 ... in order of addition."""

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
            (N,) float32 in [0, 1], higher is better, N the number of entries so far.
        """
        ...

    def __len__(self) -> int:
        """Return the number of entries."""
        ...
