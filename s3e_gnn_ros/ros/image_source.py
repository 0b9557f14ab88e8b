"""The camera's topics: images with their depth, and the intrinsics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.data.bag_poses import clean_frame
from s3e_gnn_ros.data.camera_tracker import CameraTracker, is_rectified_topic
from s3e_gnn_ros.data.messages import check_frame, depth_from_message, stamp_ns
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros.frame_joiner import Picture
from s3e_gnn_ros.ros.images import decode_image, make_bridge
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.synchronisation import PartnerWatch, make_synchroniser

COMPRESSED_SUFFIX = {'image': '/compressed', 'depth': '/compressedDepth'}


class ImageSource:
    """Subscribes to image, depth and camera_info, and hands on decoded pictures.

    Args:
        node: owns the subscriptions.
        config: transport, depth and synchronisation.
        inputs: how to subscribe.
        on_picture: called with each picture; stamps increase.
        on_camera: called when :attr:`camera` has become known or changed.
        needs_camera_info: something is amiss when none comes.
    """

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        inputs: Inputs,
        on_picture: Callable[[Picture], None],
        on_camera: Callable[[], None],
        *,
        needs_camera_info: bool = True,
    ) -> None:
        self._is_rectified = is_rectified_topic(node.resolve_topic_name('image'))
        self._tracker = CameraTracker(is_rectified=self._is_rectified)
        self._resized = CameraTracker(
            is_rectified=self._is_rectified
        )  # no camera while sizes agree
        self._info_frame = self._image_frame = ''
        self._config = config
        self._inputs = inputs
        self._on_picture = on_picture
        self._on_camera = on_camera
        self._bridge = make_bridge()
        self._topics = ('image', 'depth') if config.use_depth else ('image',)
        self._last_ns: int | None = None
        self._slop_s = config.sync_slop_s
        self._watch = PartnerWatch(config.sync_queue_size, self._drop_alone)
        self.clear()
        inputs.subscribe(
            CameraInfo,
            'camera_info',
            self._take_camera,
            is_timed=False,
            is_optional=not needs_camera_info,
        )
        for topic in self._topics:
            self._subscribe_image(node, topic)

    @property
    def camera(self) -> PinholeCamera | None:
        """Intrinsics by the newest usable camera_info; None before the first."""
        return self._tracker.camera

    def clear(self) -> None:
        """Forget what waits for its partner."""
        self._last_ns = None
        self._watch.clear()
        self.set_slop(self._slop_s)

    def set_slop(self, slop_s: float) -> None:
        """Join by another slop [s]; images that wait are given up when a newer one is joined."""
        self._slop_s = slop_s
        self._synchroniser = make_synchroniser(
            self._topics, self._config.sync_queue_size, slop_s, self._take_set
        )

    def _subscribe_image(self, node: Node, topic: str) -> None:
        def take(message: Any) -> None:
            if topic == 'image':
                stamp = stamp_ns(message.header.stamp)
                self._check_order(stamp)  # whatever depth may come for it
                self._watch.waits(stamp)
            self._synchroniser.add(topic, message)

        name = node.resolve_topic_name(topic)
        message_class: type[Any] = Image
        if self._config.image_transport == 'compressed':
            # As image_transport does: remapping `image` moves `image/compressed` with it.
            name, message_class = name + COMPRESSED_SUFFIX[topic], CompressedImage
        # The synchroniser copes with late messages; what it joins is put in order below.
        self._inputs.subscribe(message_class, topic, take, name, may_be_late=True)

    def _take_camera(self, message: CameraInfo) -> None:
        before = self._tracker.camera
        self._info_frame = message.header.frame_id
        try:
            self._tracker.update(message)
        except DropError:
            # Of another size: it is believed once images are of that size, too.
            self._resized = CameraTracker(is_rectified=self._is_rectified)
            self._resized.update(message)
            raise
        if self._tracker.camera != before:
            self._on_camera()

    def _take_set(self, image: Any, depth: Any = None) -> None:
        # One that was given up has been counted already: it is too late for it.
        if self._watch.has_partner(stamp_ns(image.header.stamp)):
            self._inputs.intake.attempt(lambda: self._hand_on(image, depth))

    def _drop_alone(self, stamp: int) -> None:
        self._inputs.intake.drop(
            'unsynchronised',
            f'no depth within {self._slop_s} s has come for the image at {stamp} ns; '
            'node.use_depth is true: without depth images, set it to false',
        )

    def _check_order(self, stamp: int) -> None:
        if self._last_ns is not None and stamp <= self._last_ns:
            raise DropError('time_backwards', f'image at {stamp} ns follows {self._last_ns} ns')

    def _hand_on(self, image: Any, depth: Any) -> None:
        stamp = stamp_ns(image.header.stamp)
        self._check_order(stamp)
        pixels = decode_image(image, self._bridge, self._config.max_image_pixels)
        self._note_frames(image, depth)
        self._follow_size(pixels)
        if self.camera is not None:
            check_frame(pixels, self.camera)
        depth_m = None if depth is None else self._depth(depth, pixels.shape[:2])
        self._last_ns = stamp
        self._on_picture(Picture(stamp, pixels, depth_m, image.header.frame_id))

    def _follow_size(self, pixels: NDArray[np.uint8]) -> None:
        """Go over to another size of images once both they and camera_info have it."""
        camera, resized = self._tracker.camera, self._resized.camera
        size = pixels.shape[1], pixels.shape[0]
        if (
            camera is None
            or resized is None
            or size == (camera.width, camera.height)
            or size != (resized.width, resized.height)
        ):
            return
        self._tracker = self._resized
        self._resized = CameraTracker(is_rectified=self._is_rectified)
        self._inputs.intake.remark(
            'camera_resized', f'images and camera_info are {size[0]}x{size[1]} from now on'
        )
        self._on_camera()

    def _note_frames(self, image: Any, depth: Any) -> None:
        """Say where the messages of one camera do not agree on what it is called."""
        frame = image.header.frame_id
        others = {'camera_info': self._info_frame, 'images before': self._image_frame}
        if depth is not None:
            others['depth'] = depth.header.frame_id
        for name, other in others.items():
            if other and clean_frame(other) != clean_frame(frame):
                self._inputs.intake.remark(
                    f'frame_of_{name.split()[0]}',
                    f"images are of '{frame}' and {name} of '{other}': that of the image counts, "
                    'and depth has to be aligned to it',
                )
        self._image_frame = frame

    def _depth(self, message: Any, shape: tuple[int, ...]) -> NDArray[np.float32] | None:
        """Return depth, or None and a count: an image without depth is still worth something."""
        try:
            depth_m = depth_from_message(message, max_pixels=self._config.max_image_pixels)
            if depth_m.shape != shape:
                raise DropError(
                    'depth_size', f'depth has shape {depth_m.shape}, its image {shape}'
                )
        except DropError as err:
            self._inputs.intake.drop(err.reason, str(err))
            return None
        return depth_m
