"""Tells why two keyframes have a loop closure between them, or why not, while the node runs."""

from __future__ import annotations

import json
from typing import Any

from rclpy.node import Node

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.config import Config
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.deferred import DeferredServices, Job
from s3e_gnn_ros.ros.history import History
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.keyframe_poses import weights_from_message
from s3e_gnn_ros.ros.loop_messages import closure_from_message
from s3e_gnn_ros.ros.open_maps import OpenMaps
from s3e_gnn_ros.ros.qos import latched_qos
from s3e_gnn_ros.ros.worker import Worker
from s3e_gnn_ros.types import KeyframeKey

MAX_SOLVED = 1000
"""Keyframes up to which the pose graph is solved anew: GTSAM holds the interpreter's lock."""

_CAPACITY = 4


class ExplainService:
    """Answers loop_closure/explain in a thread of its own: loops go on being closed meanwhile.

    It goes by a copy of the keyframes, their views, and what the back end last published.

    Args:
        node: owns service and subscription.
        config: of the node.
        services: creates the service.
        pipeline: has the keyframes.
        history: has the closures.
        maps: have the pictures.
        intake: counts what is wrong with a message.
    """

    def __init__(
        self,
        node: Node,
        config: Config,
        services: DeferredServices,
        pipeline: LoopClosurePipeline,
        history: History,
        maps: OpenMaps,
        intake: Intake,
    ) -> None:
        self._config = config
        self._pipeline = pipeline
        self._history = history
        self._maps = maps
        self._placed = msg.KeyframePoses()
        self._worker: Worker[Job] = Worker(
            lambda job: job.run(),
            capacity=_CAPACITY,
            name='explain',
            on_drop=lambda job: job.drop(),
        )
        node.create_subscription(
            msg.KeyframePoses,
            names.KEYFRAME_POSES,
            intake.counted('keyframe_weights', self._note),
            latched_qos(1),
        )
        services.create(srv.Explain, names.EXPLAIN, self._answer, lambda: self._worker)

    def set_config(self, config: Config) -> None:
        """Go by another configuration from the next request on."""
        self._config = config

    def close(self) -> None:
        """End the thread."""
        self._worker.close()

    def _note(self, message: msg.KeyframePoses) -> None:
        self._placed = message

    # In its own thread.

    def _answer(self, request: Any, response: Any) -> None:
        query = KeyframeKey(int(request.query_session), int(request.query_id))
        match = KeyframeKey(int(request.match_session), int(request.match_id))
        # With gtsam and torch: for those who ask.
        from s3e_gnn_ros.evaluation.explanation_dict import story_dict
        from s3e_gnn_ros.evaluation.explanation_image import draw_story
        from s3e_gnn_ros.evaluation.explanation_text import story_text, verdict

        story = self._story(query, match)
        ending = story.explanation.ending
        response.message = verdict(story)
        response.stage = ending.stage.value
        no_status = type(response).NO_STATUS
        response.status = no_status if ending.status is None else int(ending.status)
        response.text = story_text(story)
        response.json = json.dumps(story_dict(story))
        header = conv.make_header(story.explanation.query_view.stamp_ns, '')
        response.drawing = conv.image_to_message(draw_story(story), header)

    def _story(self, query: KeyframeKey, match: KeyframeKey) -> Any:
        from s3e_gnn_ros.loop_closure.archive import Archive
        from s3e_gnn_ros.loop_closure.explanation import explain
        from s3e_gnn_ros.map_store.pair_story import Closures, PairStory, back_end, ends_of

        rows, config = self._pipeline.rows(), self._config
        known = set(rows.keys)
        closures = [closure_from_message(each) for each in self._history.closures]
        # A keyframe may have come since, or gone.
        closures = [each for each in closures if known.issuperset(ends_of(each))]
        weights = {(i, j): weight for i, j, weight in weights_from_message(self._placed)}
        return PairStory(
            explain(Archive(rows, closures, self._pipeline), config, query, match),
            back_end(
                rows,
                Closures(closures, [], weights),
                config,
                query,
                match,
                solve=len(known) <= MAX_SOLVED,
            ),
            (self._maps.thumbnail(query), self._maps.thumbnail(match)),
        )
