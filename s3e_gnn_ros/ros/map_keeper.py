"""The map in use: what comes in, what goes out again, and what the back end makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.deferred import DeferredServices, Job, OneAtATime
from s3e_gnn_ros.ros.health import Health, judge_map
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.keyframe_poses import (
    keys_from_message,
    poses_from_message,
    weights_from_message,
)
from s3e_gnn_ros.ros.loop_outputs import LoopOutputs
from s3e_gnn_ros.ros.map_messages import loaded_messages
from s3e_gnn_ros.ros.open_maps import LoadedMap, OpenMaps
from s3e_gnn_ros.ros.qos import latched_qos
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.steady_timer import create_steady_timer
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import Keyframe, KeyframeKey, LoopClosure, LoopQuery

_TICK_S = 1.0


class MapKeeper:
    """Keeps search, file, history and topics in step; the work is done on the worker's thread.

    Args:
        node: owns subscription, service and timer.
        pipeline: searches.
        maps: the files.
        outputs: the topics and the history.
        statistics: counts keyframes, closures, and what is removed.
        intake: counts what is wrong with a message.
        worker: returns the worker.
    """

    def __init__(
        self,
        node: Node,
        pipeline: LoopClosurePipeline,
        maps: OpenMaps,
        outputs: LoopOutputs,
        statistics: Statistics,
        intake: Intake,
        worker: Callable[[], Worker[Job]],
    ) -> None:
        self._pipeline = pipeline
        self._maps = maps
        self._outputs = outputs
        self._statistics = statistics
        self._intake = intake
        self._placed: msg.KeyframePoses | None = None
        self._poses_job = OneAtATime(worker, lambda: intake.attempt(self._take_poses))
        self._tick_job = OneAtATime(worker, self._tick)
        node.create_subscription(
            msg.KeyframePoses,
            names.KEYFRAME_POSES,
            intake.counted('keyframe_poses', self._note_poses),
            latched_qos(1),
        )
        self._timer = create_steady_timer(node, _TICK_S, self._check)

    def create_services(self, services: DeferredServices, worker: Callable[[], Any]) -> None:
        """Serve loop_closure/remove_keyframes."""
        services.create(
            srv.RemoveKeyframes,
            names.REMOVE_KEYFRAMES,
            self._answer_remove,
            worker,
            needs_active=True,
        )

    def health(self, counters: Mapping[str, int]) -> Health:
        """Judge whether the map that is written takes what comes; in any thread."""
        if self._maps.writer is None:
            return judge_map(counters, '', None)
        return judge_map(counters, str(self._maps.written_path), self._maps.writer.free_bytes)

    # In the worker's thread.

    def accept(
        self,
        keyframe: Keyframe,
        query: LoopQuery,
        odom_frame: str,
        camera_frame: str,
        feature_ids: NDArray[np.int64] | None = None,
    ) -> None:
        """Write a keyframe and what it closed, then give it out: who hears of it can rely on it.

        Args:
            keyframe: as processed.
            query: of that keyframe.
            odom_frame: frame of its pose.
            camera_frame: its optical frame.
            feature_ids: (N,) the front end's track numbers, or None.
        """
        if self._maps.writer is not None:
            self._maps.writer.add(keyframe, query.closures, odom_frame, camera_frame)
        self._outputs.publish(keyframe, query, odom_frame, camera_frame, feature_ids)
        pruned = self._pipeline.take_pruned()
        self._forget(pruned)
        self._statistics.count('pruned', len(pruned))
        self._statistics.add_stages(query.stage_ms)
        self._statistics.count(f'status.{query.status.name}')
        self._statistics.count('closures', len(query.closures))
        self._statistics.count('keyframes')  # last: by now everything about it is out

    def refine(self, closure: LoopClosure) -> None:
        """Put a better measurement in the place of a closure, and give it out again."""
        if self._maps.writer is not None:
            self._maps.writer.replace_closure(closure)
        self._outputs.replace_closure(closure)

    def give_out(self, loaded: LoadedMap) -> tuple[int, int]:
        """Let back ends have a map that was made searchable; returns keyframes and closures."""
        keyframes, closures = loaded_messages(loaded)
        self._outputs.load(keyframes, closures, loaded.poses() if loaded.is_fixed else ())
        self._statistics.count('keyframes_loaded', len(keyframes))
        return len(keyframes), len(closures)

    def remove(self, keys: Sequence[KeyframeKey]) -> int:
        """Remove keyframes from search, file, history and pose graph; returns how many."""
        known = [key for key in dict.fromkeys(keys) if key in self._pipeline]
        self._pipeline.remove(known)
        self._forget(known)
        self._statistics.count('removed', len(known))
        return len(known)

    def close(self) -> None:
        """Hand on what is left, when the worker has ended and before the maps are closed."""
        if self._placed is not None:
            self._intake.attempt(self._take_poses)

    def _forget(self, keys: Sequence[KeyframeKey]) -> None:
        if keys and self._maps.writer is not None:
            self._maps.writer.remove(keys)
        self._outputs.remove(keys)

    def _take_poses(self) -> None:
        message, self._placed = self._placed, None
        if message is None:
            return
        keys, poses = poses_from_message(message)
        self._pipeline.set_poses(keys, poses)
        if self._maps.writer is not None:
            self._maps.writer.take_poses(keys, poses)
            self._maps.writer.take_weights(weights_from_message(message))

    def _tick(self) -> None:
        if self._maps.writer is not None:
            self._maps.writer.tick()

    def _answer_remove(self, request: Any, response: Any) -> None:
        keys = keys_from_message(request)
        response.num_removed = self.remove(keys)
        response.message = f'{response.num_removed} of {len(keys)} keyframes were there'

    # In the executor's thread.

    def _note_poses(self, message: msg.KeyframePoses) -> None:
        self._placed = message
        self._poses_job.offer()

    def _check(self) -> None:
        if self._maps.writer is not None and self._maps.writer.is_due:
            self._tick_job.offer()
