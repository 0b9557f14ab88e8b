"""The transform from map to odom: on /tf where tf2_msgs is installed, else on a topic of ours."""

from __future__ import annotations

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node

from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.conversions import transform_to_message
from s3e_gnn_ros.ros.other_publishers import OtherPublishers
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos

try:
    from tf2_msgs.msg import TFMessage
except ImportError:
    TFMessage = None

_TF_DEPTH = 100


class MapToOdom:
    """Publishes T_map_odom, and warns when somebody else does so as well.

    Args:
        node: owns the publisher.
        map_frame: name of the map.
    """

    def __init__(self, node: Node, map_frame: str) -> None:
        self._map_frame = map_frame
        self._logger = node.get_logger()
        self._has_warned = False
        if TFMessage is not None:
            self._publisher = node.create_publisher(TFMessage, '/tf', reliable_qos(_TF_DEPTH))
        else:
            self._publisher = node.create_publisher(
                TransformStamped, names.MAP_TO_ODOM, latched_qos(1)
            )
            self._logger.warning(
                f'tf2_msgs is not installed: the transform to {map_frame} is published on '
                f'{self._publisher.topic_name} instead of /tf'
            )
        self._others = OtherPublishers(node, self._publisher, map_frame, TFMessage)

    def close(self) -> None:
        """End the search for others that publish the same."""
        self._others.close()

    def publish(self, T_map_odom: Pose, stamp_ns: int, odom_frame: str) -> None:
        """Publish the transform (4, 4) as of a stamp; none from a frame to itself."""
        if clean_frame(odom_frame) == clean_frame(self._map_frame):
            self._warn_once(odom_frame)
            return
        message = transform_to_message(T_map_odom, stamp_ns, self._map_frame, odom_frame)
        self._others.note_own(message)
        is_tf = TFMessage is not None
        self._publisher.publish(TFMessage(transforms=[message]) if is_tf else message)

    def _warn_once(self, odom_frame: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            self._logger.warning(
                f"odometry is given in '{odom_frame}', which is the map's own name: no transform "
                'is published; set node.odom_frame or node.map_frame'
            )
