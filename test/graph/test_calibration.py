"""Calibrated similarities: monotone, bounded, and what was counted."""

import numpy as np
import pytest

from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.graph.calibration import Calibration, fit_calibration


def arrays(*rows):
    return [np.array(row, dtype=np.float32) for row in rows]


def test_by_hand():
    calibration = Calibration(*arrays([0.2, 0.4], [0.0, 1.0], [0.1, 0.7]))
    raw = np.array([0.0, 0.3, 0.9])
    assert calibration.probability(raw).tolist() == pytest.approx([0.0, 0.5, 1.0], abs=1e-3)
    assert calibration.overlap(raw).tolist() == pytest.approx([0.1, 0.4, 0.7])
    assert calibration.overlap(raw).dtype == np.float32


def test_order_is_kept_beyond_the_curve():
    calibration = Calibration(*arrays([0.2, 0.4], [0.0, 1.0], [0.1, 0.7]))
    found = calibration.probability(np.array([0.39, 0.4, 0.5, 0.99, 1.0]))
    assert (np.diff(found) > 0).all()
    assert found[-1] == 1.0


def test_round_trip():
    calibration = Calibration(*arrays([0.2, 0.4], [0.0, 1.0], [0.1, 0.7]))
    again = Calibration.from_arrays(calibration.to_arrays())
    np.testing.assert_array_equal(again.overlaps, calibration.overlaps)


def test_fit_finds_the_true_map():
    pytest.importorskip('sklearn')
    rng = np.random.default_rng(0)
    similarities = rng.random(20_000)
    overlaps = np.clip(similarities**2 + 0.05 * rng.standard_normal(20_000), 0.0, 1.0)
    calibration = fit_calibration(similarities, overlaps)
    raw = np.linspace(0.1, 0.95, 50)
    assert np.abs(calibration.overlap(raw) - raw**2).max() < 0.03
    assert calibration.probability(np.array([0.3]))[0] < 0.05
    assert calibration.probability(np.array([0.8]))[0] > 0.95
    assert (np.diff(calibration.probability(np.linspace(-1, 2, 500))) >= 0.0).all()
    assert len(calibration.similarities) <= 64


def test_fit_of_one_value_and_weights():
    pytest.importorskip('sklearn')
    overlaps = np.array([0.0, 0.9])
    calibration = fit_calibration(np.full(2, 0.5), overlaps, np.array([3.0, 1.0]))
    assert calibration.probability(np.array([0.5]))[0] == pytest.approx(0.25, abs=1e-3)


def test_damaged_arrays():
    with pytest.raises(InputError, match='not ascending'):
        Calibration(*arrays([0.2, 0.4], [1.0, 0.0], [0.1, 0.7]))
    with pytest.raises(InputError, match='reaches from'):
        Calibration(*arrays([0.2, 0.4], [0.0, 1.5], [0.1, 0.7]))
    with pytest.raises(InputError, match='three of one length'):
        Calibration(*arrays([0.2, 0.4], [0.0], [0.1, 0.7]))
    with pytest.raises(InputError, match="lacks the array 'overlaps'"):
        Calibration.from_arrays({'similarities': np.zeros(1), 'probabilities': np.zeros(1)})
    with pytest.raises(InputError, match='give no calibration'):
        fit_calibration(np.zeros(0), np.zeros(0))
    with pytest.raises(InputError, match='not finite'):
        fit_calibration(np.array([np.nan]), np.zeros(1))
