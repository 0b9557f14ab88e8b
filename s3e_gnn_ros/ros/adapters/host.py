"""What every host system looks like from inside: pictures in, frames with a pose out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import ClassVar

from nav_msgs.msg import Odometry
from rclpy.node import Node

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.messages import check_frame, pose_from_message, stamp_ns
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.pose_graph.continuity import MAX_SPEED_M_PER_S
from s3e_gnn_ros.ros.frame_joiner import HostPoints, Picture, PosedFrame
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.odometry_watch import OdometryWatch
from s3e_gnn_ros.types import Frame


class Host(ABC):
    """Subscribes to one system's topics and gives pictures the poses it has for them.

    Everything runs in the executor's thread. What waits is bounded by ``node.sync_queue_size``.

    Attributes:
        chooses_keyframes: every frame it gives is a keyframe; else they are chosen by motion.
        needs_camera_info: frames wait until a camera_info has come.

    Args:
        node: owns the subscriptions, and logs.
        config: frames, and how much may wait.
        inputs: how to subscribe.
        on_message: called after each message that may complete a frame.
    """

    chooses_keyframes: ClassVar[bool] = False
    needs_camera_info: ClassVar[bool] = True

    def __init__(
        self, node: Node, config: NodeConfig, inputs: Inputs, on_message: Callable[[], None]
    ) -> None:
        self._config = config
        self._inputs = inputs
        self._on_message = on_message
        self.watch_odometry(MAX_SPEED_M_PER_S, lambda _stamp_ns, _sentence: None)

    @property
    @abstractmethod
    def T_body_camera(self) -> Pose | None:
        """The camera (4, 4) in the body, as it was last used; None while it is unknown.

        Identity where the host's poses are those of the camera.
        """

    def watch_odometry(
        self, max_speed_m_per_s: float, on_restart: Callable[[int, str], None]
    ) -> None:
        """Let somebody know when odometry begins anew.

        Args:
            max_speed_m_per_s: nothing moves faster [m/s].
            on_restart: called with stamp [ns] and sentence, before the first frame from after it
                is given.
        """
        self._watch = OdometryWatch(max_speed_m_per_s)
        self._on_restart = on_restart

    def set_speed(self, max_speed_m_per_s: float) -> None:
        """Judge odometry by another greatest speed [m/s] from now on."""
        self._watch.set_speed(max_speed_m_per_s)

    def clear(self) -> None:
        """Forget what waits: time has jumped back."""
        self._watch.clear()
        self._forget()

    @abstractmethod
    def _forget(self) -> None:
        """Forget what waits."""

    @abstractmethod
    def add_picture(self, picture: Picture) -> None:
        """Let a picture wait for its pose."""

    @abstractmethod
    def ready(self, camera: PinholeCamera | None) -> Iterator[PosedFrame]:
        """Yield the frames that are complete by now, in order of stamps.

        Args:
            camera: by camera_info; None while none has come.
        """

    def _pose(self, message: Odometry) -> Pose:
        """Return the pose (4, 4) of a message; where odometry began anew with it, say so.

        Raises:
            DropError: it makes no sense, or does not fit to those before.
        """
        pose = pose_from_message(message.pose.pose)
        stamp, frame = stamp_ns(message.header.stamp), message.header.frame_id
        sentence = self._watch.judge(stamp, pose, frame, message.child_frame_id)
        if sentence:
            self._forget()
            self._on_restart(stamp, sentence)
        return pose


def posed_frame(
    picture: Picture,
    camera: PinholeCamera,
    T_odom_camera: Pose,
    odom_frame: str,
    points: HostPoints | None,
) -> PosedFrame:
    """Put a frame together.

    Raises:
        DropError: image, depth and camera are not of one size.
    """
    check_frame(picture.image, camera, picture.depth_m)
    frame = Frame(picture.stamp_ns, picture.image, camera, picture.depth_m, T_odom_camera)
    return PosedFrame(frame, odom_frame, picture.camera_frame, points)
