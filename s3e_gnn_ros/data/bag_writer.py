"""Write a rosbag2 that ``ros2 bag play`` and every reader of rosbag2 understand."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

from numpy.typing import ArrayLike
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer, WriterError

from s3e_gnn_ros import __version__
from s3e_gnn_ros.data import bag_messages
from s3e_gnn_ros.errors import InputError, RecordingError
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.types import Frame

STORAGES = ('mcap', 'sqlite3')
IMAGE_TRANSPORTS = ('raw', 'compressed')
# The metadata version that Humble reads and that later distributions still read.
METADATA_VERSION: Final = 8
_FOREVER = QosTime(9223372036, 854775807)
_RELIABLE = Qos(
    history=QosHistory.KEEP_LAST,
    depth=10,
    reliability=QosReliability.RELIABLE,
    durability=QosDurability.VOLATILE,
    deadline=_FOREVER,
    lifespan=_FOREVER,
    liveliness=QosLiveliness.AUTOMATIC,
    liveliness_lease_duration=_FOREVER,
    avoid_ros_namespace_conventions=False,
)


@dataclass(frozen=True)
class BagLayout:
    """Topics and frames of a bag; the defaults are those of a D455 under ROS 2.

    Attributes:
        image: colour or grey image; ``/compressed`` is appended for that transport.
        depth: aligned depth; ``/compressedDepth`` is appended for that transport.
        camera_info: intrinsics of both.
        odometry: pose of the camera in ``odom_frame``.
        ground_truth: true pose of the camera in ``world_frame``.
        imu: angular velocity and acceleration in ``imu_frame``.
        camera_frame: optical frame of the camera.
        imu_frame: frame of the IMU.
        odom_frame: frame in which odometry drifts.
        world_frame: frame of the ground truth.
    """

    image: str = '/camera/color/image_raw'
    depth: str = '/camera/aligned_depth_to_color/image_raw'
    camera_info: str = '/camera/color/camera_info'
    odometry: str = '/odometry'
    ground_truth: str = '/ground_truth'
    imu: str = '/camera/imu'
    camera_frame: str = 'camera_color_optical_frame'
    imu_frame: str = 'camera_imu_optical_frame'
    odom_frame: str = 'odom'
    world_frame: str = 'world'


class BagWriter:
    """A rosbag2 folder that appears under its name only when it is complete.

    Use it as a context manager: leaving it normally renames the finished bag to ``path``;
    leaving it by an exception (Ctrl-C too) deletes what was written. Messages are logged at
    their stamp, in the order of the calls, so call in order of stamps; within one topic stamps
    must increase. A topic exists in the bag from its first message on.

    Args:
        path: folder of the bag; its parents are made.
        storage: one of ``STORAGES``.
        image_transport: one of ``IMAGE_TRANSPORTS``; 'compressed' is jpeg and 16-bit png.
        layout: names of topics and frames.
        overwrite: replace a bag that is there already.

    Raises:
        RecordingError: on entering, when ``path`` exists and may not be replaced, or its parent
            cannot be written; on leaving, when nothing was written.
    """

    def __init__(
        self,
        path: Path,
        *,
        storage: str = 'mcap',
        image_transport: str = 'raw',
        layout: BagLayout | None = None,
        overwrite: bool = False,
    ) -> None:
        """Check the options; nothing is written yet."""
        if storage not in STORAGES:
            raise InputError(f"bag storage is '{storage}' instead of one of {', '.join(STORAGES)}")
        if image_transport not in IMAGE_TRANSPORTS:
            known = ', '.join(IMAGE_TRANSPORTS)
            raise InputError(f"image transport is '{image_transport}' instead of one of {known}")
        self.path = path
        self.layout = BagLayout() if layout is None else layout
        self._storage = StoragePlugin[storage.upper()]
        self._is_compressed = image_transport == 'compressed'
        self._overwrite = overwrite
        self._connections: dict[str, Connection] = {}
        self._last_stamp_ns: dict[str, int] = {}
        self._part: Path | None = None
        self._writer: Writer | None = None

    def __enter__(self) -> BagWriter:
        """Open the bag under a temporary name beside its final one."""
        check_bag_target(self.path, overwrite=self._overwrite)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._part = Path(tempfile.mkdtemp(prefix='.partial_bag_', dir=self.path.parent))
            # The storage file is named after its folder, hence a temporary parent for it.
            writer = Writer(
                self._part / self.path.name,
                version=METADATA_VERSION,
                storage_plugin=self._storage,
            )
            # Some versions of rosbag2 cannot read an empty custom_data.
            writer.set_custom_data('written_by', f's3e_gnn_ros {__version__}')
            writer.open()
        except (OSError, WriterError) as err:
            self._discard()
            raise RecordingError(f"cannot write bag '{self.path}': {err}") from err
        self._writer = writer
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the bag its name, or delete it after an exception."""
        writer, self._writer = self._writer, None
        assert writer is not None
        try:
            if exc_type is None:
                self._finish(writer)
        except (OSError, WriterError) as err:
            raise RecordingError(f"cannot finish bag '{self.path}': {err}") from err
        finally:
            with suppress(Exception):
                writer.abort()  # closes the file of a bag that was not finished
            self._discard()

    def write_frame(self, frame: Frame) -> None:
        """Write image, camera_info and depth; poses are written by their own methods.

        Raises:
            InputError: its stamp does not follow that of the frame before.
        """
        header = bag_messages.header_message(frame.stamp_ns, self.layout.camera_frame)
        info = bag_messages.camera_info_message(header, frame.camera)
        self._write(self.layout.camera_info, frame.stamp_ns, info)
        encoding = 'bgr8' if frame.image.ndim == 3 else 'mono8'
        if self._is_compressed:
            image = bag_messages.jpeg_message(header, frame.image, encoding)
            self._write(f'{self.layout.image}/compressed', frame.stamp_ns, image)
        else:
            image = bag_messages.image_message(header, frame.image, encoding)
            self._write(self.layout.image, frame.stamp_ns, image)
        if frame.depth_m is None:
            return
        depth_mm = bag_messages.depth_to_mm(frame.depth_m)
        if self._is_compressed:
            depth = bag_messages.compressed_depth_message(header, depth_mm)
            self._write(f'{self.layout.depth}/compressedDepth', frame.stamp_ns, depth)
        else:
            depth = bag_messages.image_message(header, depth_mm, '16UC1')
            self._write(self.layout.depth, frame.stamp_ns, depth)

    def write_odometry(self, stamp_ns: int, T_odom_camera: Pose) -> None:
        """Write the drifting pose (4, 4) of the camera's optical frame.

        Raises:
            InputError: the stamp does not follow the last one, or the pose is not finite.
        """
        self._write_pose(self.layout.odometry, self.layout.odom_frame, stamp_ns, T_odom_camera)

    def write_ground_truth(self, stamp_ns: int, T_world_camera: Pose) -> None:
        """Write the true pose (4, 4) of the camera's optical frame.

        Raises:
            InputError: the stamp does not follow the last one, or the pose is not finite.
        """
        self._write_pose(
            self.layout.ground_truth, self.layout.world_frame, stamp_ns, T_world_camera
        )

    def write_imu(
        self, stamp_ns: int, angular_velocity: ArrayLike, linear_acceleration: ArrayLike
    ) -> None:
        """Write one IMU sample: (3,) [rad/s] and (3,) [m/s^2] in the IMU's frame.

        Raises:
            InputError: the stamp does not follow the last one.
        """
        header = bag_messages.header_message(stamp_ns, self.layout.imu_frame)
        message = bag_messages.imu_message(header, angular_velocity, linear_acceleration)
        self._write(self.layout.imu, stamp_ns, message)

    def _write_pose(self, topic: str, frame_id: str, stamp_ns: int, T: Pose) -> None:
        header = bag_messages.header_message(stamp_ns, frame_id)
        message = bag_messages.odometry_message(header, self.layout.camera_frame, T)
        self._write(topic, stamp_ns, message)

    def _write(self, topic: str, stamp_ns: int, message: bag_messages.Message) -> None:
        assert self._writer is not None, 'use BagWriter as a context manager'
        last_ns = self._last_stamp_ns.get(topic)
        if stamp_ns < 0 or (last_ns is not None and stamp_ns <= last_ns):
            raise InputError(f'stamp {stamp_ns} ns on {topic} does not follow {last_ns} ns')
        types = bag_messages.message_types()
        name = message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, name, typestore=types, offered_qos_profiles=[_RELIABLE]
            )
        data = types.serialize_cdr(message, name)
        self._writer.write(self._connections[topic], stamp_ns, data)
        self._last_stamp_ns[topic] = stamp_ns

    def _finish(self, writer: Writer) -> None:
        if not self._connections:
            raise RecordingError(f"nothing was written to bag '{self.path}'")
        writer.close()
        self._rename()

    def _rename(self) -> None:
        assert self._part is not None
        old = self._part / '.replaced'
        if self.path.exists():
            self.path.rename(old)
        try:
            (self._part / self.path.name).rename(self.path)
        except BaseException:  # Ctrl-C too: the bag that was there must not be lost
            if old.exists():
                old.rename(self.path)
            raise

    def _discard(self) -> None:
        if self._part is not None:
            shutil.rmtree(self._part, ignore_errors=True)


def check_bag_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a path that holds something, unless it is a bag that may be replaced.

    Raises:
        RecordingError: ``path`` exists and is not a bag, or may not be replaced.
    """
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise RecordingError(f"'{path}' exists already; give --overwrite to replace it")
    is_bag = path.is_dir() and not path.is_symlink() and (path / 'metadata.yaml').is_file()
    if not is_bag:
        raise RecordingError(f"'{path}' exists and is no bag, so it is not replaced")
