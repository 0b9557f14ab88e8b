"""Which loop closures are in a pose graph: who enters at once, who waits, who is taken out."""

from __future__ import annotations

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import inverse
from s3e_gnn_ros.pose_graph.check import Checker
from s3e_gnn_ros.pose_graph.closure_table import Closure, ClosureTable, Pair, loops_of
from s3e_gnn_ros.pose_graph.edge import Edge
from s3e_gnn_ros.pose_graph.inquest import Finding, Inquest
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
        checker: judges all closures together; on the spot when None.
    """

    def __init__(
        self,
        keyframes: KeyframeTable,
        closures: ClosureTable,
        skeleton: Skeleton,
        config: PoseGraphConfig,
        checker: Checker | None = None,
    ) -> None:
        self._keyframes = keyframes
        self._closures = closures
        self._skeleton = skeleton
        self._threshold = chi2_threshold(config.inlier_probability)
        self._inquest = Inquest(config, checker)

    @property
    def num_checks(self) -> int:
        """How often all closures were judged."""
        return self._inquest.num_checks

    @property
    def is_checking(self) -> bool:
        """Whether a check is under way, whose result is still to come in."""
        return self._inquest.is_running

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
            self._inquest.annul()
            self._put_in(closure)

    def pin(self, pair: Pair, pinned: bool) -> None:
        """Keep a closure in the graph whatever checks say, or no longer."""
        if pinned:
            self.restore(pair)
        self._closures.get(pair).is_pinned = pinned
        self._inquest.annul()
        self._inquest.is_due = True

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
        """Have all closures judged where some contradict, and long enough after the last time."""
        self._take_in(wait=False)
        if not self.is_checking and self._inquest.is_time(len(self._keyframes)):
            self._begin()
            self._take_in(wait=False)

    def check_news(self) -> None:
        """Judge all closures where anything has changed since the last time."""
        self._take_in(wait=True)
        if self._inquest.has_news:
            self.check()

    def check(self) -> None:
        """Judge all closures now, and rebuild the graph where that changes which are in."""
        self._take_in(wait=True)
        self._begin()
        self._take_in(wait=True)

    def _begin(self) -> None:
        closures = self._closures.candidates()
        if closures and self._inquest.is_on:
            self._inquest.begin(self._keyframes, closures, self._skeleton.poses())

    def _take_in(self, *, wait: bool) -> None:
        """Let the check under way have its effect, if it has ended."""
        finding = self._inquest.finding(wait=wait)
        if finding is not None:
            self._apply(finding)

    def _apply(self, finding: Finding) -> None:
        """Rebuild the graph where other closures are to be in it.

        Those that came since the check began are offered to the new graph one by one.
        """
        judged = finding.closures
        if [closure.is_in for closure in judged] == finding.is_in.tolist():
            return
        present = self._skeleton.poses()
        known = set(judged)
        newer = [closure for closure in self._closures.candidates() if closure not in known]
        for closure in newer:
            closure.is_in = False
        for closure, belongs in zip(judged, finding.is_in.tolist(), strict=True):
            closure.is_in = belongs
        self._skeleton.rebuild_from(self._keyframes.continued(finding.poses, present))
        self._skeleton.update()
        for closure in newer:
            self._admit(closure)

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
