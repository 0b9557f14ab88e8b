"""Which topics of a bag are the image, the depth, the camera, the odometry, the truth."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from s3e_gnn_ros.data.messages import COLOUR_ENCODINGS, GREY_ENCODINGS
from s3e_gnn_ros.data.options import RecordingOptions
from s3e_gnn_ros.errors import RecordingError

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
CAMERA_INFO_TYPES = ('sensor_msgs/msg/CameraInfo',)
ODOMETRY_TYPES = (
    'nav_msgs/msg/Odometry',
    'geometry_msgs/msg/PoseWithCovarianceStamped',
    'geometry_msgs/msg/PoseStamped',
)
GROUND_TRUTH_TYPES = (*ODOMETRY_TYPES, 'geometry_msgs/msg/TransformStamped')
NONE = 'none'

_GROUND_TRUTH_NAME = re.compile(
    r'ground_?truth|(^|[/_])gt([/_]|$)|mocap|vicon|optitrack|leica', re.IGNORECASE
)
_INFRARED_NAME = re.compile(r'infra|(^|[/_])ir([/_0-9]|$)', re.IGNORECASE)
# Images other programs draw for people to look at.
_DRAWN_NAME = re.compile(r'debug|match|track|overlay|feature|visual|result|annotated|mask')
# Poses that are no stream of odometry: goals, extrinsics, single corrections, keyframes.
_NO_STREAM_NAME = re.compile(r'goal|initialpose|extrinsic|relo|keyframe|landmark|tag|marker')


@dataclass(frozen=True)
class Topic:
    """A topic of a bag, and what its first message says.

    Attributes:
        name: with the leading slash.
        msgtype: full type name.
        num_messages: how many there are.
        encoding: of an Image; the format of a CompressedImage; empty otherwise.
        frame_id: of its header.
        child_frame_id: of odometry and transforms; empty otherwise.
        size: width and height of an Image or CameraInfo; (0, 0) otherwise.
    """

    name: str
    msgtype: str
    num_messages: int
    encoding: str = ''
    frame_id: str = ''
    child_frame_id: str = ''
    size: tuple[int, int] = (0, 0)

    @property
    def namespace(self) -> str:
        """The name without the transport and without its last part."""
        base = re.sub(r'/(compressed|compressedDepth)$', '', self.name)
        return base.rpartition('/')[0]

    @property
    def is_depth(self) -> bool:
        """Whether it holds depth images, by encoding."""
        if self.msgtype not in IMAGE_TYPES or _INFRARED_NAME.search(self.name):
            return False
        is_depth_encoding = self.encoding in ('16UC1', '32FC1')
        is_named_depth = self.encoding == 'mono16' and 'depth' in self.name
        return is_depth_encoding or is_named_depth or 'compressedDepth' in self.encoding

    @property
    def is_image(self) -> bool:
        """Whether it holds colour or grey images."""
        if self.msgtype not in IMAGE_TYPES or self.is_depth:
            return False
        if self.msgtype == IMAGE_TYPES[1]:
            return not self.encoding.startswith(('16UC1', '32FC1'))
        return self.encoding in GREY_ENCODINGS | COLOUR_ENCODINGS

    @property
    def is_ground_truth(self) -> bool:
        """Whether its name says that it is the truth."""
        return _GROUND_TRUTH_NAME.search(self.name) is not None


@dataclass(frozen=True)
class ChosenTopics:
    """One topic for each purpose; None where the bag has none.

    Attributes:
        image: colour or grey image.
        depth: depth aligned to it.
        camera_info: its intrinsics.
        odometry: poses that drift.
        ground_truth: true poses.
        notes: choices among several, as sentences.
    """

    image: Topic
    depth: Topic | None
    camera_info: Topic | None
    odometry: Topic | None
    ground_truth: Topic | None
    notes: tuple[str, ...]


def choose_topics(topics: Iterable[Topic], options: RecordingOptions) -> ChosenTopics:
    """Choose by type, encoding and name; names in the options come first.

    Raises:
        RecordingError: a topic that was named is not there, or there is no image, or no
            camera_info; the message lists the topics there are.
    """
    return _Chooser(list(topics)).choose(options)


class _Chooser:
    def __init__(self, topics: list[Topic]) -> None:
        self._topics = sorted(topics, key=lambda topic: topic.name)
        self._notes: list[str] = []

    def choose(self, options: RecordingOptions) -> ChosenTopics:
        image = self._pick(
            'image',
            options.image_topic,
            IMAGE_TYPES,
            lambda topic: topic.is_image,
            self._rank_image,
        )
        if image is None:
            raise RecordingError(f'bag has no image topic; {self._listing(IMAGE_TYPES)}')
        depth = self._pick(
            'depth',
            options.depth_topic,
            IMAGE_TYPES,
            lambda topic: topic.is_depth,
            lambda topic: _rank_depth(topic, image),
        )
        camera_info = self._pick(
            'camera_info',
            options.camera_info_topic,
            CAMERA_INFO_TYPES,
            lambda topic: topic.namespace == image.namespace or self._is_only(topic),
            lambda topic: (topic.namespace == image.namespace,),
        )
        if camera_info is None and options.camera is None:
            raise RecordingError(
                f'bag has no camera_info beside {image.name}: name its topic or give the '
                f'camera; {self._listing(CAMERA_INFO_TYPES)}'
            )
        return ChosenTopics(
            image, depth, camera_info, *self._choose_poses(options), tuple(self._notes)
        )

    def _choose_poses(self, options: RecordingOptions) -> tuple[Topic | None, Topic | None]:
        odometry = self._pick(
            'odometry',
            options.odometry_topic,
            GROUND_TRUTH_TYPES,
            lambda topic: topic.msgtype in ODOMETRY_TYPES and not topic.is_ground_truth,
            _rank_odometry,
        )
        ground_truth = self._pick(
            'ground_truth',
            options.ground_truth_topic,
            GROUND_TRUTH_TYPES,
            lambda topic: topic.is_ground_truth,
            _rank_odometry,
        )
        return odometry, ground_truth

    def _pick(
        self,
        purpose: str,
        named: str,
        types: tuple[str, ...],
        is_fit: Callable[[Topic], bool],
        rank: Callable[[Topic], tuple[float, ...]],
    ) -> Topic | None:
        """Return the topic that was named, else the best that fits; the first name on a tie."""
        if named == NONE:
            return None
        of_type = [topic for topic in self._topics if topic.msgtype in types]
        if named:
            for topic in of_type:
                if topic.name.lstrip('/') == named.lstrip('/'):
                    return topic
            raise RecordingError(f"bag has no {purpose} topic '{named}'; {self._listing(types)}")
        fit = [topic for topic in of_type if is_fit(topic)]
        if not fit:
            return None
        best = max(fit, key=rank)
        if len(fit) > 1:
            others = ', '.join(topic.name for topic in fit if topic is not best)
            self._notes.append(f'{purpose} topic is {best.name}, chosen before {others}')
        return best

    def _rank_image(self, topic: Topic) -> tuple[float, ...]:
        has_camera = any(
            other.msgtype in CAMERA_INFO_TYPES and other.namespace == topic.namespace
            for other in self._topics
        )
        return (
            'depth' not in topic.namespace.rpartition('/')[2],  # painted for people
            not _DRAWN_NAME.search(topic.name),
            has_camera,
            not _INFRARED_NAME.search(topic.name),
            topic.msgtype == IMAGE_TYPES[1] or topic.encoding in COLOUR_ENCODINGS,
            'rgb' in topic.name or 'color' in topic.name or 'colour' in topic.name,
            'right' not in topic.name,
            topic.msgtype == IMAGE_TYPES[0],
            topic.num_messages,
        )

    def _is_only(self, topic: Topic) -> bool:
        return [one for one in self._topics if one.msgtype in CAMERA_INFO_TYPES] == [topic]

    def _listing(self, types: tuple[str, ...]) -> str:
        parts = []
        for msgtype in types:
            names = [topic.name for topic in self._topics if topic.msgtype == msgtype]
            parts.append(f'{msgtype}: {", ".join(names) or "none"}')
        return 'there are ' + '; '.join(parts)


def _rank_depth(topic: Topic, image: Topic) -> tuple[float, ...]:
    is_same_size = (0, 0) in (topic.size, image.size) or topic.size == image.size
    return (
        is_same_size,
        'aligned' in topic.name or 'registered' in topic.name or 'align' in topic.name,
        topic.namespace.rpartition('/')[0] == image.namespace.rpartition('/')[0],
        topic.msgtype == IMAGE_TYPES[0],
        topic.num_messages,
    )


def _rank_odometry(topic: Topic) -> tuple[float, ...]:
    return (
        not _NO_STREAM_NAME.search(topic.name),
        -GROUND_TRUTH_TYPES.index(topic.msgtype),
        'odom' in topic.name,
        'propagate' not in topic.name,  # VINS's forward integration of the IMU
        topic.num_messages,
    )
