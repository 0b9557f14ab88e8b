"""The batch solver: where it starts decides where it ends."""

from __future__ import annotations

import gtsam
import numpy as np
import pytest

from s3e_gnn_ros.geometry.se3 import expmap, inverse
from s3e_gnn_ros.pose_graph.batch import (
    chordal_initial,
    escaped,
    is_indeterminate,
    minimise,
    optimise_batch,
)

NOISE = gtsam.noiseModel.Isotropic.Sigma(6, 0.1)


def grid_graph(seed: int, sigma: float) -> tuple[gtsam.NonlinearFactorGraph, list[np.ndarray]]:
    """Return a 4x4x4 grid of random attitudes with a disturbed edge along every grid line."""
    rng = np.random.default_rng(seed)
    cells = [(x, y, z) for x in range(4) for y in range(4) for z in range(4)]
    truth = []
    for cell in cells:
        T = expmap(np.r_[rng.normal(0, 1.5, 3), 0, 0, 0])
        T[:3, 3] = cell
        truth.append(T)
    graph = gtsam.NonlinearFactorGraph()
    graph.add(gtsam.PriorFactorPose3(0, gtsam.Pose3(truth[0]), NOISE))
    for i, a in enumerate(cells):
        for j, b in enumerate(cells):
            if (
                sum(q - p for p, q in zip(a, b, strict=True)) == 1
                and np.abs(np.subtract(a, b)).sum() == 1
            ):
                T = inverse(truth[i]) @ truth[j] @ expmap(rng.normal(0, sigma, 6))
                graph.add(gtsam.BetweenFactorPose3(i, j, gtsam.Pose3(T), NOISE))
    return graph, truth


def values_of(poses: list[np.ndarray]) -> gtsam.Values:
    values = gtsam.Values()
    for k, T in enumerate(poses):
        values.insert(k, gtsam.Pose3(T))
    return values


def test_exact_measurements_give_the_truth() -> None:
    graph, truth = grid_graph(0, 0.0)
    start = values_of([T @ expmap(0.05 * np.ones(6)) for T in truth])
    result = minimise(graph, start)
    for k, T in enumerate(truth):
        np.testing.assert_allclose(result.atPose3(k).matrix(), T, atol=1e-5)


def test_bad_guess_is_rescued_by_the_chordal_one() -> None:
    graph, truth = grid_graph(1, 0.02)
    nowhere = values_of([truth[0]] * len(truth))
    optimum = graph.error(minimise(graph, values_of(truth)))
    assert graph.error(minimise(graph, nowhere)) > 2 * optimum
    assert graph.error(optimise_batch(graph, nowhere)) == pytest.approx(optimum, rel=1e-4)


def test_a_bad_minimum_is_left() -> None:
    graph, truth = grid_graph(1, 0.02)
    optimum = minimise(graph, values_of(truth))
    bad = minimise(graph, values_of([truth[0]] * len(truth)))
    assert graph.error(bad) > 2 * graph.error(optimum)
    assert graph.error(escaped(graph, bad)) == pytest.approx(graph.error(optimum), rel=1e-4)
    assert escaped(graph, optimum) is optimum


def test_good_guess_is_kept() -> None:
    graph, truth = grid_graph(2, 0.02)
    optimum = minimise(graph, values_of(truth))
    assert graph.error(optimise_batch(graph, optimum)) <= graph.error(optimum)


def test_chordal_guess_needs_no_guess() -> None:
    graph, truth = grid_graph(3, 0.0)
    guess = chordal_initial(graph)
    assert guess is not None
    for k, T in enumerate(truth):
        np.testing.assert_allclose(guess.atPose3(k).matrix(), T, atol=1e-4)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('\nIndeterminate linear system detected while working near variable\n1', True),
        ('\nIndeterminant linear system detected while working near variable\n1', True),
        ('Attempting to at the key "3", which does not exist in the Values.', False),
    ],
)
def test_is_indeterminate(text: str, expected: bool) -> None:
    assert is_indeterminate(RuntimeError(text)) is expected
