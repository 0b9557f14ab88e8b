"""Solve a whole factor graph at once: the slow, sure way, beside the incremental one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray


def is_indeterminate(error: RuntimeError) -> bool:
    """Whether gtsam gave up because a linear system was too badly conditioned."""
    # GTSAM 4.2 writes 'Indeterminant', 4.3 'Indeterminate'; Python sees a RuntimeError of both.
    return 'Indetermina' in str(error)


def minimise(graph: Any, initial: Any, max_iterations: int = 100) -> Any:
    """Minimise the error of a graph from an initial guess.

    By Levenberg-Marquardt; where its Cholesky factors are too badly conditioned for a single step
    (INTEL.g2o, with standard deviations from a micrometre to 0.3 m), by Powell's dog leg with QR.

    Args:
        graph: gtsam.NonlinearFactorGraph.
        initial: gtsam.Values that holds every variable of the graph.
        max_iterations: at most so many steps.

    Returns:
        The optimised gtsam.Values.
    """
    params = gtsam.LevenbergMarquardtParams()
    params.setMaxIterations(max_iterations)
    values = gtsam.LevenbergMarquardtOptimizer(graph, initial, params).optimize()
    if graph.error(values) < graph.error(initial):
        return values
    params = gtsam.DoglegParams()
    params.setLinearSolverType('MULTIFRONTAL_QR')
    params.setMaxIterations(max_iterations)
    return gtsam.DoglegOptimizer(graph, initial, params).optimize()


def poses_of(values: Any) -> NDArray[np.float64]:
    """Return the poses (N, 4, 4) of gtsam.Values whose keys are 0 to N - 1."""
    T = np.zeros((values.size(), 4, 4))
    T[:, 3, 3] = 1.0
    if len(T):
        rows = gtsam.utilities.extractPose3(values)  # (N, 12), in order of the keys
        T[:, :3, :3] = rows[:, :9].reshape(-1, 3, 3)
        T[:, :3, 3] = rows[:, 9:]
    return T


def chordal_initial(graph: Any) -> Any | None:
    """Guess all poses without any prior guess, by chordal relaxation of the rotations.

    Source: Carlone et al., "Initialization techniques for 3D SLAM", ICRA 2015.

    Returns:
        gtsam.Values, or None when the relaxation is too badly conditioned.
    """
    try:
        return gtsam.InitializePose3.initialize(graph)
    except RuntimeError as err:
        if is_indeterminate(err):
            return None
        raise


def escaped(graph: Any, optimised: Any) -> Any:
    """Leave a local minimum that is so bad that a chordal guess is better as it stands.

    Args:
        graph: gtsam.NonlinearFactorGraph of poses with at least one prior.
        optimised: gtsam.Values where :func:`minimise` ended.

    Returns:
        These gtsam.Values, or those where it ends from the chordal guess.
    """
    chordal = chordal_initial(graph)
    if chordal is None or not graph.error(chordal) < graph.error(optimised):
        return optimised
    return minimise(graph, chordal)


def optimise_batch(
    graph: Any, initial: Any, mend: Callable[[Any], Any] = lambda values: values
) -> Any:
    """Find the best optimum that two starts reach.

    It starts from ``initial``, and from a chordal initialisation where that one promises more:
    from a poor guess (the raw odometry of a noisy, much-revisited map) the first ends in a bad
    local minimum.

    Args:
        graph: gtsam.NonlinearFactorGraph of poses with at least one prior.
        initial: gtsam.Values that holds every variable of the graph.
        mend: what the graph knows and chordal relaxation does not, done to its gtsam.Values.

    Returns:
        The optimised gtsam.Values of lower error.
    """
    best = minimise(graph, initial)
    chordal = chordal_initial(graph)
    chordal = None if chordal is None else mend(chordal)
    if chordal is None or not graph.error(chordal) < graph.error(initial):
        return best
    other = minimise(graph, chordal)
    return other if graph.error(other) < graph.error(best) else best
