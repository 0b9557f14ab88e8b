"""What a user may say about a recording that its files leave open."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from s3e_gnn_ros.errors import ConfigError, InputError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose, pose_from_quat


@dataclass(frozen=True)
class CameraOverride:
    """Intrinsics that replace those of the recording; the image's size comes from the image.

    Attributes:
        fx: focal length in x [px].
        fy: focal length in y [px].
        cx: principal point x [px].
        cy: principal point y [px].
        distortion: coefficients of OpenCV's model (k1, k2, p1, p2, k3); empty without.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no camera."""
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not all(math.isfinite(value) for value in values) or self.fx <= 0 or self.fy <= 0:
            raise ConfigError(f'camera {values} needs finite values and focal lengths above 0')
        if len(self.distortion) not in (0, 4, 5, 8):
            raise ConfigError(
                f'camera has {len(self.distortion)} distortion coefficients '
                'instead of none, 4, 5 or 8'
            )

    def camera(self, width: int, height: int) -> PinholeCamera:
        """Return the camera of images of this size [px]."""
        model = 'rational_polynomial' if len(self.distortion) == 8 else 'plumb_bob'
        return PinholeCamera(
            width, height, self.fx, self.fy, self.cx, self.cy, self.distortion, model
        )


def parse_camera(text: str) -> CameraOverride:
    """Read ``fx,fy,cx,cy[,k1,k2,p1,p2[,k3]]``.

    Raises:
        ConfigError: no such list of numbers.
    """
    try:
        values = [float(part) for part in text.split(',')]
    except ValueError as err:
        raise ConfigError(f"camera '{text}' is no list of numbers fx,fy,cx,cy") from err
    if len(values) < 4:
        raise ConfigError(f"camera '{text}' has {len(values)} values instead of fx,fy,cx,cy")
    fx, fy, cx, cy = values[:4]
    return CameraOverride(fx, fy, cx, cy, tuple(values[4:]))


def parse_pose(text: str) -> Pose:
    """Read ``x,y,z,qx,qy,qz,qw`` [m] into a pose (4, 4).

    Raises:
        ConfigError: no such list of numbers, or no unit quaternion.
    """
    try:
        values = [float(part) for part in text.split(',')]
    except ValueError as err:
        raise ConfigError(f"pose '{text}' is no list of numbers x,y,z,qx,qy,qz,qw") from err
    if len(values) != 7:
        raise ConfigError(f"pose '{text}' has {len(values)} values instead of x,y,z,qx,qy,qz,qw")
    try:
        return pose_from_quat(values[:3], values[3:])
    except InputError as err:
        raise ConfigError(f"pose '{text}': {err}") from err


@dataclass(frozen=True, eq=False)
class RecordingOptions:
    """Choices for :func:`open_recording`; None and '' leave them to the recording.

    Attributes:
        image_topic: of a bag, sensor_msgs/Image or CompressedImage.
        depth_topic: of a bag, aligned to the image; 'none' ignores depth.
        camera_info_topic: of a bag.
        odometry_topic: of a bag, any pose message; 'none' ignores odometry.
        ground_truth_topic: of a bag, any pose message; 'none' ignores ground truth.
        odometry_file: poses in TUM format (stamp [s], x, y, z, qx, qy, qz, qw) that take the
            place of the recording's odometry.
        T_body_camera: pose (4, 4) of the optical frame in the frame that the poses are of.
        camera: intrinsics in place of the recording's.
        depth_scale: metres per unit of depth images in place of the recording's.
        sync_slop_s: stamps of one frame differ by less [s].
        sync_queue_size: messages per topic that wait for their partners.
        max_odometry_gap_s: poses are not interpolated over a larger gap [s].

    Raises:
        ConfigError: a number is out of range.
    """

    image_topic: str = ''
    depth_topic: str = ''
    camera_info_topic: str = ''
    odometry_topic: str = ''
    ground_truth_topic: str = ''
    odometry_file: Path | None = None
    T_body_camera: Pose | None = None
    camera: CameraOverride | None = None
    depth_scale: float | None = None
    sync_slop_s: float = 0.02
    sync_queue_size: int = 60
    max_odometry_gap_s: float = 0.5

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ('depth_scale', 'sync_slop_s', 'sync_queue_size', 'max_odometry_gap_s'):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ConfigError(f'{name} is {value} instead of more than 0')
