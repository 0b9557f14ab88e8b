"""ROS node: images and odometry in, keyframes and verified loop closures out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.frame_joiner import HostPoints, Picture, PosedFrame
from s3e_gnn_ros.ros.history import History
from s3e_gnn_ros.ros.image_source import ImageSource
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.loop_messages import (
    closure_to_message,
    keyframe_summary,
    keyframe_to_message,
    query_to_message,
)
from s3e_gnn_ros.ros.node_main import run_node
from s3e_gnn_ros.ros.parameters import load_parameters
from s3e_gnn_ros.ros.pose_source import HostSource, OdometrySource
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos
from s3e_gnn_ros.ros.statistics import Statistics, fill_statistics
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import Features, Keyframe, LoopQuery

_LATCHED_DEPTH = 1000


class LoopClosureNode(Node):
    """Callbacks join messages to frames and choose keyframes; one worker does the rest.

    Raises:
        ConfigError: a parameter is wrong.
        InputError: the vocabulary cannot be read.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            names.LOOP_CLOSURE_NODE,
            automatically_declare_parameters_from_overrides=True,
            **options,
        )
        config = load_parameters(self)
        self._config = config
        self._statistics = Statistics()
        self._history = History()
        self._session = time.time_ns()
        self._selector = KeyframeSelector(config.keyframes)
        self._pipeline = LoopClosurePipeline(config, self._session)
        self._pipeline_session = self._session
        self._create_outputs()
        self._worker: Worker[tuple[int, PosedFrame]] = Worker(
            self._process,
            capacity=config.node.queue_size,
            name='loop_closure',
            on_drop=lambda job: self._intake.drop(
                'queue_full', f'keyframe at {job[1].frame.stamp_ns} ns waited too long'
            ),
            on_error=self._report_bug,
        )
        self._intake = Intake(self, self._statistics, self._start_session)
        inputs = Inputs(
            self,
            self._intake,
            self._statistics,
            config.node.sync_queue_size,
            is_reliable=config.node.reliable_inputs,
        )
        source = HostSource if config.node.keyframe_source == 'host' else OdometrySource
        self._poses = source(self, config.node, inputs, self._advance)
        self._images = ImageSource(self, config.node, inputs, self._take_picture, self._advance)
        self.get_logger().info(f'session {self._session} begins')

    def close(self) -> None:
        """End the worker when it has finished the keyframe it is at."""
        self._worker.close()

    def _create_outputs(self) -> None:
        self._keyframes = self.create_publisher(
            msg.KeyFrame, names.KEYFRAME, reliable_qos(self._config.node.queue_size)
        )
        # Closures and queries are small: who comes late still gets the last thousand.
        latched = latched_qos(_LATCHED_DEPTH)
        self._closures = self.create_publisher(msg.LoopClosure, names.CLOSURE, latched)
        self._queries = self.create_publisher(msg.LoopQuery, names.QUERY, latched)
        self.create_service(srv.GetKeyFrames, names.GET_KEYFRAMES, self._history.answer)
        self.create_service(srv.GetStatistics, names.LOOP_STATISTICS, self._answer_statistics)

    # In the executor's thread: cheap.

    def _take_picture(self, picture: Picture) -> None:
        self._statistics.count('pictures')
        self._poses.add_picture(picture)
        self._advance()

    def _advance(self) -> None:
        """Offer every frame that is complete by now, in order of stamps."""
        for posed in self._poses.ready(self._images.camera):
            self._statistics.count('frames')
            T_odom_camera = posed.frame.T_odom_camera
            assert T_odom_camera is not None  # that is what made it complete
            is_chosen_by_host = self._config.node.keyframe_source == 'host'
            if is_chosen_by_host or self._selector.is_keyframe(
                posed.frame.stamp_ns, T_odom_camera
            ):
                self._statistics.count('keyframes_chosen')
                self._worker.offer((self._session, posed))

    def _start_session(self) -> None:
        """Begin again after a jump back in time; what was seen stays searchable."""
        self._session = max(time.time_ns(), self._session + 1)
        self._selector = KeyframeSelector(self._config.keyframes)
        self._poses.clear()
        self._images.clear()
        self._statistics.count('sessions')

    def _answer_statistics(self, _request: Any, response: Any) -> Any:
        return fill_statistics(
            response, self._statistics, self._worker.depth, is_busy=self._worker.is_busy
        )

    # In the worker's thread.

    def _process(self, job: tuple[int, PosedFrame]) -> None:
        session, posed = job
        if session != self._pipeline_session:
            self._pipeline.start_session(session)
            self._pipeline_session = session
        points = posed.points
        keyframe, query = self._pipeline.process(
            posed.frame, None if points is None else points.points_px
        )
        self._publish(posed, keyframe, query)
        self._statistics.add_stages(query.stage_ms)
        self._statistics.count(f'status.{query.status.name}')
        for _ in query.closures:
            self._statistics.count('closures')
        self._statistics.count('keyframes')  # last: by now everything about it is out

    def _publish(self, posed: PosedFrame, keyframe: Keyframe, query: LoopQuery) -> None:
        odom_frame, camera_frame = posed.odom_frame, posed.camera_frame
        summary = keyframe_summary(keyframe, odom_frame, camera_frame)
        closures = [closure_to_message(closure, camera_frame) for closure in query.closures]
        self._history.add(summary, closures)
        self._keyframes.publish(
            keyframe_to_message(
                keyframe,
                odom_frame,
                camera_frame,
                with_images=self._config.node.publish_images,
                feature_ids=host_feature_ids(keyframe.features, posed.points),
            )
        )
        self._queries.publish(query_to_message(query, camera_frame))
        for closure in closures:
            self._closures.publish(closure)

    def _report_bug(self, err: Exception) -> None:
        self._intake.drop(
            'worker_error', f'{type(err).__name__} while processing a keyframe: {err}'
        )


def host_feature_ids(features: Features, points: HostPoints | None) -> np.ndarray | None:
    """Return the front end's track number (N,) int64 of each feature, -1 for those it has not.

    None when it gave no keypoints.
    """
    if points is None:
        return None
    by_pixel = dict(
        zip(map(tuple, points.points_px.tolist()), points.feature_ids.tolist(), strict=True)
    )
    ids = [by_pixel.get((x, y), -1) for x, y in features.points_px.tolist()]
    return np.array(ids, dtype=np.int64)


def main(args: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop; returns the exit status."""
    return run_node(LoopClosureNode, args)


if __name__ == '__main__':
    sys.exit(main())
