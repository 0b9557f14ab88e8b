"""The whole way from a frame to a loop query: what the node and the replay both run."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.loop_closure.archive import Rows, rows_of
from s3e_gnn_ros.loop_closure.database import KeyframeRows
from s3e_gnn_ros.loop_closure.detector import LoopDetector
from s3e_gnn_ros.loop_closure.host_landmarks import add_host_landmarks
from s3e_gnn_ros.loop_closure.keyframes import KeyframeSelector
from s3e_gnn_ros.loop_closure.relocalisation import NO_SESSION, Relocalisation, Relocaliser
from s3e_gnn_ros.loop_closure.stopwatch import Stopwatch
from s3e_gnn_ros.loop_closure.triangulation import triangulate
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.loop_closure.view_cache import ViewSource
from s3e_gnn_ros.types import (
    Features,
    Frame,
    Keyframe,
    KeyframeKey,
    LoopClosure,
    LoopQuery,
)

_NUM_NEIGHBOURS = 3


class LoopClosurePipeline:
    """Keyframe selection -> features -> retrieval -> verification.

    ``offer`` is cheap and keeps the order of frames; ``process`` does the work and may run in
    another thread, in the order of the offers. All others may be called from any thread: one
    works at a time.

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
        self._database = self._detector.database
        self._relocaliser = Relocaliser(config, self._database, self._detector.verifier)
        self._neighbours: deque[Keyframe] = deque(maxlen=_NUM_NEIGHBOURS)
        self._pruned: list[KeyframeKey] = []
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Return the number of keyframes that can be found."""
        return len(self._database)

    def __contains__(self, key: KeyframeKey) -> bool:
        """Return whether a keyframe can be found."""
        return key in self._database

    @property
    def keys(self) -> list[KeyframeKey]:
        """The keyframes that can be found, in order of addition."""
        with self._lock:
            return self._database.origins.keys

    @property
    def similarities(self) -> NDArray[np.float32]:
        """Of the last processed keyframe to each one before it, (N,) float32; 0 if removed."""
        return self._detector.similarities

    def set_config(self, config: Config) -> None:
        """Take the leaves that may change at run time from another configuration.

        No keyframe sees half of it: one that is being processed is finished as it began.
        """
        with self._lock:
            self._config = config
            self._selector.set_config(config.keyframes)
            self._extractor = OrbExtractor(config.features)
            self._detector.set_config(config)
            self._relocaliser = Relocaliser(config, self._database, self._detector.verifier)

    def start_session(self, session: int) -> None:
        """Begin a new run of the front end: ids restart, what was seen stays searchable."""
        with self._lock:
            self._session = session
            self._next_id = 0
            self._selector = KeyframeSelector(self._config.keyframes)
            self._neighbours.clear()

    def offer(self, frame: Frame) -> bool:
        """Decide whether a frame with a pose becomes a keyframe."""
        assert frame.T_odom_camera is not None  # the caller has joined frame and odometry
        return self._selector.is_keyframe(frame.stamp_ns, frame.T_odom_camera)

    def process(
        self,
        frame: Frame,
        keypoints_px: NDArray[np.floating] | None = None,
        landmarks_m: NDArray[np.floating] | None = None,
    ) -> tuple[Keyframe, LoopQuery]:
        """Make a keyframe of a chosen frame and search for a loop.

        Args:
            frame: image and pose, with depth where there is one.
            keypoints_px: (N, 2) keypoints of the front end, used beside our own.
            landmarks_m: (N, 3) where the front end has each of them in the camera's optical
                frame, NaN where it has not; used where the depth image says nothing.

        Raises:
            InputError: there are not as many landmarks as keypoints.
        """
        with self._lock:
            watch = Stopwatch()
            with watch.stage('features'):
                features = self._extract(frame, keypoints_px)
                if landmarks_m is not None and keypoints_px is not None:
                    features = add_host_landmarks(features, keypoints_px, landmarks_m)
                keyframe = self._make_keyframe(frame, features)
            with watch.stage('embedding'):
                keyframe = self._detector.encode(keyframe)
            query = self._search(keyframe)
            stage_ms = {**watch.stage_ms, **query.stage_ms}
            return keyframe, dataclasses.replace(query, stage_ms=stage_ms)

    def encoded(self, keyframe: Keyframe) -> Keyframe:
        """Return a keyframe with what retrieval compares it by, made from its image if it lacks.

        Raises:
            InputError: it lacks it, and has no image to make it from.
        """
        with self._lock:
            return keyframe if keyframe.encoding is not None else self._detector.encode(keyframe)

    def process_keyframe(self, keyframe: Keyframe) -> LoopQuery | None:
        """Search for a loop from another robot's keyframe, then remember it.

        Args:
            keyframe: with features; an encoding, or an image to make it from.

        Returns:
            What was found; None for a keyframe of the running session, or one that is here.

        Raises:
            InputError: it has neither what retrieval compares nor an image to make it from.
        """
        with self._lock:
            key = KeyframeKey(keyframe.session, keyframe.keyframe_id)
            if keyframe.session == self._session or key in self._database:
                return None
            return self._search(keyframe)

    def relocalise(self, frame: Frame) -> Relocalisation:
        """Find where in the map an image was taken; nothing is added.

        Args:
            frame: image and camera; depth where there is one; the pose is not looked at.

        Raises:
            InputError: the image has a shape or type that cannot be read.
        """
        with self._lock:
            features = self._extractor.extract(frame)
            keyframe = Keyframe(0, NO_SESSION, frame, features)
            return self._relocaliser.relocalise(self._detector.encode(keyframe))

    def restore(
        self, rows: KeyframeRows, closures: Sequence[LoopClosure], views: ViewSource
    ) -> None:
        """Make a stored map searchable, as if its keyframes had come one by one.

        Args:
            rows: its keyframes, in order of addition.
            closures: its verified loops, in the order they were found.
            views: gives the views of these keyframes from now on.

        Raises:
            InputError: a keyframe is here already, or the map does not fit the retrieval method;
                nothing was added then.
        """
        with self._lock:
            self._detector.restore(rows, closures, views)

    def views_stored(self, keys: Sequence[KeyframeKey], views: ViewSource) -> None:
        """Tell that a stored map holds these keyframes: their views need not stay in memory."""
        with self._lock:
            self._database.views.attach([key for key in keys if key in self._database], views)

    def view(self, key: KeyframeKey) -> View:
        """Return what is kept of a keyframe to verify against.

        Raises:
            InputError: it is not here, or its stored map cannot give it.
        """
        with self._lock:
            return self._database.views.view(key)

    def rows(self) -> Rows:
        """Return the keyframes that can be found, by column, as they are now."""
        with self._lock:
            return rows_of(self._database)

    def remove(self, keys: Sequence[KeyframeKey]) -> int:
        """Forget keyframes; returns how many of them were here."""
        with self._lock:
            return self._detector.remove(keys)

    def set_poses(self, keys: Sequence[KeyframeKey], T_map_camera: NDArray[np.float64]) -> None:
        """Take the back end's poses (N, 4, 4) of keyframes, by which images are relocalised."""
        with self._lock:
            self._database.poses.set_poses(keys, T_map_camera)

    def take_pruned(self) -> list[KeyframeKey]:
        """Return the keyframes that were pruned since the last call."""
        with self._lock:
            pruned, self._pruned = self._pruned, []
            return pruned

    def _search(self, keyframe: Keyframe) -> LoopQuery:
        query = self._detector.process(keyframe)
        self._pruned += self._database.prune()
        return query

    def _extract(self, frame: Frame, keypoints_px: NDArray[np.floating] | None) -> Features:
        if keypoints_px is None:
            return self._extractor.extract(frame)
        return self._extractor.extract_at(frame, keypoints_px)

    def _make_keyframe(self, frame: Frame, features: Features) -> Keyframe:
        keyframe = Keyframe(
            self._next_id, self._session, frame, features, robot_id=self._config.node.robot_id
        )
        if frame.depth_m is None:
            completed = triangulate(keyframe, list(self._neighbours), self._config.verification)
            keyframe = dataclasses.replace(keyframe, features=completed)
        # Those with depth too: else a lone image without it meets neighbours of long ago, and
        # all the drift since.
        self._neighbours.append(keyframe)
        self._next_id += 1
        return keyframe
