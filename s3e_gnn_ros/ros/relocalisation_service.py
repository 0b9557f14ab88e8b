"""Where in the map an image was taken: asked by a service, or when tracking is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node

from s3e_gnn_ros import srv
from s3e_gnn_ros.config import Config, NodeConfig
from s3e_gnn_ros.data.messages import (
    camera_from_message,
    check_frame,
    depth_from_message,
    stamp_ns,
)
from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.loop_closure.relocalisation import Relocalisation
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.deferred import DeferredServices, Job, OneAtATime
from s3e_gnn_ros.ros.frame_joiner import Picture
from s3e_gnn_ros.ros.images import decode_image, make_bridge
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.qos import reliable_qos
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.tracking_watch import TrackingWatch
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import Frame, Status

_DEPTH = 10


@dataclass(frozen=True, eq=False)
class Place:
    """What a relocalisation needs of the node.

    Attributes:
        pipeline: searched on the worker's thread.
        camera: returns the running camera; None before its first camera_info.
        worker: returns the worker.
        statistics: counts ``relocalisation.<status>``.
        intake: counts and logs pictures that are dropped.
    """

    pipeline: LoopClosurePipeline
    camera: Callable[[], PinholeCamera | None]
    worker: Callable[[], Worker[Job]]
    statistics: Statistics
    intake: Intake


class RelocalisationService:
    """Answers loop_closure/relocalize, and publishes the pose of images while tracking is lost.

    Both give the pose of the optical frame in the map frame, with the covariance of a motion in
    the optical frame, as in LoopClosure.msg. An image that is not recognised publishes nothing.

    Attributes:
        watch: knows whether tracking is lost.
        is_lost: whether it was when the last picture came; None before the first.

    Args:
        node: owns service and publisher.
        config: periods, speed, and the name of the map frame.
        services: creates the service.
        place: what it works with.
    """

    def __init__(
        self, node: Node, config: Config, services: DeferredServices, place: Place
    ) -> None:
        self._config = config.node
        self._max_speed_m_per_s = config.pose_graph.max_speed_m_per_s
        self.watch = TrackingWatch(self._config.tracking_timeout_s, self._max_speed_m_per_s)
        self.is_lost: bool | None = None
        self._place = place
        self._bridge = make_bridge()
        self._picture: Picture | None = None
        self._tried_ns: int | None = None
        self._job = OneAtATime(place.worker, self._locate_picture)
        self._poses = node.create_publisher(
            PoseWithCovarianceStamped, names.RELOCALISED_POSE, reliable_qos(_DEPTH)
        )
        services.create(srv.Relocalize, names.RELOCALIZE, self._answer, place.worker)

    def listen(self, inputs: Inputs) -> None:
        """Hear odometry beside a host that gives poses of its keyframes only."""
        self.watch = TrackingWatch(
            self._config.tracking_timeout_s, self._max_speed_m_per_s, is_sparse=True
        )
        inputs.subscribe(
            Odometry,
            'odometry',
            lambda message: self.watch.hear(stamp_ns(message.header.stamp)),
            is_optional=True,
        )

    def set_config(self, config: NodeConfig) -> None:
        """Take other times from the next image on."""
        self._config = config
        self.watch.set_timeout(config.tracking_timeout_s)

    def clear(self) -> None:
        """Begin again after a jump back in time."""
        self.watch.clear()
        self.is_lost = None
        self._tried_ns = None

    def take_picture(self, picture: Picture) -> None:
        """Relocalise a picture if tracking is lost and it is time; in the executor's thread."""
        self.is_lost = self.watch.is_lost(picture.stamp_ns)
        if not self.is_lost:
            return
        if (
            self._tried_ns is not None
            and picture.stamp_ns - self._tried_ns < self._config.relocalisation_period_s * 1e9
        ):
            return
        self._tried_ns = picture.stamp_ns
        self._picture = picture
        self._job.offer()

    # In the worker's thread.

    def _locate_picture(self) -> None:
        picture, camera = self._picture, self._place.camera()
        if picture is None or camera is None or not self.watch.is_lost(picture.stamp_ns):
            return  # where messages pile up, odometry may have been late only
        try:
            check_frame(picture.image, camera, picture.depth_m)
        except DropError as err:  # the camera has changed since the picture came
            self._place.intake.drop(err.reason, str(err))
            return
        result = self._locate(Frame(picture.stamp_ns, picture.image, camera, picture.depth_m))
        if result.status == Status.LOOP_DETECTED:
            self.watch.located(picture.stamp_ns)
            self._poses.publish(self._pose_message(result, picture.stamp_ns))

    def _answer(self, request: Any, response: Any) -> None:
        frame = self._frame(request)
        result = self._locate(frame)
        response.status = int(result.status)
        response.similarity = float(result.similarity)
        response.num_inliers = int(result.num_inliers)
        if result.match is not None:
            response.match_session, response.match_id = result.match
            response.match_robot_id = result.match_robot_id
        response.success = result.status == Status.LOOP_DETECTED
        if not response.success:
            response.message = f'not recognised: {result.status.name.lower().replace("_", " ")}'
            return
        response.t_map_camera = self._pose_message(result, frame.stamp_ns)
        assert result.match is not None  # of a place that is known
        response.message = (
            f'located by keyframe {result.match.keyframe_id} of session {result.match.session} '
            f'with {result.num_inliers} inliers'
        )

    def _locate(self, frame: Frame) -> Relocalisation:
        result = self._place.pipeline.relocalise(frame)
        self._place.statistics.count(f'relocalisation.{result.status.name}')
        return result

    def _frame(self, request: Any) -> Frame:
        if len(request.image.data) == 0:
            raise InputError('the request has no image')
        limit = self._config.max_image_pixels
        image = decode_image(request.image, self._bridge, limit)
        depth_m = None
        if len(request.depth.data):
            depth_m = depth_from_message(request.depth, max_pixels=limit)
        if np.any(request.camera_info.k):
            camera: PinholeCamera | None = camera_from_message(request.camera_info)
        else:
            camera = self._place.camera()
        if camera is None:
            raise InputError('the request has no camera_info and no camera is running')
        check_frame(image, camera, depth_m)
        return Frame(stamp_ns(request.image.header.stamp), image, camera, depth_m)

    def _pose_message(self, result: Relocalisation, stamp: int) -> PoseWithCovarianceStamped:
        assert result.T_map_camera is not None  # of a place that is known
        assert result.covariance is not None
        message = PoseWithCovarianceStamped(header=conv.make_header(stamp, self._config.map_frame))
        message.pose.pose = conv.pose_to_message(result.T_map_camera)
        message.pose.covariance = conv.covariance_to_message(result.covariance)
        return message
