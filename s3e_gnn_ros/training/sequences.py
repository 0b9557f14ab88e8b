"""Embedding sequences: what the GNN is trained on. Two runs through one scene, and their truth."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.files import write_atomic

_ARRAYS = ('embeddings', 'run', 'stamps_ns', 'T_world_camera', 'overlap')


@dataclass(frozen=True, eq=False)
class EmbeddingSequence:
    """The keyframes of two runs through one scene, in order of run and stamp.

    Attributes:
        scene: its name; training and validation share none.
        embeddings: (R, N, D) float16, unit length; row 0 of the images as they are, the others
            of degraded copies of them.
        run: (N,) int64, 0 or 1.
        stamps_ns: (N,) int64.
        T_world_camera: (N, 4, 4) float64, true poses.
        overlap: (N, N) float32, directed: the share of what row sees that column sees as well.
    """

    scene: str
    embeddings: NDArray[np.float16]
    run: NDArray[np.int64]
    stamps_ns: NDArray[np.int64]
    T_world_camera: NDArray[np.float64]
    overlap: NDArray[np.float32]

    def rows(self, run: int) -> NDArray[np.intp]:
        """Return the keyframes of one run, in order."""
        return np.flatnonzero(self.run == run)


def save_sequence(path: Path, sequence: EmbeddingSequence) -> None:
    """Write a sequence as npz.

    Raises:
        InputError: the file cannot be written.
    """
    arrays = {name: getattr(sequence, name) for name in _ARRAYS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, scene=np.array(sequence.scene), **arrays)
    write_atomic(path, buffer.getvalue())


def load_sequence(path: Path) -> EmbeddingSequence:
    """Read what :func:`save_sequence` wrote.

    Raises:
        InputError: no such file, or its arrays do not fit together.
    """
    try:
        with np.load(path, allow_pickle=False) as content:
            scene = str(content['scene'])
            arrays = {name: content[name] for name in _ARRAYS}
    except (OSError, KeyError, ValueError) as err:
        raise InputError(f"'{path}' is no embedding sequence: {err}") from err
    sequence = EmbeddingSequence(scene, **arrays)
    num = len(sequence.run)
    shapes = (sequence.embeddings.shape[1], *sequence.overlap.shape, len(sequence.stamps_ns))
    if any(length != num for length in shapes):
        raise InputError(f"arrays of '{path}' have lengths {shapes} instead of {num}")
    if not len(sequence.rows(0)) or not len(sequence.rows(1)):
        raise InputError(f"'{path}' lacks keyframes of one of its two runs")
    return sequence
