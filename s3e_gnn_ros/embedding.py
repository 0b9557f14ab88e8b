"""What counts as an embedding, at every border where one comes in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import InputError

_TOLERANCE = 0.01
"""float16 rounds the length of a stored one by less."""


def are_embeddings(vectors: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which rows (N, D) are of unit length to 1 %, or 0: of an image without a keypoint.

    Any other length is a flipped bit, and would win, or lose, every comparison.

    Returns:
        (N,) bool; False where a value is not finite.
    """
    with np.errstate(over='ignore', invalid='ignore'):
        # Not norm(): it would copy all rows of a large map in double precision.
        squares = np.einsum('ij,ij->i', vectors, vectors, dtype=np.float32, casting='unsafe')
        lengths = np.sqrt(squares)
    is_embedding: NDArray[np.bool_] = np.abs(lengths - 1.0) < _TOLERANCE
    return is_embedding | np.logical_not(vectors.any(axis=1))


def check_embeddings(vectors: NDArray[Any], shape: tuple[int, int]) -> None:
    """Refuse what are not so many embeddings (N, D).

    Raises:
        InputError: another shape, or a row that is neither of unit length nor 0.
    """
    if vectors.shape != shape or vectors.dtype.kind not in 'fiu':
        raise InputError(f'embeddings are {vectors.shape} {vectors.dtype} instead of {shape}')
    wrong = np.flatnonzero(np.logical_not(are_embeddings(vectors)))
    if len(wrong):
        with np.errstate(over='ignore', invalid='ignore'):
            length = float(np.linalg.norm(vectors[wrong[0]].astype(np.float64)))
        raise InputError(f'embedding {wrong[0]} has length {length:g} instead of 1 or 0')
