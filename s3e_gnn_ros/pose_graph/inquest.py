"""When the closures of a pose graph are judged together, and whether the result still applies."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.pose_graph.check import Check, Checker, LocalChecker
from s3e_gnn_ros.pose_graph.child import ChildDiedError
from s3e_gnn_ros.pose_graph.closure_table import Closure, loops_of
from s3e_gnn_ros.pose_graph.keyframe_table import KeyframeTable

_generations = itertools.count()
"""One checker may serve one graph after the other."""


@dataclass(frozen=True, eq=False)
class Finding:
    """What a check has found of a graph that may have grown since.

    Attributes:
        closures: K, those that were judged.
        is_in: (K,) which of them are to be in the graph.
        poses: (M, 4, 4) of the first M keyframes, which there were then.
    """

    closures: list[Closure]
    is_in: NDArray[np.bool_]
    poses: NDArray[np.float64]


class Inquest:
    """Has all closures of a graph judged, not too often.

    Attributes:
        num_checks: how often it has.
        num_keyframes: that came since the last time.
        is_due: closures contradict each other.
        has_news: closures have come, gone or changed since the last time.

    Args:
        config: which methods, how often.
        checker: does it; on the spot when None.
    """

    def __init__(self, config: PoseGraphConfig, checker: Checker | None = None) -> None:
        self.num_checks = 0
        self.num_keyframes = 0
        self.is_due = False
        self.has_news = False
        self._config = config
        self._checker = LocalChecker(config) if checker is None else checker
        self._generation = next(_generations)
        self._judged: list[Closure] | None = None  # by the check under way
        self._is_void = False  # what it judges has changed

    @property
    def is_on(self) -> bool:
        """Whether any method is switched on."""
        return self._config.pcm or self._config.gnc

    @property
    def is_running(self) -> bool:
        """Whether a check is under way."""
        return self._judged is not None

    def is_time(self, num_keyframes: int) -> bool:
        """Whether a check is due, with so many keyframes in the graph.

        The interval grows with the map, so that the share of time that checks take does not.
        """
        interval = max(self._config.check_interval, int(self._config.check_growth * num_keyframes))
        return self.is_on and self.is_due and self.num_keyframes >= interval

    def forget_pairs(self) -> None:
        """Compare all pairs anew next time: a closure or odometry has changed."""
        self.annul()
        self._generation = next(_generations)

    def annul(self) -> None:
        """Let the result of a check under way count for nothing: more than additions came."""
        self.has_news = True
        self._is_void = True

    def begin(
        self, keyframes: KeyframeTable, closures: list[Closure], poses: NDArray[np.float64]
    ) -> None:
        """Have closures judged.

        Args:
            keyframes: of the graph.
            closures: K, in the same order each time until :meth:`forget_pairs`.
            poses: (N, 4, 4) the present estimate.
        """
        self.num_checks += 1
        self.num_keyframes, self.is_due, self.has_news = 0, False, False
        self._judged, self._is_void = closures, False
        self._checker.begin(
            Check(
                keyframes.columns(),
                loops_of(closures, keyframes.index),
                np.array([closure.is_pinned for closure in closures]),
                np.array([closure.is_in for closure in closures]),
                poses,
                self._generation,
            )
        )

    def finding(self, *, wait: bool) -> Finding | None:
        """Return what the check under way has found, once; None: nothing, or nothing that holds.

        Args:
            wait: until it has ended.
        """
        if self._judged is None:
            return None
        try:
            result = self._checker.result(wait=wait)
            is_lost = False
        except ChildDiedError:
            result, is_lost = None, True
        if result is None and not is_lost:
            return None
        closures, self._judged = self._judged, None
        if result is None or self._is_void:
            self.is_due = self.has_news = True
            return None
        return Finding(closures, result.is_in, result.poses)
