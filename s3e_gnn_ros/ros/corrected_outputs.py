"""What odometry becomes once it is corrected: three topics and the transform from map to odom."""

from __future__ import annotations

from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node

from s3e_gnn_ros.config import Config, NodeConfig
from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.conversions import (
    corrected_odometry,
    odometry_rect,
    pose_from_message,
    stamp_to_ns,
)
from s3e_gnn_ros.ros.corrected_pose import CovarianceSince, corrected_pose_message
from s3e_gnn_ros.ros.correction import Applicability, Correction, Follower
from s3e_gnn_ros.ros.map_to_odom import MapToOdom
from s3e_gnn_ros.ros.odometry_watch import OdometryWatch
from s3e_gnn_ros.ros.qos import reliable_qos


class CorrectedOutputs:
    """Answers each odometry message with where that is in the map.

    Nothing is published while no correction applies to the odometry that comes. All outputs of a
    message use the same correction; odometry itself, and with it every pose in the odometry
    frame, is left alone. What nobody listens to is not computed.

    Attributes:
        is_correcting: whether the last odometry was corrected; None before the first.

    Args:
        node: owns the publishers.
        config: frames, and how to follow the pose graph.
    """

    def __init__(self, node: Node, config: Config) -> None:
        self._config = config.node
        qos = reliable_qos(self._config.sync_queue_size)
        self._odometry = node.create_publisher(Odometry, names.CORRECTED_ODOMETRY, qos)
        self._rect = node.create_publisher(Odometry, names.ODOMETRY_RECT, qos)
        self._pose = node.create_publisher(PoseWithCovarianceStamped, names.CORRECTED_POSE, qos)
        self._map_to_odom = (
            MapToOdom(node, self._config.map_frame) if self._config.publish_tf else None
        )
        self._follower = Follower(_follow_time_s(self._config))
        max_speed_m_per_s = config.pose_graph.max_speed_m_per_s
        self._watch = OdometryWatch(max_speed_m_per_s)
        self._applicability = Applicability(max_speed_m_per_s)
        self._covariance = CovarianceSince(config)
        self._last: tuple[int, Pose, str] | None = None
        self._used: Correction | None = None
        self._logger = node.get_logger()
        self._has_warned = False
        self.is_correcting: bool | None = None

    def publish(self, message: Odometry, correction: Correction | None) -> None:
        """Publish what a correction makes of an odometry message.

        Raises:
            InputError: its pose is not finite or its quaternion not of unit length.
            DropError: it does not fit to those before.
        """
        stamp_ns = stamp_to_ns(message.header.stamp)
        T_odom_body = pose_from_message(message.pose.pose)
        odom_frame = self._config.odom_frame or message.header.frame_id
        if self._last is not None and stamp_ns <= self._last[0]:
            self._watch.clear()  # time has jumped back
        sentence = self._watch.judge(stamp_ns, T_odom_body, odom_frame, message.child_frame_id)
        if sentence:
            self._logger.warning(f'{sentence}: a correction comes with the next keyframes')
        self._applicability.take_odometry(
            stamp_ns, T_odom_body, odom_frame, has_restarted=bool(sentence)
        )
        self._covariance.add_odometry(stamp_ns, T_odom_body)
        self._last = stamp_ns, T_odom_body, odom_frame
        T_map_odom = self._follow(correction)
        if correction is None or T_map_odom is None:
            return
        if self._odometry.get_subscription_count():
            self._odometry.publish(corrected_odometry(message, T_map_odom, self._config.map_frame))
        if self._rect.get_subscription_count():
            self._rect.publish(odometry_rect(message, T_map_odom))
        if self._pose.get_subscription_count():
            self._publish_pose(stamp_ns, T_odom_body, T_map_odom, correction)

    def set_config(self, config: Config) -> None:
        """Follow otherwise, and go by another noise, from the next message on."""
        self._config = config.node
        self._follower.set_time(_follow_time_s(config.node))
        self._covariance.set_config(config.pose_graph)
        for watch in (self._watch, self._applicability):
            watch.set_speed(config.pose_graph.max_speed_m_per_s)

    def close(self) -> None:
        """End what listens to other publishers."""
        if self._map_to_odom is not None:
            self._map_to_odom.close()

    def refresh(self, correction: Correction | None) -> None:
        """Publish the transform once more where it has changed and odometry has paused."""
        if self._last is not None and correction is not self._used:
            self._follow(correction)

    def _follow(self, correction: Correction | None) -> Pose | None:
        """Publish the transform as of the last odometry; returns it, None when there is none."""
        assert self._last is not None
        stamp_ns, T_odom_body, odom_frame = self._last
        self._used = correction
        self.is_correcting = self._applicability.applies(correction)
        if correction is None or not self.is_correcting:
            self._follower.forget()
            self._warn_of_frames(odom_frame, correction)
            return None
        T_map_odom = self._follower.follow(stamp_ns, T_odom_body, correction.T_map_odom)
        if self._map_to_odom is not None and odom_frame:
            self._map_to_odom.publish(T_map_odom, stamp_ns, odom_frame)
        return T_map_odom

    def _publish_pose(
        self, stamp_ns: int, T_odom_body: Pose, T_map_odom: Pose, correction: Correction
    ) -> None:
        covariance = self._covariance.at(correction, T_odom_body)
        if covariance is not None:
            self._pose.publish(
                corrected_pose_message(
                    stamp_ns, self._config.map_frame, T_map_odom @ T_odom_body, covariance
                )
            )

    def _warn_of_frames(self, odom_frame: str, correction: Correction | None) -> None:
        if (
            correction is None
            or self._has_warned
            or clean_frame(correction.odom_frame) == clean_frame(odom_frame)
        ):
            return
        self._has_warned = True
        self._logger.warning(
            f"keyframes are given in '{correction.odom_frame}' and odometry in '{odom_frame}': no "
            'corrected odometry is published; where they are the same, set node.odom_frame'
        )


def _follow_time_s(config: NodeConfig) -> float | None:
    return config.correction_time_s if config.correction == 'smooth' else None
