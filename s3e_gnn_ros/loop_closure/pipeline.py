"""The whole way from a frame to a loop query: what the node and the replay both run."""

from __future__ import annotations

import dataclasses
from collections import deque

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.loop_closure.detector import LoopDetector
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector
from s3e_gnn_ros.loop_closure.stopwatch import Stopwatch
from s3e_gnn_ros.loop_closure.triangulation import triangulate
from s3e_gnn_ros.types import Features, Frame, Keyframe, LoopQuery

_NUM_NEIGHBOURS = 3


class LoopClosurePipeline:
    """Keyframe selection -> features -> retrieval -> verification.

    ``offer`` is cheap and keeps the order of frames; ``process`` does the work and may run in
    another thread, one call at a time, in the order of the offers.

    Args:
        config: all settings.
        session: number of this run of the front end.

    Raises:
        InputError: the vocabulary cannot be read.
    """

    def __init__(self, config: Config, session: int) -> None:
        self._config = config
        self._session = session
        self._next_id = 0
        self._selector = KeyframeSelector(config.keyframes)
        self._extractor = OrbExtractor(config.features)
        self._detector = LoopDetector(config)
        self._neighbours: deque[Keyframe] = deque(maxlen=_NUM_NEIGHBOURS)

    @property
    def similarities(self) -> NDArray[np.float32]:
        """Of the last processed keyframe to each one before it, (N,) float32."""
        return self._detector.similarities

    def start_session(self, session: int) -> None:
        """Begin a new run of the front end: ids restart, what was seen stays searchable."""
        self._session = session
        self._next_id = 0
        self._selector = KeyframeSelector(self._config.keyframes)
        self._neighbours.clear()

    def offer(self, frame: Frame) -> bool:
        """Decide whether a frame with a pose becomes a keyframe."""
        assert frame.T_odom_camera is not None  # the caller has joined frame and odometry
        return self._selector.is_keyframe(frame.stamp_ns, frame.T_odom_camera)

    def process(
        self, frame: Frame, keypoints_px: NDArray[np.floating] | None = None
    ) -> tuple[Keyframe, LoopQuery]:
        """Make a keyframe of a chosen frame and search for a loop.

        Args:
            frame: image and pose, with depth where there is one.
            keypoints_px: (N, 2) keypoints of the front end, used beside our own.
        """
        watch = Stopwatch()
        with watch.stage('features'):
            if keypoints_px is None:
                features = self._extractor.extract(frame)
            else:
                features = self._extractor.extract_at(frame, keypoints_px)
            keyframe = self._make_keyframe(frame, features)
        with watch.stage('embedding'):
            keyframe = self._detector.encode(keyframe)
        query = self._detector.process(keyframe)
        return keyframe, dataclasses.replace(query, stage_ms={**watch.stage_ms, **query.stage_ms})

    def _make_keyframe(self, frame: Frame, features: Features) -> Keyframe:
        keyframe = Keyframe(self._next_id, self._session, frame, features)
        if frame.depth_m is None:
            completed = triangulate(keyframe, list(self._neighbours), self._config.verification)
            keyframe = dataclasses.replace(keyframe, features=completed)
        # Those with depth too: else a lone image without it meets neighbours of long ago, and
        # all the drift since.
        self._neighbours.append(keyframe)
        self._next_id += 1
        return keyframe
