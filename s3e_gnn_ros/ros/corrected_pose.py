"""The corrected pose of the robot with its covariance: the pose graph's, and odometry since."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config, PoseGraphConfig
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.noise import odometry_covariance
from s3e_gnn_ros.ros.conversions import covariance_to_message, make_header, pose_to_message
from s3e_gnn_ros.ros.correction import Correction
from s3e_gnn_ros.ros.odometry_buffer import OdometryBuffer
from s3e_gnn_ros.types import KeyframeKey


def corrected_covariance(
    correction: Correction,
    T_odom_body_then: Pose,
    T_odom_body: Pose,
    config: PoseGraphConfig,
) -> NDArray[np.float64]:
    """Return the covariance (6, 6) of the body's pose in the map, rotation first.

    The keyframe's own uncertainty, seen from where the body is now, and on top of it that of the
    motion since, as an edge of the graph would have it. The perturbation is on the right.

    Args:
        correction: of the newest keyframe; its covariance is known.
        T_odom_body_then: (4, 4) odometry of the body at the keyframe.
        T_odom_body: (4, 4) now.
        config: noise of odometry.
    """
    assert correction.covariance is not None
    A = se3.adjoint(se3.inverse(T_odom_body) @ correction.T_odom_camera)
    since = odometry_covariance(T_odom_body_then, T_odom_body, config)
    return A @ correction.covariance @ A.T + since


def corrected_pose_message(
    stamp_ns: int, map_frame: str, T_map_body: Pose, covariance: NDArray[np.float64]
) -> PoseWithCovarianceStamped:
    """Build the message.

    Args:
        stamp_ns: of the odometry.
        map_frame: name of the map.
        T_map_body: (4, 4).
        covariance: (6, 6) rotation first, perturbation on the right. The message wants it about
            the axes of the map, translation first.
    """
    message = PoseWithCovarianceStamped(header=make_header(stamp_ns, map_frame))
    message.pose.pose = pose_to_message(T_map_body)
    turn = np.kron(np.eye(2), T_map_body[:3, :3])
    message.pose.covariance = covariance_to_message(turn @ covariance @ turn.T)
    return message


class CovarianceSince:
    """Keeps the odometry that tells how the body has moved since the newest keyframe.

    Args:
        config: noise of odometry, and the largest gap to interpolate over.
    """

    def __init__(self, config: Config) -> None:
        self._config = config.pose_graph
        self._buffer = OdometryBuffer(config.node.max_odometry_gap_s)
        self._last_ns: int | None = None
        self._key: KeyframeKey | None = None
        self._T_odom_body_then: Pose = np.eye(4)

    def set_config(self, config: PoseGraphConfig) -> None:
        """Go by another noise of odometry."""
        self._config = config

    def add_odometry(self, stamp_ns: int, T_odom_body: Pose) -> None:
        """Take one pose (4, 4); time that goes backwards begins anew."""
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            self._buffer.clear()
            self._key = None
        self._last_ns = stamp_ns
        self._buffer.add(stamp_ns, T_odom_body)

    def at(self, correction: Correction, T_odom_body: Pose) -> NDArray[np.float64] | None:
        """Return the covariance (6, 6) of the body's pose in the map, or None when unknown.

        Where odometry at the keyframe has not been heard of, motion counts from now on.

        Args:
            correction: of the newest keyframe.
            T_odom_body: (4, 4) newest odometry.
        """
        if correction.covariance is None:
            return None
        if correction.key != self._key:
            then = self._buffer.at(correction.stamp_ns, np.eye(4))
            self._key = correction.key
            self._T_odom_body_then = then if isinstance(then, np.ndarray) else T_odom_body
        return corrected_covariance(correction, self._T_odom_body_then, T_odom_body, self._config)
