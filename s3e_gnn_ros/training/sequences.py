"""Embedding sequences: what the GNN is trained on. Two runs through one scene, and their truth."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.overlap import symmetric_overlap
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.evaluation.files import write_atomic
from s3e_gnn_ros.npz_file import read_npz

_KINDS = {
    'embeddings': 'f',
    'run': 'iu',
    'stamps_ns': 'iu',
    'T_world_camera': 'f',
    'overlap': 'f',
}
_ARRAYS = tuple(_KINDS)
_MAX_BYTES = 1 << 33


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

    @property
    def mutual_overlap(self) -> NDArray[np.float32]:
        """The smaller overlap (N, N) of both directions: how far each sees what the other sees.

        Whoever looks down a corridor sees all that is seen further down, and is not there.
        """
        return np.minimum(self.overlap, self.overlap.T)

    @property
    def iou(self) -> NDArray[np.float32]:
        """Intersection over union (N, N) of what two keyframes see, of views known everywhere."""
        return symmetric_overlap(self.overlap, np.ones(len(self.run), np.int64))

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
        arrays = read_npz(path, ('scene', *_ARRAYS), _MAX_BYTES)
    except InputError as err:
        raise InputError(f"'{path}' is no embedding sequence: {err}") from err
    sequence = EmbeddingSequence(str(arrays.pop('scene')), **arrays)
    _check_arrays(path, arrays)
    if not len(sequence.rows(0)) or not len(sequence.rows(1)):
        raise InputError(f"'{path}' lacks keyframes of one of its two runs")
    return sequence


def _check_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    N, R, D = arrays['run'].size, *(*arrays['embeddings'].shape[::2], 0, 0)[:2]
    shapes = {
        'embeddings': (R, N, D),
        'run': (N,),
        'stamps_ns': (N,),
        'T_world_camera': (N, 4, 4),
        'overlap': (N, N),
    }
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.kind not in _KINDS[name]:
            raise InputError(f"{name} of '{path}' is {array.shape} {array.dtype}, not {shape}")
        if not np.isfinite(array).all():
            raise InputError(f"{name} of '{path}' holds values that are not finite")
