"""Loops back to the estimator of VINS-Mono: match_points out, relo_relative_pose in."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import PointCloud

from s3e_gnn_ros import msg
from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.conversions import pose_from_message, stamp_to_ns
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.keyframe_poses import poses_from_message
from s3e_gnn_ros.ros.qos import input_qos, latched_qos, reliable_qos
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.vins_messages import (
    MAX_INDEX,
    match_points_message,
    relative_yaw_deg,
    relo_pose_from_message,
)
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopClosure, LoopQuery

_DEPTH = 100
_MAX_UNANSWERED = 100
_MAX_UNPLACED = 10_000
"""Keyframes remembered that the pose graph has not placed yet."""
_MAX_STAMP_ERROR_NS = 1_000_000
"""The estimator keeps stamps as seconds in floating point: a quarter of a microsecond is lost."""
_MAX_CHANGE_M = 0.5
_MAX_CHANGE_DEG = 10.0
"""A refinement moves a verified pose a little; one that moves it far has gone astray."""


@dataclass(frozen=True, eq=False)
class Feedback:
    """What was sent of one keyframe, until the estimator answers.

    Attributes:
        closure: the loop.
        points_old: (N, 2) what the older keyframe saw of it, undistorted, on z = 1.
        feature_ids: (N,) track numbers of the same in the current keyframe.
        T_world_current: (4, 4) odometry pose of the body at the current keyframe.
        T_body_camera: (4, 4) as it was known then.
    """

    closure: LoopClosure
    points_old: NDArray[np.float64]
    feature_ids: NDArray[np.int64]
    T_world_current: Pose
    T_body_camera: Pose

    def in_body(self, T_match_query: Pose) -> Pose:
        """Return T_old_current (4, 4) of the bodies, of a pose between the cameras."""
        return self.T_body_camera @ T_match_query @ se3.inverse(self.T_body_camera)

    def in_camera(self, T_old_current: Pose) -> Pose:
        """Return T_match_query (4, 4) of the cameras, of a pose between the bodies."""
        return se3.inverse(self.T_body_camera) @ T_old_current @ self.T_body_camera


def refuse_reason(feedback: Feedback, T_old_current: Pose, config: NodeConfig) -> str | None:
    """Return why the estimator should not hear of a loop: one too wide for it, or None."""
    yaw_deg = relative_yaw_deg(feedback.T_world_current, T_old_current)
    distance_m = se3.translation_m(T_old_current)
    if abs(yaw_deg) >= config.feedback_max_yaw_deg:
        return f'{yaw_deg:.1f} deg of yaw'
    if distance_m >= config.feedback_max_distance_m:
        return f'{distance_m:.1f} m of distance'
    return None


def best_feedback(
    query: LoopQuery,
    feature_ids: NDArray[np.int64],
    T_world_current: Pose,
    T_body_camera: Pose,
    config: NodeConfig,
) -> Feedback | str:
    """Choose the loop that shares most features with the estimator; or say why there is none.

    Args:
        query: closures with the matches that support them.
        feature_ids: (N,) track number of each feature of the query, -1 without one.
        T_world_current: (4, 4) odometry pose of the body.
        T_body_camera: (4, 4).
        config: limits.
    """
    best: Feedback | None = None
    for closure, pairs, points in zip(
        query.closures, query.inlier_pairs, query.match_points, strict=True
    ):
        ids, rows = np.unique(feature_ids[pairs[:, 0]], return_index=True)
        rows, ids = rows[ids >= 0], ids[ids >= 0]
        item = Feedback(closure, points[rows], ids, T_world_current, T_body_camera)
        is_wide = refuse_reason(item, item.in_body(closure.T_match_query), config) is not None
        if not is_wide and (best is None or len(ids) > len(best.feature_ids)):
            best = item
    if best is None:
        return 'too_wide'
    return best if len(best.feature_ids) >= config.feedback_min_points else 'few_points'


def refined_closure(feedback: Feedback, T_old_current: Pose, config: NodeConfig) -> LoopClosure:
    """Return the closure with the pose the estimator answered, which is that of the bodies.

    Raises:
        DropError: ``relo_pose``, when it is far from the pose that was verified, or too wide.
    """
    closure = feedback.closure
    T_match_query = feedback.in_camera(T_old_current)
    change = se3.inverse(closure.T_match_query) @ T_match_query
    moved_m, turned_deg = se3.translation_m(change), se3.rotation_angle_deg(change)
    name = f'relo_relative_pose of keyframe {closure.query_id}'
    if moved_m > _MAX_CHANGE_M or turned_deg > _MAX_CHANGE_DEG:
        raise DropError(
            'relo_pose',
            f'{name} differs from its loop by {moved_m:.2f} m and {turned_deg:.1f} deg',
        )
    if reason := refuse_reason(feedback, T_old_current, config):
        raise DropError('relo_pose', f'{name} has {reason}')
    return dataclasses.replace(closure, T_match_query=T_match_query)


class VinsFeedback:
    """Tells the estimator of each keyframe's best loop, and hands on what it makes of it.

    Does nothing at all while ``node.feedback`` is off. The worker calls :meth:`send`; answers and
    corrected poses arrive on the executor's thread.

    Args:
        node: owns publisher and subscriptions.
        config: limits.
        intake: counts and reports drops.
        statistics: counts ``feedback.sent``, ``feedback.refined``, and why nothing was sent.
        body_camera: returns T_body_camera (4, 4), or None while it is unknown.
        on_refined: called with each closure whose pose the estimator has refined.
    """

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        intake: Intake,
        statistics: Statistics,
        body_camera: Callable[[], Pose | None],
        on_refined: Callable[[LoopClosure], None],
    ) -> None:
        self._config = config
        self._intake = intake
        self._statistics = statistics
        self._body_camera = body_camera
        self._on_refined = on_refined
        self._lock = threading.Lock()
        self._sent: dict[int, Feedback] = {}  # by index of the current keyframe
        self._unplaced: dict[KeyframeKey, Pose] = {}  # T_odom_camera
        self._placed = msg.KeyframePoses()
        self._rows: dict[KeyframeKey, int] = {}  # of _placed
        self._node = node
        if config.feedback:
            self._publisher = node.create_publisher(
                PointCloud, names.MATCH_POINTS, reliable_qos(_DEPTH)
            )

    def listen(self) -> None:
        """Subscribe to answers and corrected poses."""
        if not self._config.feedback:
            return
        for message_class, name, take, qos in (
            (
                Odometry,
                names.RELO_RELATIVE_POSE,
                self._take_answer,
                input_qos(_DEPTH, is_reliable=False),
            ),
            (msg.KeyframePoses, names.KEYFRAME_POSES, self._take_poses, latched_qos(1)),
        ):
            callback = self._intake.counted(name, take)
            self._node.create_subscription(message_class, name, callback, qos)

    def set_config(self, config: NodeConfig) -> None:
        """Take other limits from the next keyframe and answer on."""
        self._config = config

    def send(
        self, keyframe: Keyframe, query: LoopQuery, feature_ids: NDArray[np.int64] | None
    ) -> None:
        """Tell of the loop with the most features that the estimator tracks, if there is one.

        Args:
            keyframe: the current one.
            query: its closures, with the matches that support them.
            feature_ids: (N,) track number of each feature of the keyframe, -1 without one.
        """
        if not self._config.feedback:
            return
        if feature_ids is not None and query.closures:
            self._statistics.count(f'feedback.{self._attempt(keyframe, query, feature_ids)}')
        with self._lock:
            key = KeyframeKey(keyframe.session, keyframe.keyframe_id)
            self._unplaced[key] = keyframe.T_odom_camera
            _forget_oldest(self._unplaced, _MAX_UNPLACED)

    def _attempt(
        self, keyframe: Keyframe, query: LoopQuery, feature_ids: NDArray[np.int64]
    ) -> str:
        """Send what there is to send; returns what became of it."""
        T_body_camera = self._body_camera()
        if T_body_camera is None or keyframe.keyframe_id >= MAX_INDEX:
            return 'unknown_body'
        T_world_current = keyframe.T_odom_camera @ se3.inverse(T_body_camera)
        best = best_feedback(query, feature_ids, T_world_current, T_body_camera, self._config)
        if isinstance(best, str):
            return best
        index = keyframe.keyframe_id
        with self._lock:
            T_map_camera = self._match_pose(best.closure)
            if T_map_camera is None:
                return 'unknown_pose'
            self._sent.pop(index, None)  # of an older session
            self._sent[index] = best
            _forget_oldest(self._sent, _MAX_UNANSWERED)
        T_world_old = T_map_camera @ se3.inverse(T_body_camera)
        self._publisher.publish(
            match_points_message(
                keyframe.stamp_ns, index, best.points_old, best.feature_ids, T_world_old
            )
        )
        return 'sent'

    def _match_pose(self, closure: LoopClosure) -> Pose | None:
        """Return T_map_camera, by odometry before the first correction; None when unknown."""
        key = KeyframeKey(closure.match_session, closure.match_id)
        row = self._rows.get(key)
        if row is not None:
            return pose_from_message(self._placed.t_map_camera[row])
        # Odometry of another session has another origin.
        return self._unplaced.get(key) if key.session == closure.query_session else None

    def _take_poses(self, message: msg.KeyframePoses) -> None:
        rows = {key: row for row, key in enumerate(poses_from_message(message)[0])}
        with self._lock:
            self._placed, self._rows = message, rows
            for key in [key for key in self._unplaced if key in rows]:
                del self._unplaced[key]

    def _take_answer(self, message: Odometry) -> None:
        index, T_old_current = relo_pose_from_message(message)
        stamp_ns = stamp_to_ns(message.header.stamp)
        with self._lock:
            feedback = self._sent.get(index)
            is_known = feedback is not None and (
                abs(stamp_ns - feedback.closure.query_stamp_ns) <= _MAX_STAMP_ERROR_NS
            )
            if is_known:
                del self._sent[index]
        if feedback is None or not is_known:
            raise DropError(
                'relo_pose',
                f'relo_relative_pose of keyframe {index} at {stamp_ns} ns, of which no loop was '
                'fed back',
            )
        closure = refined_closure(feedback, T_old_current, self._config)
        self._statistics.count('feedback.refined')
        self._on_refined(closure)


def _forget_oldest(items: dict, capacity: int) -> None:  # type: ignore[type-arg]
    while len(items) > capacity:
        del items[next(iter(items))]
