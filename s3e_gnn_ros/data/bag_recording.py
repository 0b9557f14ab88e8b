"""A rosbag2 as a recording."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data import messages
from s3e_gnn_ros.data.bag_file import OpenBag, open_bag
from s3e_gnn_ros.data.bag_poses import camera_trajectory, read_poses, read_static_transforms
from s3e_gnn_ros.data.bag_topics import (
    CAMERA_INFO_TYPES,
    GROUND_TRUTH_TYPES,
    IMAGE_TYPES,
    ChosenTopics,
    Topic,
    choose_topics,
)
from s3e_gnn_ros.data.camera_tracker import CameraTracker, is_rectified_topic
from s3e_gnn_ros.data.messages import Message
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.data.recording import count_drop
from s3e_gnn_ros.data.synchroniser import ApproximateSynchroniser
from s3e_gnn_ros.data.trajectory_file import read_odometry_file
from s3e_gnn_ros.errors import DropError, RecordingError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.types import Frame

_USED_TYPES = (*IMAGE_TYPES, *CAMERA_INFO_TYPES, *GROUND_TRUTH_TYPES)


class BagRecording:
    """Frames from a rosbag2, decoded one by one; see the ``Recording`` protocol.

    Image and depth are joined by their headers' stamps as the live node joins them; poses are
    interpolated at the image's stamp.

    Args:
        path: folder with metadata.yaml, or a ``.mcap`` or ``.db3`` file.
        options: names of topics and everything else that was chosen.

    Raises:
        RecordingError: no bag, an empty or damaged one, or a topic is missing.
    """

    def __init__(self, path: Path, options: RecordingOptions) -> None:
        """Choose topics, and read all poses and the first camera_info."""
        self._path = path
        self._options = options
        self.name = path.resolve().stem if path.is_file() else path.resolve().name
        self.notes: list[str] = []
        self._first_drops: Counter[str] = Counter()
        with open_bag(path) as bag:
            topics = _scan(bag)
            if not topics:
                kinds = sorted({one.msgtype for one in bag.connections if one.msgcount})
                held = f'only {", ".join(kinds)}' if kinds else 'no message'
                raise RecordingError(f"bag '{path}' holds {held}")
            self._topics = choose_topics(topics, options)
            self.notes.extend(self._topics.notes)
            self._camera = self._first_camera(bag)
            self.odometry, self.ground_truth = self._read_trajectories(bag)
        self.num_frames = self._topics.image.num_messages
        self.drops: Counter[str] = Counter(self._first_drops)

    @property
    def topics(self) -> ChosenTopics:
        """Which topic serves which purpose."""
        return self._topics

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; what cannot be used is left out and counted in ``drops``.

        Raises:
            RecordingError: the bag is damaged from here on.
        """
        self.drops.clear()
        self.drops.update(self._first_drops)
        last_ns = -1
        with open_bag(self._path) as bag:
            for image, depth, camera in self._sets(bag):
                try:
                    stamp_ns = messages.stamp_ns(image.header.stamp)
                    if stamp_ns <= last_ns:
                        raise DropError(
                            'time_backwards', f'image at {stamp_ns} ns follows {last_ns} ns'
                        )
                    frame = self._frame(stamp_ns, image, depth, camera)
                except DropError as err:
                    count_drop(err, self.drops, self.notes)
                    continue
                last_ns = stamp_ns
                yield frame

    def _sets(self, bag: OpenBag) -> Iterator[tuple[Message, Message | None, CameraTracker]]:
        """Yield image, depth and the camera of the moment, in log order."""
        image, depth, info = self._topics.image, self._topics.depth, self._topics.camera_info
        tracker = self._tracker()
        tracker.camera = self._camera
        joined: deque[tuple[Message, ...]] = deque()
        streams = [image.name] + ([depth.name] if depth else [])
        synchroniser = ApproximateSynchroniser(
            streams,
            self._options.sync_queue_size,
            self._options.sync_slop_s,
            lambda *parts: joined.append(parts),
        )
        num_images = num_sets = 0
        for logged in bag.messages([*streams, *([info.name] if info else [])]):
            try:
                message = bag.decode(logged)
                if logged.topic not in streams:
                    tracker.update(message)
                    continue
                stamp_ns = messages.stamp_ns(message.header.stamp)
            except DropError as err:
                count_drop(err, self.drops, self.notes)
                continue
            num_images += logged.topic == image.name
            synchroniser.add(logged.topic, stamp_ns, message)
            while joined:
                num_sets += 1
                first, *rest = joined.popleft()
                yield first, rest[0] if rest else None, tracker
        if num_images > num_sets:
            self.drops['unsynchronised'] += num_images - num_sets

    def _frame(
        self, stamp_ns: int, image: Message, depth: Message | None, tracker: CameraTracker
    ) -> Frame:
        pixels = messages.image_from_message(image)
        camera = tracker.camera_of(pixels)
        messages.check_frame(pixels, camera)
        return Frame(
            stamp_ns=stamp_ns,
            image=pixels,
            camera=camera,
            depth_m=None if depth is None else self._depth(depth, pixels, camera),
            T_odom_camera=self._at(self.odometry, stamp_ns),
            T_world_camera=self._at(self.ground_truth, stamp_ns),
        )

    def _depth(
        self, message: Message, image: NDArray[np.uint8], camera: PinholeCamera
    ) -> NDArray[np.float32] | None:
        """Return depth, or None and a count: an image without depth is still worth something."""
        try:
            depth_m = messages.depth_from_message(message, self._options.depth_scale)
            messages.check_frame(image, camera, depth_m)
        except DropError as err:
            count_drop(err, self.drops, self.notes)
            return None
        return depth_m

    def _at(self, trajectory: Trajectory | None, stamp_ns: int) -> NDArray[np.float64] | None:
        if trajectory is None:
            return None
        return trajectory.at(stamp_ns, self._options.max_odometry_gap_s)

    def _tracker(self) -> CameraTracker:
        is_rectified = is_rectified_topic(self._topics.image.name)
        return CameraTracker(self._options.camera, is_rectified=is_rectified)

    def _first_camera(self, bag: OpenBag) -> PinholeCamera | None:
        """Return the first valid camera_info: images may be logged before it."""
        topic = self._topics.camera_info
        if topic is None or self._options.camera is not None:
            return None
        tracker = self._tracker()
        last_error: DropError | None = None
        for logged in bag.messages([topic.name]):
            try:
                tracker.update(bag.decode(logged))
            except DropError as err:
                last_error = err
                continue
            return tracker.camera
        raise RecordingError(
            f"no valid camera on {topic.name} of bag '{self._path}': {last_error}"
        )

    def _read_trajectories(self, bag: OpenBag) -> tuple[Trajectory | None, Trajectory | None]:
        topics, drops = self._topics, self._first_drops
        transforms = read_static_transforms(bag, drops)

        def read(topic: Topic | None, reason: str) -> Trajectory | None:
            if topic is None:
                return None
            return camera_trajectory(
                read_poses(bag, topic, reason, drops),
                topic,
                topics.image.frame_id,
                transforms,
                self._options.T_body_camera,
                self.notes,
            )

        from_file = read_odometry_file(self._options, drops)
        odometry = from_file or read(topics.odometry, 'odometry_pose')
        return odometry, read(topics.ground_truth, 'ground_truth_pose')


def _scan(bag: OpenBag) -> list[Topic]:
    """Describe each topic that could be of use by its first message."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in bag.connections:
        if one.msgtype in _USED_TYPES:
            counts[one.topic, one.msgtype] += one.msgcount
    topics = []
    for (name, msgtype), num_messages in counts.items():
        message = _first_message(bag, name) if num_messages else None
        if message is not None:
            topics.append(_describe(name, msgtype, num_messages, message))
    return topics


def _first_message(bag: OpenBag, topic: str) -> Message | None:
    for logged in bag.messages([topic]):
        try:
            return bag.decode(logged)
        except DropError:
            continue
    return None


def _describe(name: str, msgtype: str, num_messages: int, message: Message) -> Topic:
    return Topic(
        name=name,
        msgtype=msgtype,
        num_messages=num_messages,
        encoding=getattr(message, 'encoding', getattr(message, 'format', '')),
        frame_id=message.header.frame_id,
        child_frame_id=getattr(message, 'child_frame_id', ''),
        size=(getattr(message, 'width', 0), getattr(message, 'height', 0)),
    )
