"""What the loop closure node hears while it is active: frames, and keyframes among them."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.node import Node

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector
from s3e_gnn_ros.ros.adapters import make_host
from s3e_gnn_ros.ros.frame_joiner import Picture, PosedFrame
from s3e_gnn_ros.ros.image_source import ImageSource
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.relocalisation_service import RelocalisationService
from s3e_gnn_ros.ros.statistics import Statistics


class LoopInputs:
    """Joins messages to frames and chooses keyframes; all in the executor's thread, and cheap.

    Args:
        node: owns the subscriptions.
        config: of the node.
        intake: judges every message.
        statistics: counts pictures, frames and chosen keyframes.
        relocalisation: takes pictures while odometry is lost.
        on_keyframe: called with each keyframe, in order of stamps.
        on_restart: called with a sentence where odometry began anew, before the next keyframe.

    Raises:
        ConfigError: see :func:`adapters.make_host`.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        intake: Intake,
        statistics: Statistics,
        relocalisation: RelocalisationService,
        on_keyframe: Callable[[PosedFrame], None],
        on_restart: Callable[[str], None],
    ) -> None:
        self._config = config
        self._statistics = statistics
        self._relocalisation = relocalisation
        self._on_keyframe = on_keyframe
        self._on_restart = on_restart
        self._selector = KeyframeSelector(config.keyframes)
        self.inputs = Inputs(
            node,
            intake,
            statistics,
            config.node.sync_queue_size,
            is_reliable=config.node.reliable_inputs,
        )
        self._host = make_host(node, config.node, self.inputs, self._advance)
        self._host.watch_odometry(config.pose_graph.max_speed_m_per_s, self._restart_odometry)
        if self._host.chooses_keyframes:
            relocalisation.listen(self.inputs)
        self._images = ImageSource(
            node,
            config.node,
            self.inputs,
            self._take_picture,
            self._advance,
            needs_camera_info=self._host.needs_camera_info,
        )

    @property
    def T_body_camera(self) -> Pose | None:
        """The camera (4, 4) in the body of the host; None while it is unknown."""
        return self._host.T_body_camera

    @property
    def camera(self) -> PinholeCamera | None:
        """The running camera; None before its first camera_info."""
        return self._images.camera

    def clear(self) -> None:
        """Begin again after a jump back in time."""
        self._selector = KeyframeSelector(self._config.keyframes)
        self._host.clear()
        self._images.clear()

    def set_config(self, config: Config) -> None:
        """Take other limits from the next message on."""
        self._config = config
        self._selector.set_config(config.keyframes)
        for watch in (self._host, self._relocalisation.watch):
            watch.set_speed(config.pose_graph.max_speed_m_per_s)
        self._images.set_slop(config.node.sync_slop_s)

    def _restart_odometry(self, stamp_ns: int, sentence: str) -> None:
        self._selector = KeyframeSelector(self._config.keyframes)
        self._relocalisation.watch.note_jump(stamp_ns)
        self._on_restart(sentence)

    def _take_picture(self, picture: Picture) -> None:
        self._statistics.count('pictures')
        self._relocalisation.take_picture(picture)
        self._host.add_picture(picture)
        self._advance()

    def _advance(self) -> None:
        """Offer every frame that is complete by now, in order of stamps."""
        for posed in self._host.ready(self._images.camera):
            self._statistics.count('frames')
            T_odom_camera = posed.frame.T_odom_camera
            assert T_odom_camera is not None  # that is what made it complete
            self._relocalisation.watch.take_pose(
                posed.frame.stamp_ns, T_odom_camera, posed.odom_frame
            )
            if self._host.chooses_keyframes or self._selector.is_keyframe(
                posed.frame.stamp_ns, T_odom_camera
            ):
                self._statistics.count('keyframes_chosen')
                self._on_keyframe(posed)
