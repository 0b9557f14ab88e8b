"""Short synthetic recordings, as frames and as bags of any messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation

from s3e_gnn_ros.data import bag_messages
from s3e_gnn_ros.data.bag_messages import header_message, message_types
from s3e_gnn_ros.data.bag_writer import BagWriter
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import make_pose
from s3e_gnn_ros.types import Frame

CAMERA = PinholeCamera(64, 48, 50.0, 51.0, 31.5, 23.5)
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000

LoggedMessages = Iterable[tuple[str, int, Any]]


def make_frame(number: int, **changes: Any) -> Frame:
    """Return frame ``number`` of a curve; its images and poses all differ."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    depth_m = (rng.integers(500, 4000, (48, 64)) * 0.001).astype(np.float32)
    depth_m[:5] = 0.0
    R = Rotation.from_euler('yx', [5.0 * number, number], degrees=True).as_matrix()
    T = make_pose(R, [0.1 * number, 0.02 * number**2, 0.3])
    values = {
        'stamp_ns': START_NS + number * STEP_NS,
        'image': cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_LINEAR),
        'camera': CAMERA,
        'depth_m': depth_m,
        'T_odom_camera': T,
        'T_world_camera': make_pose(R, T[:3, 3] + [1.0, 2.0, 3.0]),
    }
    return Frame(**{**values, **changes})


@pytest.fixture
def frames() -> list[Frame]:
    """Five frames at 10 Hz with depth, odometry and ground truth."""
    return [make_frame(number) for number in range(5)]


def write_frames(path: Path, frames: Iterable[Frame], **options: Any) -> Path:
    """Write frames with their poses to a bag."""
    with BagWriter(path, **options) as writer:
        for frame in frames:
            writer.write_frame(frame)
            if frame.T_odom_camera is not None:
                writer.write_odometry(frame.stamp_ns, frame.T_odom_camera)
            if frame.T_world_camera is not None:
                writer.write_ground_truth(frame.stamp_ns, frame.T_world_camera)
    return path


def write_messages(path: Path, messages: LoggedMessages, storage: str = 'mcap') -> Path:
    """Write any messages, good or bad, to a bag: (topic, log time [ns], message)."""
    plugin = StoragePlugin[storage.upper()]
    connections: dict[str, Any] = {}
    with Writer(path, version=8, storage_plugin=plugin) as writer:
        for topic, log_ns, message in messages:
            name = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, name, typestore=message_types())
            data = message_types().serialize_cdr(message, name)
            writer.write(connections[topic], log_ns, data)
    return path


def frame_messages(frame: Frame, **images: Any) -> LoggedMessages:
    """Return a frame as messages; ``image``, ``depth``, ``info`` and ``odometry`` replace one."""
    header = header_message(frame.stamp_ns, 'camera_color_optical_frame')
    odom = header_message(frame.stamp_ns, 'odom')
    made = {
        'info': bag_messages.camera_info_message(header, frame.camera),
        'image': bag_messages.image_message(header, frame.image, 'bgr8'),
        'depth': bag_messages.image_message(
            header, bag_messages.depth_to_mm(frame.depth_m), '16UC1'
        ),
        'odometry': bag_messages.odometry_message(
            odom, 'camera_color_optical_frame', frame.T_odom_camera
        ),
    }
    topics = {
        'info': '/camera/color/camera_info',
        'image': '/camera/color/image_raw',
        'depth': '/camera/aligned_depth_to_color/image_raw',
        'odometry': '/odometry',
    }
    for name, message in {**made, **images}.items():
        if message is not None:
            yield topics[name], frame.stamp_ns, message


@pytest.fixture
def synthetic() -> SimpleNamespace:
    """The functions and constants of this file."""
    return SimpleNamespace(
        frame=make_frame,
        frame_messages=frame_messages,
        write_frames=write_frames,
        write_messages=write_messages,
        camera=CAMERA,
        start_ns=START_NS,
        step_ns=STEP_NS,
    )


@pytest.fixture
def bag_of(tmp_path: Path) -> Callable[[LoggedMessages], Path]:
    """Write messages to a bag in a temporary folder."""
    return lambda messages: write_messages(tmp_path / 'bag', messages)
