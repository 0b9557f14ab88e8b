"""One check: all closures of a graph judged together, from columns alone.

It needs nothing of the graph but these columns, so that it can run elsewhere while the graph goes
on (:mod:`remote_checker`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.pose_graph.batch import is_indeterminate, poses_of
from s3e_gnn_ros.pose_graph.chains import NO_PARENT
from s3e_gnn_ros.pose_graph.consistency import PairTable
from s3e_gnn_ros.pose_graph.gravity import tilt_factor
from s3e_gnn_ros.pose_graph.judge import Case, judge
from s3e_gnn_ros.pose_graph.keyframe_table import OdometryColumns
from s3e_gnn_ros.pose_graph.loops import Loops, chi2_threshold
from s3e_gnn_ros.pose_graph.reduction import Reduction, reduce, values_of
from s3e_gnn_ros.pose_graph.solver import ANCHOR_SIGMAS

_LOOSE_SIGMAS = np.array([3.0] * 3 + [30.0] * 3)
"""Of the prior [rad, m] that keeps a piece in place should it lose all its closures."""


@dataclass(frozen=True, eq=False)
class Check:
    """What a check is about: N keyframes, K closures.

    Attributes:
        odometry: of the keyframes.
        loops: the closures to judge.
        is_pinned: (K,) which stay in whatever speaks against them.
        is_in: (K,) which are in the graph.
        poses: (N, 4, 4) the present estimate.
        generation: of the closures; within one, those of the last check are the first of the next.
    """

    odometry: OdometryColumns
    loops: Loops
    is_pinned: NDArray[np.bool_]
    is_in: NDArray[np.bool_]
    poses: NDArray[np.float64]
    generation: int


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What a check has found.

    Attributes:
        is_in: (K,) which closures are to be in the graph.
        poses: (N, 4, 4) the poses this leads to.
    """

    is_in: NDArray[np.bool_]
    poses: NDArray[np.float64]


class Checker(Protocol):
    """Whoever does checks, one at a time."""

    def begin(self, check: Check) -> None:
        """Take a check on."""
        ...

    def result(self, *, wait: bool) -> CheckResult | None:
        """Return what the check has found, once; None: nothing yet, though not if told to wait.

        Raises:
            ChildDiedError: it has been lost.
        """
        ...


class LocalChecker:
    """Does checks on the spot, and remembers which pairs of closures it has compared.

    Args:
        config: which methods, with which probabilities.
    """

    def __init__(self, config: PoseGraphConfig) -> None:
        self._config = config
        self._threshold = chi2_threshold(config.inlier_probability)
        self._pairs = PairTable(chi2_threshold(config.pcm_probability)) if config.pcm else None
        self._generation = -1
        self._result: CheckResult | None = None

    def begin(self, check: Check) -> None:
        """Judge the closures."""
        trees = check.odometry.trees()
        if self._pairs is not None:
            if check.generation != self._generation:
                self._pairs.clear()
            self._pairs.extend(trees, check.loops)
        self._generation = check.generation
        few = reduce(trees, check.loops)
        try:
            verdict = judge(self._case(check, few), self._config.gnc, self._threshold)
        except RuntimeError as err:
            if not is_indeterminate(err):
                raise
            # The solver's own recovery has the next word.
            self._result = CheckResult(check.is_in, check.poses)
            return
        self._result = CheckResult(verdict.is_in, few.spread(poses_of(verdict.values)))

    def result(self, *, wait: bool) -> CheckResult | None:
        """Return what the last check has found, once."""
        result, self._result = self._result, None
        return result

    def _case(self, check: Check, few: Reduction) -> Case:
        return Case(
            base=believed_graph(check.odometry, few, check.poses),
            loops=few.loops(check.loops),
            pairs=self._pairs,
            pinned=check.is_pinned,
            is_in=check.is_in,
            values=values_of(check.poses[few.rows]),
            unbent=values_of(few.trees.poses_from(check.poses)[few.rows]),
        )


def believed_graph(odometry: OdometryColumns, few: Reduction, poses: NDArray[np.float64]) -> Any:
    """Return a factor graph of odometry, with a prior on the first keyframe of each tree.

    Where gravity is known, roll and pitch are held as well.

    Args:
        odometry: of N keyframes.
        few: those that matter.
        poses: (N, 4, 4) where the trees begin.
    """
    graph = gtsam.NonlinearFactorGraph()
    few.add_odometry(graph)
    has_anchor = False
    roots = few.rows[few.trees.parents[few.rows] == NO_PARENT].tolist()
    # Those of a base map that is held fixed are one tree: its first stands for all.
    for root in sorted(roots, key=lambda row: not odometry.is_fixed[row]):
        sigmas = _LOOSE_SIGMAS if has_anchor else ANCHOR_SIGMAS
        noise = gtsam.noiseModel.Diagonal.Sigmas(sigmas)
        place = gtsam.Pose3(poses[root])
        graph.add(gtsam.PriorFactorPose3(int(few.numbers[root]), place, noise))
        has_anchor = True
    for number, up in enumerate(odometry.ups[few.rows]):
        if np.isfinite(up).all():
            graph.add(tilt_factor(number, up))
    return graph
