"""ORB-SLAM3's ROS wrappers: a stream of poses, and nothing of its keyframes.

So keyframes are chosen by motion and ORB is extracted here. A wrapper that was taught to publish
its keypoints, in VINS's layout and with the image's stamp, has them used beside our own.

Set ``node.odom_frame``: the wrappers call their world 'map', which is the name of ours. Switch
ORB-SLAM3's own loop closing off, or its poses jump. A monocular camera gives no metres.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from rclpy.node import Node
from sensor_msgs.msg import PointCloud

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import stamp_ns
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros.adapters.host_points import HostCloud, cloud_from_message
from s3e_gnn_ros.ros.adapters.odometry import OdometryHost
from s3e_gnn_ros.ros.adapters.stamped_ring import StampedRing
from s3e_gnn_ros.ros.frame_joiner import PosedFrame
from s3e_gnn_ros.ros.inputs import Inputs

KEYPOINTS = 'keypoints'
_MAX_NEWER_FRAMES = 5
"""A frame whose keypoints have not come when this many newer ones are there, goes without."""


def with_keypoints(posed: PosedFrame, cloud: HostCloud | None) -> PosedFrame:
    """Give a frame the keypoints of its stamp."""
    if cloud is None:
        return posed
    assert posed.frame.T_odom_camera is not None  # that is what made it complete
    points = cloud.in_camera(posed.frame.camera, posed.frame.T_odom_camera)
    return replace(posed, points=points)


class OrbSlam3Host(OdometryHost):
    """As :class:`OdometryHost`, with the keypoints that somebody may publish."""

    def __init__(
        self, node: Node, config: NodeConfig, inputs: Inputs, on_message: Callable[[], None]
    ) -> None:
        super().__init__(node, config, inputs, on_message)
        self._clouds: StampedRing[HostCloud] = StampedRing(config.sync_queue_size)
        self._frames: deque[PosedFrame] = deque()
        inputs.subscribe(PointCloud, KEYPOINTS, self._take_points, is_optional=True)

    def _forget(self) -> None:
        super()._forget()
        self._clouds.clear()
        self._frames.clear()

    def ready(self, camera: PinholeCamera | None) -> Iterator[PosedFrame]:
        """Yield the frames that are complete by now, in order of stamps."""
        self._frames.extend(super().ready(camera))
        are_to_come = bool(self._frames) and self._inputs.has_publisher(KEYPOINTS)
        while self._frames:
            stamp = self._frames[0].frame.stamp_ns
            found = self._clouds.find(stamp)
            may_come = are_to_come and not self._clouds.is_past(stamp)
            if found is None and may_come and len(self._frames) <= _MAX_NEWER_FRAMES:
                return
            self._clouds.forget_until(stamp)
            yield with_keypoints(self._frames.popleft(), None if found is None else found[1])

    def _take_points(self, message: PointCloud) -> None:
        self._clouds.add(stamp_ns(message.header.stamp), cloud_from_message(message))
        self._on_message()
