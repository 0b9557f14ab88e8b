"""From raw similarities to numbers that mean the same on every robot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.errors import DependencyError, InputError

MIN_OVERLAP = 0.3
"""Overlap from which two keyframes count as views of one place."""

_RISE = 0.01
_TOP = 1e-3  # of the probability, left for the order beyond the curve


@dataclass(frozen=True, eq=False)
class Calibration:
    """Monotone maps of a raw similarity, linear between knots and constant outside.

    Attributes:
        similarities: (k,) raw similarities, ascending.
        probabilities: (k,) in [0, 1], not falling: that the overlap is at least ``MIN_OVERLAP``.
        overlaps: (k,) in [0, 1], not falling: the overlap to expect.

    Raises:
        InputError: the arrays do not fit that.
    """

    similarities: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    overlaps: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Check what may come from a file."""
        arrays = (self.similarities, self.probabilities, self.overlaps)
        shape = self.similarities.shape
        if len(shape) != 1 or not shape[0] or any(each.shape != shape for each in arrays):
            raise InputError(
                f'a calibration has arrays of {[each.shape for each in arrays]} instead of three '
                'of one length'
            )
        if any(not np.isfinite(each).all() or (np.diff(each) < 0).any() for each in arrays):
            raise InputError('the arrays of a calibration are not ascending')
        for each in (self.probabilities, self.overlaps):
            if each[0] < 0.0 or each[-1] > 1.0:
                raise InputError(f'a calibration reaches from {each[0]:g} to {each[-1]:g}')

    def probability(self, similarities: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the probability that the overlap is at least 0.3, for raw similarities.

        Beyond the last point of the curve, where every fitted probability is the same, a
        thousandth is left for the raw similarity (at most 1) to keep its order.
        """
        last = float(self.similarities[-1])
        beyond = np.clip((similarities - last) / max(1.0 - last, 1e-6), 0.0, 1.0)
        fitted = self._map(similarities, self.probabilities)
        return np.asarray((1.0 - _TOP) * fitted + _TOP * beyond, np.float32)

    def overlap(self, similarities: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the overlap to expect for raw similarities."""
        return self._map(similarities, self.overlaps)

    def to_arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return the arrays to store."""
        return {
            'similarities': self.similarities,
            'probabilities': self.probabilities,
            'overlaps': self.overlaps,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Calibration:
        """Read what :meth:`to_arrays` returned.

        Raises:
            InputError: an array is missing or damaged.
        """
        missing = {'similarities', 'probabilities', 'overlaps'} - set(arrays)
        if missing:
            raise InputError(f"a calibration lacks the array '{min(missing)}'")
        return cls(arrays['similarities'], arrays['probabilities'], arrays['overlaps'])

    def _map(
        self, similarities: NDArray[np.floating], values: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        mapped: NDArray[np.float32] = np.interp(similarities, self.similarities, values).astype(
            np.float32
        )
        return mapped


def fit_calibration(
    similarities: NDArray[np.floating],
    overlaps: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
    *,
    max_knots: int = 64,
) -> Calibration:
    """Fit by isotonic regression on pairs of validation scenes.

    The weights decide what "probability" means: pairs drawn as they occur in a map are nearly
    all without overlap; pairs as retrieval proposes them are not.

    Args:
        similarities: (P,) raw, of pairs of keyframes.
        overlaps: (P,) true overlap of each pair, in [0, 1].
        weights: (P,) of each pair; equal when None.
        max_knots: size of the result.

    Raises:
        DependencyError: scikit-learn is not installed.
        InputError: no pairs, other shapes, or values that are not finite.
    """
    if not len(similarities) or similarities.shape != overlaps.shape:
        raise InputError(
            f'{similarities.shape} similarities and {overlaps.shape} overlaps give no calibration'
        )
    if not np.isfinite(similarities).all() or not np.isfinite(overlaps).all():
        raise InputError('pairs for a calibration hold values that are not finite')
    knots = np.unique(np.quantile(similarities, np.linspace(0.0, 1.0, max_knots)))
    is_seen = (overlaps >= MIN_OVERLAP).astype(np.float64)
    return Calibration(
        knots.astype(np.float32),
        _isotonic(similarities, is_seen, weights, knots),
        _isotonic(similarities, overlaps, weights, knots),
    )


def _isotonic(
    inputs: NDArray[np.floating],
    outputs: NDArray[np.floating],
    weights: NDArray[np.floating] | None,
    knots: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the values (k,) at the knots of the best map that never falls."""
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError as err:
        raise DependencyError(
            "fitting a calibration needs scikit-learn: pip install 's3e_gnn_ros[training]'"
        ) from err
    regression = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds='clip')
    regression.fit(inputs, outputs, sample_weight=weights)
    values = np.clip(regression.predict(knots), 0.0, 1.0)
    if len(knots) > 1:
        # Isotonic steps are flat: a slight rise keeps the order of candidates within a step.
        values = (1.0 - _RISE) * values + _RISE * np.linspace(0.0, 1.0, len(knots))
    # Knots lie anywhere on the steps, and float32 rounds: keep the order.
    rising: NDArray[np.float32] = np.maximum.accumulate(values.astype(np.float32))
    return rising
