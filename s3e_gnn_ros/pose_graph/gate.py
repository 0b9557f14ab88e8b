"""Which loop closures are in a pose graph: who enters at once, who waits, who is taken out."""

from __future__ import annotations

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.pose_graph.closure_table import Closure, ClosureTable, Pair, loops_of
from s3e_gnn_ros.pose_graph.edge import Edge
from s3e_gnn_ros.pose_graph.inquest import Inquest
from s3e_gnn_ros.pose_graph.keyframe_table import KeyframeTable
from s3e_gnn_ros.pose_graph.loops import chi2_threshold
from s3e_gnn_ros.pose_graph.skeleton import Skeleton
from s3e_gnn_ros.pose_graph.surprise import surprise


class Gate:
    """Lets closures into the graph and takes them out.

    One that agrees with the map enters at once. One that does not waits outside for the next
    check, in which all are judged together.

    Args:
        keyframes: of the graph.
        closures: of the graph.
        skeleton: holds the solver.
        config: the methods and their probabilities.
    """

    def __init__(
        self,
        keyframes: KeyframeTable,
        closures: ClosureTable,
        skeleton: Skeleton,
        config: PoseGraphConfig,
    ) -> None:
        self._keyframes = keyframes
        self._closures = closures
        self._skeleton = skeleton
        self._threshold = chi2_threshold(config.inlier_probability)
        self._inquest = Inquest(config)

    @property
    def num_checks(self) -> int:
        """How often all closures were judged."""
        return self._inquest.num_checks

    def note_keyframe(self) -> None:
        """Count a keyframe: checks keep a distance."""
        self._inquest.num_keyframes += 1

    def forget_pairs(self) -> None:
        """Odometry has changed: compare all closures anew."""
        self._inquest.forget_pairs()

    def offer(self, edge: Edge) -> bool:
        """Take note of a new closure; returns whether it entered the graph."""
        closure = self._closures.add(edge)
        self._admit(closure)
        return closure.is_in

    def replace(self, pair: Pair, edge: Edge) -> bool:
        """Give a closure another measurement; returns whether it is in the graph."""
        closure = self._closures.get(pair)
        self._skeleton.take_out(closure)
        closure.edge = edge
        self._inquest.forget_pairs()
        if not closure.is_removed:
            self._admit(closure)
        return closure.is_in

    def remove(self, pair: Pair) -> None:
        """Take a closure out by hand."""
        closure = self._closures.get(pair)
        self._skeleton.take_out(closure)
        if not closure.is_removed:
            self._inquest.forget_pairs()
        closure.is_removed, closure.is_pinned = True, False

    def restore(self, pair: Pair) -> None:
        """Put a closure in by hand."""
        closure = self._closures.get(pair)
        if closure.is_removed:
            self._inquest.forget_pairs()
        closure.is_removed = False
        if not closure.is_in:
            self._put_in(closure)

    def pin(self, pair: Pair, pinned: bool) -> None:
        """Keep a closure in the graph whatever checks say, or no longer."""
        if pinned:
            self.restore(pair)
        self._closures.get(pair).is_pinned = pinned
        self._inquest.is_due = self._inquest.has_news = True

    def notice_contradictions(self) -> None:
        """After loops were folded in: let in what agrees now, and note what no longer does."""
        closures = self._closures.candidates() if self._inquest.is_on else []
        if not closures:
            return
        loops = loops_of(closures, self._keyframes.index)
        agrees = loops.squared_residuals(self._skeleton.poses()) <= self._threshold
        for closure, is_fine in zip(closures, agrees.tolist(), strict=True):
            if is_fine and not closure.is_in:
                self._put_in(closure)
            elif closure.is_in and not (is_fine or closure.is_pinned):
                self._inquest.is_due = True

    def check_if_due(self) -> None:
        """Judge all closures where some contradict, and long enough after the last time."""
        if self._inquest.is_time(len(self._keyframes)):
            self.check()

    def check_news(self) -> None:
        """Judge all closures where anything has changed since the last time."""
        if self._inquest.has_news:
            self.check()

    def check(self) -> None:
        """Judge all closures, and rebuild the graph where that changes which are in."""
        closures = self._closures.candidates()
        if not (closures and self._inquest.is_on):
            return
        poses = self._skeleton.poses()
        belong, poses = self._inquest.run(self._keyframes, closures, poses)
        if [closure.is_in for closure in closures] == belong.tolist():
            return
        for closure, belongs in zip(closures, belong.tolist(), strict=True):
            closure.is_in = belongs
        self._skeleton.rebuild_from(poses)
        self._skeleton.update()

    def _admit(self, closure: Closure) -> None:
        """Put a closure in, unless it contradicts the map and a check can still decide."""
        self._inquest.has_news = True
        if self._inquest.is_on and not closure.is_pinned and self._is_surprising(closure.edge):
            self._inquest.is_due = True
        else:
            self._put_in(closure)

    def _is_surprising(self, edge: Edge) -> bool:
        i, j = self._keyframes.index[edge.i], self._keyframes.index[edge.j]
        if not self._skeleton.are_joined(i, j):
            return False
        T_i_j = inverse(self._skeleton.pose(i)) @ self._skeleton.pose(j)
        return surprise(edge, T_i_j, self._edges_inside, self._threshold)

    def _edges_inside(self) -> list[Edge]:
        return self._keyframes.edges() + [closure.edge for closure in self._closures.inside()]

    def _put_in(self, closure: Closure) -> None:
        self._skeleton.put_in(closure)
        self._inquest.has_news = True
