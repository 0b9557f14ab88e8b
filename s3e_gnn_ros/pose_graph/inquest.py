"""When and how the closures of a pose graph are judged together."""

from __future__ import annotations

from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.pose_graph.batch import is_indeterminate, poses_of
from s3e_gnn_ros.pose_graph.chains import NO_PARENT
from s3e_gnn_ros.pose_graph.closure_table import Closure, loops_of
from s3e_gnn_ros.pose_graph.consistency import PairTable
from s3e_gnn_ros.pose_graph.gravity import tilt_factor
from s3e_gnn_ros.pose_graph.judge import Case, judge
from s3e_gnn_ros.pose_graph.keyframe_table import KeyframeTable
from s3e_gnn_ros.pose_graph.loops import chi2_threshold
from s3e_gnn_ros.pose_graph.reduction import Reduction, reduce, values_of
from s3e_gnn_ros.pose_graph.solver import ANCHOR_SIGMAS

_LOOSE_SIGMAS = np.array([3.0] * 3 + [30.0] * 3)
"""Of the prior [rad, m] that keeps a piece in place should it lose all its closures."""


class Inquest:
    """Judges all closures of a graph, not too often, and remembers what pairs it has compared.

    Attributes:
        num_checks: how often it has.
        num_keyframes: that came since the last time.
        is_due: closures contradict each other.
        has_news: closures have come, gone or changed since the last time.

    Args:
        config: which methods, with which probabilities, how often.
    """

    def __init__(self, config: PoseGraphConfig) -> None:
        self.num_checks = 0
        self.num_keyframes = 0
        self.is_due = False
        self.has_news = False
        self._config = config
        self._threshold = chi2_threshold(config.inlier_probability)
        self._pairs = PairTable(chi2_threshold(config.pcm_probability)) if config.pcm else None

    @property
    def is_on(self) -> bool:
        """Whether any method is switched on."""
        return self._config.pcm or self._config.gnc

    def is_time(self, num_keyframes: int) -> bool:
        """Whether a check is due, with so many keyframes in the graph.

        The interval grows with the map, so that the share of time that checks take does not.
        """
        interval = max(self._config.check_interval, int(self._config.check_growth * num_keyframes))
        return self.is_on and self.is_due and self.num_keyframes >= interval

    def forget_pairs(self) -> None:
        """Compare all pairs anew next time: a closure or odometry has changed."""
        self.has_news = True
        if self._pairs is not None:
            self._pairs.clear()

    def run(
        self, keyframes: KeyframeTable, closures: list[Closure], poses: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Judge closures.

        Args:
            keyframes: of the graph.
            closures: K, in the same order each time until :meth:`forget_pairs`.
            poses: (N, 4, 4) the present estimate.

        Returns:
            Which closures (K,) are to be in the graph, and the poses (N, 4, 4) this leads to.
        """
        self.num_checks += 1
        self.num_keyframes, self.is_due, self.has_news = 0, False, False
        loops = loops_of(closures, keyframes.index)
        trees = keyframes.trees()
        if self._pairs is not None:
            self._pairs.extend(trees, loops)
        is_in = np.array([closure.is_in for closure in closures])
        few = reduce(trees, loops)
        case = Case(
            base=believed_graph(keyframes, few, poses),
            loops=few.loops(loops),
            pairs=self._pairs,
            pinned=np.array([closure.is_pinned for closure in closures]),
            is_in=is_in,
            values=values_of(poses[few.rows]),
            unbent=values_of(trees.poses_from(poses)[few.rows]),
        )
        try:
            verdict = judge(case, self._config.gnc, self._threshold)
        except RuntimeError as err:
            if not is_indeterminate(err):
                raise
            return is_in, poses  # the solver's own recovery has the next word
        return verdict.is_in, few.spread(poses_of(verdict.values))


def believed_graph(keyframes: KeyframeTable, few: Reduction, poses: NDArray[np.float64]) -> Any:
    """Return a factor graph of odometry, with a prior on the first keyframe of each tree.

    Where gravity is known, roll and pitch are held as well.
    """
    graph = gtsam.NonlinearFactorGraph()
    few.add_odometry(graph)
    has_anchor = False
    roots = few.rows[few.trees.parents[few.rows] == NO_PARENT].tolist()
    # Those of a base map that is held fixed are one tree: its first stands for all.
    for root in sorted(roots, key=lambda row: keyframes.nodes[row].T_fixed is None):
        sigmas = _LOOSE_SIGMAS if has_anchor else ANCHOR_SIGMAS
        noise = gtsam.noiseModel.Diagonal.Sigmas(sigmas)
        place = gtsam.Pose3(poses[root])
        graph.add(gtsam.PriorFactorPose3(int(few.numbers[root]), place, noise))
        has_anchor = True
    for number, row in enumerate(few.rows.tolist()):
        up = keyframes.nodes[row].up
        if up is not None:
            graph.add(tilt_factor(number, up))
    return graph
