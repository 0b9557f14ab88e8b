"""The pose graph of a map: keyframes by session and id, odometry, loop closures."""

from __future__ import annotations

from dataclasses import dataclass

import gtsam
import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import PoseGraphConfig
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.se3 import Pose, check_pose, inverse
from s3e_gnn_ros.pose_graph.g2o import G2oGraph
from s3e_gnn_ros.pose_graph.noise import check_covariance, odometry_sigmas, robust_noise
from s3e_gnn_ros.pose_graph.solver import IncrementalSolver
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

MAX_PENDING = 1000
"""Closures that wait for their keyframes; beyond it the oldest is dropped."""


@dataclass(frozen=True, eq=False)
class Edge:
    """One constraint of the graph.

    Attributes:
        i: the keyframe it starts from.
        j: the keyframe it leads to.
        T_i_j: (4, 4) measured pose of j in the frame of i.
        covariance: (6, 6) rotation [rad] first, then translation [m], perturbation on the right.
    """

    i: KeyframeKey
    j: KeyframeKey
    T_i_j: Pose
    covariance: NDArray[np.float64]


class PoseGraph:
    """Corrected poses of all keyframes, from drifting odometry and loop closures.

    Feed it keyframes and closures as they come, in any order of the two; call :meth:`update` when
    there is time; read the poses. Poses are of the camera's optical frame. Where odometry breaks
    off (a new session, a restarted front end) a new *piece* begins, with an anchor of its own at
    its odometry pose. The first closure between two pieces moves the younger one as a rigid body
    onto the older, and its anchor goes: no prior pulls at the result.

    Not thread-safe and without locks: one worker thread owns it.

    Attributes:
        odometry_edges: constraints between successive keyframes.
        closure_edges: accepted loop closures, from match to query.
        num_duplicates: closures ignored because the pair had one already.
        num_dropped: closures that waited too long for their keyframes.
    """

    def __init__(self, config: PoseGraphConfig) -> None:
        """Start empty."""
        self.odometry_edges: list[Edge] = []
        self.closure_edges: list[Edge] = []
        self.num_duplicates = 0
        self.num_dropped = 0
        self._config = config
        self._solver = IncrementalSolver(config.relinearize_threshold)
        self._index: dict[KeyframeKey, int] = {}
        self._stamps_ns: list[int] = []
        self._T_odom_camera: list[Pose] = []
        self._piece: list[int] = []  # per keyframe: index of the anchored keyframe it hangs on
        self._last: dict[int, KeyframeKey] = {}  # per session
        self._pending: dict[tuple[KeyframeKey, KeyframeKey], LoopClosure] = {}
        self._closed: set[tuple[KeyframeKey, KeyframeKey]] = set()

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self._index)

    @property
    def keys(self) -> list[KeyframeKey]:
        """All keyframes in the order they came; rows of :meth:`poses` are in this order."""
        return list(self._index)

    @property
    def stamps_ns(self) -> NDArray[np.int64]:
        """Stamps (N,) of all keyframes."""
        return np.array(self._stamps_ns, dtype=np.int64)

    @property
    def num_pending(self) -> int:
        """Closures that wait for a keyframe."""
        return len(self._pending)

    @property
    def num_pieces(self) -> int:
        """Parts of the map that nothing ties together yet."""
        return len(set(self._piece))

    @property
    def num_recoveries(self) -> int:
        """How often iSAM2 had to be helped by the batch solver."""
        return self._solver.num_recoveries

    def add_keyframe(
        self,
        key: KeyframeKey,
        stamp_ns: int,
        T_odom_camera: Pose,
        odom_frame_continues: bool = True,
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

        Raises:
            InputError: the key is known, time goes backwards, or the pose is no rigid transform.
        """
        key = KeyframeKey(*key)
        T = check_pose(T_odom_camera, f'pose of {_name(key)}')
        before = self._check_new(key, stamp_ns)
        if before is None or not odom_frame_continues:
            self._add_anchored(T)
        else:
            self._add_by_odometry(before, key, T)
        self._index[key] = len(self._T_odom_camera)
        self._T_odom_camera.append(T)
        self._stamps_ns.append(stamp_ns)
        self._last[key.session] = key
        for pair in [pair for pair in self._pending if key in pair]:
            if pair[0] in self._index and pair[1] in self._index:
                self._add_loop(pair, self._pending.pop(pair))

    def add_closure(self, closure: LoopClosure) -> bool:
        """Add a loop closure; returns whether it entered the graph.

        It does not when the pair has one already, and not yet when one of its keyframes is still
        to come: then it waits for it.

        Raises:
            InputError: a keyframe matched with itself, or a pose or covariance out of order.
        """
        match = KeyframeKey(closure.match_session, closure.match_id)
        query = KeyframeKey(closure.query_session, closure.query_id)
        name = f'closure of {_name(match)} and {_name(query)}'
        if match == query:
            raise InputError(f'{name} matches a keyframe with itself')
        check_pose(closure.T_match_query, f'pose of the {name}')
        check_covariance(closure.covariance, f'covariance of the {name}')
        pair = (match, query)
        if pair in self._closed or pair in self._pending:
            self.num_duplicates += 1
            return False
        if match in self._index and query in self._index:
            self._add_loop(pair, closure)
            return True
        if len(self._pending) >= MAX_PENDING:
            del self._pending[next(iter(self._pending))]
            self.num_dropped += 1
        self._pending[pair] = closure
        return False

    def update(self) -> None:
        """Fold in what is new, with a few more iterations when a loop was among it.

        Raises:
            InputError: the graph cannot be solved; the next update tries again.
        """
        self._solver.update(self._config.extra_iterations)

    def finish(self) -> None:
        """Optimise everything at once: worth it at the end, or when there is nothing else to do.

        Raises:
            InputError: the graph cannot be solved.
        """
        self._solver.finish()

    def poses(self) -> NDArray[np.float64]:
        """Return T_map_camera (N, 4, 4) of all keyframes, in the order of :attr:`keys`."""
        return self._solver.poses()

    def pose(self, key: KeyframeKey) -> Pose:
        """Return T_map_camera (4, 4) of one keyframe.

        Raises:
            InputError: there is no such keyframe.
        """
        return self._solver.pose(self._index_of(key))

    def latest_correction(self) -> Pose:
        """Return T_map_odom (4, 4) by the keyframe that came last; the identity before the first.

        It is ``T_map_camera @ inverse(T_odom_camera)``.
        """
        if not self._index:
            return np.eye(4)
        last = len(self._index) - 1
        return self._solver.pose(last) @ inverse(self._T_odom_camera[last])

    def marginal_covariance(self, key: KeyframeKey) -> NDArray[np.float64]:
        """Return the covariance (6, 6) of T_map_camera, relative to the anchor of its piece.

        Rotation [rad] first, then translation [m], perturbation on the right.

        Raises:
            InputError: there is no such keyframe.
        """
        return self._solver.marginal_covariance(self._index_of(key))

    def error(self) -> float:
        """Return half the sum of squared whitened residuals, robust kernels applied."""
        return self._solver.error()

    def to_g2o(self) -> G2oGraph:
        """Return poses and edges as g2o knows them; ids count the keyframes in order."""
        edges = self.odometry_edges + self.closure_edges
        pairs = [(self._index[edge.i], self._index[edge.j]) for edge in edges]
        covariances = np.array([edge.covariance for edge in edges]).reshape(-1, 6, 6)
        return G2oGraph(
            ids=np.arange(len(self)),
            poses=self.poses(),
            edge_ids=np.array(pairs, dtype=np.int64).reshape(-1, 2),
            edge_poses=np.array([edge.T_i_j for edge in edges]).reshape(-1, 4, 4),
            information=np.linalg.inv(covariances),
        )

    def _check_new(self, key: KeyframeKey, stamp_ns: int) -> KeyframeKey | None:
        """Return the keyframe before a new one."""
        if key in self._index:
            raise InputError(f'{_name(key)} is there already')
        before = self._last.get(key.session)
        if before is None:
            return next(reversed(self._index), None)
        last_ns = self._stamps_ns[self._index[before]]
        if stamp_ns <= last_ns:
            raise InputError(f'{_name(key)} has stamp {stamp_ns} ns, not after {last_ns} ns')
        return before

    def _add_anchored(self, T_odom_camera: Pose) -> None:
        index = self._solver.add_pose(T_odom_camera)
        self._solver.add_anchor(index, T_odom_camera)
        self._piece.append(index)

    def _add_by_odometry(self, before: KeyframeKey, key: KeyframeKey, T_odom_camera: Pose) -> None:
        i = self._index[before]
        T_i_j = inverse(self._T_odom_camera[i]) @ T_odom_camera
        sigmas = odometry_sigmas(T_i_j, self._config)
        j = self._solver.add_pose(self._solver.pose(i) @ T_i_j)
        self._solver.add_between(i, j, T_i_j, gtsam.noiseModel.Diagonal.Sigmas(sigmas))
        self._piece.append(self._piece[i])
        self.odometry_edges.append(Edge(before, key, T_i_j, np.diag(sigmas**2)))

    def _add_loop(self, pair: tuple[KeyframeKey, KeyframeKey], closure: LoopClosure) -> None:
        i, j = self._index[pair[0]], self._index[pair[1]]
        T_i_j = check_pose(closure.T_match_query, 'T_match_query')
        covariance = check_covariance(closure.covariance, 'covariance')
        if self._piece[i] != self._piece[j]:
            self._join(i, j, T_i_j)
        noise = gtsam.noiseModel.Gaussian.Covariance(covariance)
        kernel = self._config.robust_kernel
        noise = robust_noise(noise, kernel, self._config.robust_threshold)
        self._solver.add_between(i, j, T_i_j, noise, is_loop=True)
        self._closed.add(pair)
        self.closure_edges.append(Edge(*pair, T_i_j, covariance))

    def _join(self, i: int, j: int, T_i_j: Pose) -> None:
        """Lay the younger of two pieces onto the older, so that the edge holds exactly."""
        if self._piece[i] > self._piece[j]:
            i, j, T_i_j = j, i, inverse(T_i_j)
        stays, moves = self._piece[i], self._piece[j]
        T_new_old = self._solver.pose(i) @ T_i_j @ inverse(self._solver.pose(j))
        indices = np.flatnonzero(np.array(self._piece) == moves)
        self._solver.release(moves, indices, T_new_old)
        for index in indices.tolist():
            self._piece[index] = stays

    def _index_of(self, key: KeyframeKey) -> int:
        if key not in self._index:
            raise InputError(f'{_name(KeyframeKey(*key))} is not in the pose graph')
        return self._index[key]


def _name(key: KeyframeKey) -> str:
    return f'keyframe {key.keyframe_id} of session {key.session}'
