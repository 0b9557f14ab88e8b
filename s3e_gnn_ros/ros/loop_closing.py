"""What the loop closure node is while it is configured: search, maps, services, and one worker."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.ros.deferred import Job, call_in
from s3e_gnn_ros.ros.explain_service import ExplainService
from s3e_gnn_ros.ros.external_keyframes import ExternalKeyframes
from s3e_gnn_ros.ros.frame_joiner import HostPoints, PosedFrame
from s3e_gnn_ros.ros.health import Health, judge_tracking, report_loops
from s3e_gnn_ros.ros.history import History
from s3e_gnn_ros.ros.inputs import Watched
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.loop_inputs import LoopInputs
from s3e_gnn_ros.ros.loop_outputs import LoopOutputs
from s3e_gnn_ros.ros.managed_node import ManagedNode
from s3e_gnn_ros.ros.map_keeper import MapKeeper
from s3e_gnn_ros.ros.map_services import MapServices
from s3e_gnn_ros.ros.open_maps import LoadedMap, OpenMaps
from s3e_gnn_ros.ros.relocalisation_service import Place, RelocalisationService
from s3e_gnn_ros.ros.role import Role
from s3e_gnn_ros.ros.vins_feedback import VinsFeedback
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import Features, LoopClosure

_REST_TIMEOUT_S = 10.0
"""On deactivation: for the job at hand. A stored map that is being loaded may take longer."""


class LoopClosing(Role):
    """Keyframes in, verified loop closures and a map out.

    Callbacks join messages to frames and choose keyframes; one worker does the rest.

    Args:
        node: owns topics, services and timers.
        config: of the node.

    Raises:
        InputError: the vocabulary, the weights or a map cannot be read, or a map not written.
    """

    def __init__(self, node: ManagedNode, config: Config) -> None:
        self._node = node
        self._config = self._applied = config
        self._statistics = node.statistics
        self._intake = Intake(node, node.statistics, self._start_session)
        self._history = History()
        self._session = time.time_ns()
        self._sessions = [self._session]
        self._pipeline = LoopClosurePipeline(config, self._session)
        self._pipeline_session = self._session
        self._is_active = False
        self._inputs: LoopInputs | None = None
        self._external: ExternalKeyframes | None = None
        self._camera: PinholeCamera | None = None
        self._T_body_camera: Pose | None = None
        self._ungiven: list[LoadedMap] = []
        with ExitStack() as stack:
            self._open(stack)
            self._closing = stack.pop_all()
        node.get_logger().info(f'session {self._session} begins')

    def _open(self, stack: ExitStack) -> None:
        """Build everything; what has been opened is closed in the opposite order."""
        node, config, statistics = self._node, self._config, self._statistics
        maps = OpenMaps(config, self._pipeline, statistics, self._intake.drop, self._tell)
        stack.callback(maps.close)
        outputs = LoopOutputs(node, config.node, self._history)
        self._outputs = outputs
        self._keeper = MapKeeper(
            node, self._pipeline, maps, outputs, statistics, self._intake, self._get_worker
        )
        stack.callback(self._keeper.close)
        self._worker: Worker[Job] = Worker(
            self._run,
            capacity=config.node.queue_size,
            name='loop_closure',
            on_drop=lambda job: job.drop(),
            on_error=self._report_bug,
        )
        stack.callback(self._worker.close)
        self._open_services(stack, maps)
        self._feedback = VinsFeedback(
            node,
            config.node,
            self._intake,
            statistics,
            lambda: self.T_body_camera,
            self._refine,
        )
        for loaded in maps.begin():
            self._map_services.copy(loaded)
            self._ungiven.append(loaded)

    def _open_services(self, stack: ExitStack, maps: OpenMaps) -> None:
        services = self._node.deferred
        self._keeper.create_services(services, self._get_worker)
        self._map_services = MapServices(
            self._config,
            maps,
            self._keeper,
            self._intake,
            services,
            self._get_worker,
            lambda: self.T_body_camera,
        )
        stack.callback(self._map_services.close)
        self._explain = ExplainService(
            self._node,
            self._config,
            services,
            self._pipeline,
            self._history,
            maps,
            self._intake,
        )
        stack.callback(self._explain.close)
        place = Place(
            self._pipeline,
            lambda: self.camera,
            self._get_worker,
            self._statistics,
            self._intake,
        )
        self._relocalisation = RelocalisationService(self._node, self._config, services, place)

    def _get_worker(self) -> Worker[Job]:
        return self._worker

    # In the executor's thread: cheap, but for the transitions.

    @property
    def depth(self) -> int:
        """Jobs that wait for the worker."""
        return self._worker.depth

    @property
    def is_busy(self) -> bool:
        """Whether the worker is at work."""
        return self._worker.is_busy

    @property
    def capacity(self) -> int:
        """Jobs that may wait for the worker."""
        return self._worker.capacity

    @property
    def watched(self) -> dict[str, Watched]:
        """What is subscribed to of other systems."""
        return {} if self._inputs is None else self._inputs.inputs.watched

    def healths(self, counters: Mapping[str, int]) -> list[Health]:
        """Report loops, tracking and the map."""
        return [
            report_loops(counters),
            judge_tracking(counters, is_lost=self._relocalisation.is_lost),
            self._keeper.health(counters),
        ]

    @property
    def T_body_camera(self) -> Pose | None:
        """The camera (4, 4) in the host's body, as it was last known."""
        if self._inputs is not None:
            self._T_body_camera = self._inputs.T_body_camera
        return self._T_body_camera

    @property
    def camera(self) -> PinholeCamera | None:
        """The camera, as it was last known."""
        if self._inputs is not None:
            self._camera = self._inputs.camera
        return self._camera

    def activate(self) -> None:
        """Give out what was loaded, and subscribe.

        Raises:
            ConfigError: see :func:`adapters.make_host`.
        """
        self._is_active = True
        while self._ungiven:
            loaded = self._ungiven.pop(0)
            num_keyframes, num_closures = self._keeper.give_out(loaded)
            self._node.get_logger().info(
                f'map {loaded.store.path}: {num_keyframes} keyframes, {num_closures} closures'
            )
        self._statistics.forget_arrivals()
        self._relocalisation.clear()
        self._feedback.listen()
        self._inputs = LoopInputs(
            self._node,
            self._config,
            self._intake,
            self._statistics,
            self._relocalisation,
            self._offer,
            self._restart_odometry,
        )
        self._external = ExternalKeyframes(
            self._node,
            self._intake,
            self._history,
            self._pipeline,
            self._get_worker,
            self._keeper.accept,
            self._sessions,
        )

    def deactivate(self) -> None:
        """Finish the job at hand; keyframes that wait are dropped, and counted."""
        if not self._is_active:
            return
        _ = self.camera, self.T_body_camera  # to be remembered
        self._is_active = False
        self._inputs = self._external = None
        try:
            call_in(self._worker, lambda: None, _REST_TIMEOUT_S)
        except InputError as err:
            self._node.get_logger().warning(f'deactivated all the same: {err}')

    def set_config(self, config: Config) -> None:
        """Take other limits: the worker before its next job, all others at once."""
        self._config = config
        self._relocalisation.set_config(config.node)
        self._map_services.set_config(config)
        self._explain.set_config(config)
        if self._inputs is not None:
            self._inputs.set_config(config)

    def close(self) -> None:
        """End the workers when they have finished what they are at, and close the maps."""
        self._is_active = False
        self._inputs = self._external = None
        self._closing.close()

    def _offer(self, posed: PosedFrame) -> None:
        session = self._session

        def drop() -> None:
            if self._is_active:
                self._intake.drop(
                    'queue_full', f'keyframe at {posed.frame.stamp_ns} ns waited too long'
                )
            else:
                self._drop_inactive(posed)

        self._worker.offer(Job(lambda: self._process(session, posed), drop))

    def _refine(self, closure: LoopClosure) -> None:
        self._worker.offer(Job(lambda: self._keeper.refine(closure)))

    def _start_session(self) -> None:
        """Begin again after a jump back in time; what was seen stays searchable."""
        self._relocalisation.clear()
        if self._inputs is not None:
            self._inputs.clear()
        self._next_session()

    def _restart_odometry(self, sentence: str) -> None:
        """Begin again where odometry did; only a closure can tell where that is."""
        self._node.get_logger().warning(f'{sentence}: a new session begins')
        self._statistics.count('odometry_restarts')
        self._next_session()

    def _next_session(self) -> None:
        """The next number says that odometry did not go on; see :func:`is_continued`."""
        self._session += 1
        self._sessions.append(self._session)
        if self._external is not None:
            self._external.add_own_session(self._session)
        self._statistics.count('sessions')

    def _tell(self, sentence: str) -> None:
        self._node.get_logger().info(sentence)

    # In the worker's thread.

    def _run(self, job: Job) -> None:
        config = self._config
        if config is not self._applied:
            self._pipeline.set_config(config)
            self._feedback.set_config(config.node)
            self._outputs.set_config(config.node)
            self._applied = config
        job.run()

    def _process(self, session: int, posed: PosedFrame) -> None:
        if not self._is_active:
            self._drop_inactive(posed)
            return
        if session != self._pipeline_session:
            self._pipeline.start_session(session)
            self._pipeline_session = session
        points = posed.points
        keyframe, query = self._pipeline.process(
            posed.frame,
            None if points is None else points.points_px,
            None if points is None else points.landmarks_m,
        )
        if any(closure.match.session != session for closure in query.closures):
            # As good as an image that was relocalised: the place is known again.
            self._relocalisation.watch.located(keyframe.stamp_ns)
        feature_ids = host_feature_ids(keyframe.features, points)
        self._feedback.send(keyframe, query, feature_ids)  # first: the estimator moves on
        self._keeper.accept(keyframe, query, posed.odom_frame, posed.camera_frame, feature_ids)

    def _drop_inactive(self, posed: PosedFrame) -> None:
        self._intake.drop(
            'inactive', f'keyframe at {posed.frame.stamp_ns} ns still waited on deactivation'
        )

    def _report_bug(self, err: Exception) -> None:
        self._intake.drop(
            'worker_error', f'{type(err).__name__} while processing a keyframe: {err}'
        )


def host_feature_ids(features: Features, points: HostPoints | None) -> NDArray[np.int64] | None:
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
