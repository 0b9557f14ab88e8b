"""The pose graph of a map: keyframes by session and id, odometry, loop closures."""

from __future__ import annotations

import numpy as np

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.geometry.se3 import Pose, check_pose, inverse
from s3e_gnn_ros.pose_graph.check import Checker
from s3e_gnn_ros.pose_graph.closure_table import edge_of
from s3e_gnn_ros.pose_graph.edge import Edge
from s3e_gnn_ros.pose_graph.graph_readings import GraphReadings
from s3e_gnn_ros.pose_graph.gravity import loosened, up_in
from s3e_gnn_ros.pose_graph.keyframe_table import Node, name_of
from s3e_gnn_ros.pose_graph.noise import odometry_covariance
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

__all__ = ['MAX_PENDING', 'Edge', 'PoseGraph']

MAX_PENDING = 1000
"""Closures that wait for their keyframes; beyond it the oldest is dropped."""


class PoseGraph(GraphReadings):
    """Corrected poses of all keyframes, from drifting odometry and loop closures.

    Feed it keyframes and closures as they come, in any order of the two; call :meth:`update` when
    there is time; read the poses. Poses are of the camera's optical frame. Where odometry breaks
    off (a new session, a restarted front end) a new *piece* begins, with an anchor of its own at
    its odometry pose. The first closure between two pieces moves the younger one as a rigid body
    onto the older, and its anchor goes: no prior pulls at the result.

    With four degrees of freedom all poses keep the roll and pitch of odometry (:mod:`gravity`).

    A closure that agrees with the map enters it at once. One that does not waits outside for the
    next check, in which all closures are judged together (PCM and GNC, as configured); those that
    lose are taken out, stay known, and are judged again each time.

    Not thread-safe and without locks: one worker thread owns it.

    Attributes:
        num_duplicates: closures ignored because the pair had one already.
        num_dropped: closures that waited too long for their keyframes.

    Args:
        config: noise, solver and checks.
        checker: judges all closures together, elsewhere if it likes; on the spot when None.
    """

    def __init__(self, config: PoseGraphConfig, checker: Checker | None = None) -> None:
        super().__init__(config, checker)
        self.num_duplicates = 0
        self.num_dropped = 0

    def add_keyframe(
        self,
        key: KeyframeKey,
        stamp_ns: int,
        T_odom_camera: Pose,
        odom_frame_continues: bool = True,
        T_map_camera_fixed: Pose | None = None,
    ) -> None:
        """Add a keyframe, tied by odometry to the one before it.

        The one before is the last of the same session; for the first of a session, the last that
        came at all.

        Args:
            key: session and id, both new together.
            stamp_ns: later than the session's last.
            T_odom_camera: (4, 4) drifting pose of the optical frame.
            odom_frame_continues: False where the odometry frame is not that of the keyframe
                before: no edge, a new piece.
            T_map_camera_fixed: (4, 4) pose of a base map's keyframe that nothing may move; it gets
                a prior in place of odometry.

        Raises:
            InputError: the key is known, time goes backwards, or a pose is no rigid transform.
        """
        key = KeyframeKey(*key)
        T = check_pose(T_odom_camera, f'pose of {name_of(key)}')
        node = Node(key, stamp_ns, T)
        if T_map_camera_fixed is not None:
            node.T_fixed = check_pose(T_map_camera_fixed, f'fixed pose of {name_of(key)}')
        elif self._config.degrees_of_freedom == 4:
            node.up = up_in(T)
        before = self._keyframes.before(key, stamp_ns)
        if before is not None and odom_frame_continues and node.T_fixed is None:
            T_i_j = inverse(before.T_odom_camera) @ T
            covariance = odometry_covariance(before.T_odom_camera, T, self._config)
            node.edge = Edge(before.key, key, T_i_j, covariance)
        self._skeleton.settle()
        self._keyframes.add(node)
        self._skeleton.add(node)
        self._gate.note_keyframe()
        for pair in [pair for pair in self._pending if key in pair]:
            if pair[0] in self._keyframes.index and pair[1] in self._keyframes.index:
                self._gate.offer(self._constraint(self._pending.pop(pair)))

    def add_closure(self, closure: LoopClosure) -> bool:
        """Add a loop closure; returns whether it entered the graph.

        It does not when the pair has one already; not yet when one of its keyframes is still to
        come, then it waits for it; nor when it contradicts the map, then the next check decides.

        Raises:
            InputError: a keyframe matched with itself, or a pose or covariance out of order.
        """
        edge = edge_of(closure, self._config.scale_by_similarity)
        pair = (edge.i, edge.j)
        if pair in self._closures or pair in self._pending:
            self.num_duplicates += 1
            return False
        if edge.i in self._keyframes.index and edge.j in self._keyframes.index:
            return self._gate.offer(self._constraint(closure))
        if len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
            self.num_dropped += 1
        self._pending[pair] = closure
        return False

    def replace_closure(self, closure: LoopClosure) -> bool:
        """Measure a closure anew; returns whether it is in the graph.

        It is added where the pair has none. What was pinned stays pinned, what was taken out by
        hand stays out.

        Raises:
            InputError: see :meth:`add_closure`.
        """
        edge = edge_of(closure, self._config.scale_by_similarity)
        pair = (edge.i, edge.j)
        if pair in self._pending:
            self._pending[pair] = closure
        if pair not in self._closures:
            return pair not in self._pending and self.add_closure(closure)
        return self._gate.replace(pair, self._constraint(closure))

    def remove_closure(self, match: KeyframeKey, query: KeyframeKey) -> None:
        """Take a closure out; the graph becomes one that never had it. It stays known.

        Raises:
            InputError: the pair has no closure.
        """
        pair = (KeyframeKey(*match), KeyframeKey(*query))
        if self._pending.pop(pair, None) is not None:
            return
        self._gate.remove(pair)

    def restore_closure(self, match: KeyframeKey, query: KeyframeKey) -> None:
        """Put a closure back that was taken out; the next check may take it out again.

        Raises:
            InputError: the pair has no closure.
        """
        self._gate.restore((match, query))

    def pin_closure(self, match: KeyframeKey, query: KeyframeKey, pinned: bool = True) -> None:
        """Keep a closure in the graph whatever a check says of it, or no longer.

        Raises:
            InputError: the pair has no closure.
        """
        self._gate.pin((match, query), pinned)

    def remove_keyframe(self, key: KeyframeKey) -> None:
        """Take a keyframe out of the graph.

        Odometry on its two sides becomes one edge, and its closures go to a neighbour; the
        covariances account for it. The graph is rebuilt once, when it is next used.

        Raises:
            InputError: there is no such keyframe.
        """
        key = KeyframeKey(*key)
        self._skeleton.forget(self._keyframes.row(key))
        self._closures.detach(key, self._keyframes.remove(key))
        self._pending = {pair: c for pair, c in self._pending.items() if key not in pair}
        self._gate.forget_pairs()

    def update(self) -> None:
        """Fold in what is new, with a few more iterations when a loop was among it.

        Where closures contradict, and long enough after the last check, all are judged.

        Raises:
            InputError: the graph cannot be solved; the next update tries again.
        """
        if self._skeleton.update():
            self._gate.notice_contradictions()
        self._gate.check_if_due()

    def judge(self) -> None:
        """Judge all closures now, whether or not any contradict.

        Raises:
            InputError: the graph cannot be solved.
        """
        self._skeleton.update()
        self._gate.check()

    def finish(self) -> None:
        """Judge all closures and optimise everything at once.

        Worth it at the end, or when there is nothing else to do.

        Raises:
            InputError: the graph cannot be solved.
        """
        self._skeleton.update()
        self._gate.check_news()
        self._skeleton.finish()

    def _constraint(self, closure: LoopClosure) -> Edge:
        """Return what a closure between known keyframes is to the solver."""
        edge = edge_of(closure, self._config.scale_by_similarity)
        if self._config.degrees_of_freedom == 6:
            return edge
        i, j = (self._keyframes.nodes[self._keyframes.index[key]] for key in (edge.i, edge.j))
        sigma_rad = np.radians(self._config.odometry_tilt_sigma_deg)
        return loosened(edge, up_in(i.T), up_in(j.T), sigma_rad)
