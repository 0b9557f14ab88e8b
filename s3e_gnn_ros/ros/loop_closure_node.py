"""ROS node: images and odometry in, keyframes and verified loop closures out."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rclpy.node import Node

from s3e_gnn_ros import srv
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.adapters import make_host
from s3e_gnn_ros.ros.deferred import DeferredServices, Job
from s3e_gnn_ros.ros.explain_service import ExplainService
from s3e_gnn_ros.ros.external_keyframes import ExternalKeyframes
from s3e_gnn_ros.ros.frame_joiner import HostPoints, Picture, PosedFrame
from s3e_gnn_ros.ros.history import History
from s3e_gnn_ros.ros.image_source import ImageSource
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.loop_outputs import LoopOutputs
from s3e_gnn_ros.ros.map_keeper import MapKeeper
from s3e_gnn_ros.ros.map_services import MapServices
from s3e_gnn_ros.ros.node_main import run_node
from s3e_gnn_ros.ros.open_maps import OpenMaps
from s3e_gnn_ros.ros.parameters import load_parameters
from s3e_gnn_ros.ros.relocalisation_service import Place, RelocalisationService
from s3e_gnn_ros.ros.statistics import Statistics, fill_statistics
from s3e_gnn_ros.ros.vins_feedback import VinsFeedback
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import Features, LoopClosure


class LoopClosureNode(Node):
    """Callbacks join messages to frames and choose keyframes; one worker does the rest.

    Raises:
        ConfigError: a parameter is wrong.
        InputError: the vocabulary, the weights or a map cannot be read, or a map not written.
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
        self._intake = Intake(self, self._statistics, self._start_session)
        self._history = History()
        self._session = time.time_ns()
        self._selector = KeyframeSelector(config.keyframes)
        self._pipeline = LoopClosurePipeline(config, self._session)
        self._pipeline_session = self._session
        self._worker: Worker[Job] = Worker(
            lambda job: job.run(),
            capacity=config.node.queue_size,
            name='loop_closure',
            on_drop=lambda job: job.drop(),
            on_error=self._report_bug,
        )
        self._create_map()
        self._create_services()
        inputs = Inputs(
            self,
            self._intake,
            self._statistics,
            config.node.sync_queue_size,
            is_reliable=config.node.reliable_inputs,
        )
        self._host = make_host(self, config.node, inputs, self._advance)
        if self._host.chooses_keyframes:
            self._relocalisation.listen(inputs)
        self._feedback = VinsFeedback(
            self,
            config.node,
            self._intake,
            self._statistics,
            lambda: self._host.T_body_camera,
            self._refine,
        )
        self._images = ImageSource(
            self,
            config.node,
            inputs,
            self._take_picture,
            self._advance,
            needs_camera_info=self._host.needs_camera_info,
        )
        self.get_logger().info(f'session {self._session} begins')

    def close(self) -> None:
        """End the workers when they have finished what they are at, and close the maps."""
        self._worker.close()
        self._explain.close()
        self._map_services.close()
        self._keeper.close()

    def _create_map(self) -> None:
        """Open the maps, and load before the first frame what the parameters name."""
        maps = OpenMaps(self._config, self._pipeline, self._statistics, self._intake.drop)
        outputs = LoopOutputs(self, self._config.node, self._history)
        self._keeper = MapKeeper(
            self, self._pipeline, maps, outputs, self._statistics, self._intake, self._get_worker
        )
        self._deferred = DeferredServices(self)
        self._keeper.create_services(self._deferred, self._get_worker)
        self._map_services = MapServices(
            self._config,
            maps,
            self._keeper,
            self._intake,
            self._deferred,
            self._get_worker,
            lambda: self._host.T_body_camera,
        )
        self._explain = ExplainService(
            self,
            self._config,
            self._deferred,
            self._pipeline,
            self._history,
            maps,
            self._intake,
        )
        for loaded in maps.begin():
            num_keyframes, num_closures = self._keeper.give_out(loaded)
            self._map_services.copy(loaded)
            self.get_logger().info(
                f'map {loaded.store.path}: {num_keyframes} keyframes, {num_closures} closures'
            )

    def _create_services(self) -> None:
        self.create_service(srv.GetStatistics, names.LOOP_STATISTICS, self._answer_statistics)
        place = Place(
            self._pipeline, lambda: self._images.camera, self._get_worker, self._statistics
        )
        self._relocalisation = RelocalisationService(
            self, self._config.node, self._deferred, place
        )
        self._external = ExternalKeyframes(
            self,
            self._intake,
            self._history,
            self._pipeline,
            self._get_worker,
            self._keeper.accept,
        )
        self._external.add_own_session(self._session)

    def _get_worker(self) -> Worker[Job]:
        return self._worker

    # In the executor's thread: cheap.

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
                self._offer(self._session, posed)

    def _offer(self, session: int, posed: PosedFrame) -> None:
        def drop() -> None:
            self._intake.drop(
                'queue_full', f'keyframe at {posed.frame.stamp_ns} ns waited too long'
            )

        self._worker.offer(Job(lambda: self._process(session, posed), drop))

    def _refine(self, closure: LoopClosure) -> None:
        self._worker.offer(Job(lambda: self._keeper.refine(closure)))

    def _start_session(self) -> None:
        """Begin again after a jump back in time; what was seen stays searchable."""
        self._session = max(time.time_ns(), self._session + 1)
        self._selector = KeyframeSelector(self._config.keyframes)
        self._external.add_own_session(self._session)
        self._relocalisation.clear()
        self._host.clear()
        self._images.clear()
        self._statistics.count('sessions')

    def _answer_statistics(self, _request: Any, response: Any) -> Any:
        return fill_statistics(
            response, self._statistics, self._worker.depth, is_busy=self._worker.is_busy
        )

    # In the worker's thread.

    def _process(self, session: int, posed: PosedFrame) -> None:
        if session != self._pipeline_session:
            self._pipeline.start_session(session)
            self._pipeline_session = session
        points = posed.points
        keyframe, query = self._pipeline.process(
            posed.frame,
            None if points is None else points.points_px,
            None if points is None else points.landmarks_m,
        )
        feature_ids = host_feature_ids(keyframe.features, points)
        self._feedback.send(keyframe, query, feature_ids)  # first: the estimator moves on
        self._keeper.accept(keyframe, query, posed.odom_frame, posed.camera_frame, feature_ids)

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
