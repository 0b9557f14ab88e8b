"""Depth images with known poses, reduced to a small grid: what overlap is computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.recording import Recording
from s3e_gnn_ros.errors import ConfigError, InputError, RecordingError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.types import Frame


@dataclass(frozen=True, eq=False)
class DepthView:
    """What one camera measured, and from where.

    Attributes:
        depth_m: (H, W) float32 z-depth; unknown where it is not finite or not above 0.
        camera: intrinsics of ``depth_m``, without distortion.
        T_world_camera: (4, 4) true pose of the optical frame.
        stamp_ns: time of exposure; 0 where it does not matter.

    Raises:
        InputError: the depth has not the camera's size, the camera is distorted, or the pose is
            no rigid transform.
    """

    depth_m: NDArray[np.float32]
    camera: PinholeCamera
    T_world_camera: Pose
    stamp_ns: int = 0

    def __post_init__(self) -> None:
        """Refuse what would be projected wrongly."""
        size = (self.camera.height, self.camera.width)
        if self.depth_m.shape != size:
            raise InputError(f'depth has shape {self.depth_m.shape}, its camera {size}')
        if self.camera.is_distorted:
            raise InputError('a depth view needs a camera without distortion: see depth_view()')
        se3.check_pose(self.T_world_camera, 'T_world_camera of a depth view')


@dataclass(frozen=True)
class ViewOptions:
    """Which frames become views, and what is kept of them.

    Attributes:
        width_px: about how many columns the reduced depth has.
        min_depth_m: depth below this is unknown.
        max_depth_m: depth above this is unknown.
        min_translation_m: a frame is chosen when the camera has moved so far since the last one
        min_rotation_deg: or turned so far.

    Raises:
        ConfigError: a value is out of range.
    """

    width_px: int = 80
    min_depth_m: float = 0.1
    max_depth_m: float = 10.0
    min_translation_m: float = 0.1
    min_rotation_deg: float = 10.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.width_px < 1:
            raise ConfigError(f'width_px is {self.width_px} instead of at least 1')
        if not 0 <= self.min_depth_m < self.max_depth_m:
            raise ConfigError(
                f'depth from {self.min_depth_m} m to {self.max_depth_m} m is no range'
            )
        if not (self.min_translation_m >= 0 and self.min_rotation_deg >= 0):
            raise ConfigError(
                f'keyframes after {self.min_translation_m} m or {self.min_rotation_deg} deg: '
                'neither may be below 0'
            )


def make_depth_views(recording: Recording, options: ViewOptions | None = None) -> list[DepthView]:
    """Choose frames by their true motion and reduce their depth.

    The first frame with depth and true pose is chosen, then each that has moved or turned enough
    since the last chosen one. Frames without either are counted in ``recording.drops`` as
    ``no_ground_truth`` and ``no_depth``.

    Raises:
        RecordingError: no frame has a true pose, or none of those has depth.
    """
    options = options or ViewOptions()
    if recording.ground_truth is None:
        raise RecordingError(
            f"'{recording.name}' holds no ground truth poses, which overlap is computed from"
        )
    views: list[DepthView] = []
    num_posed = 0
    for frame in recording.frames():
        if frame.T_world_camera is None:
            recording.drops['no_ground_truth'] += 1
            continue
        num_posed += 1
        if frame.depth_m is None:
            recording.drops['no_depth'] += 1
        elif not views or _has_moved(views[-1].T_world_camera, frame.T_world_camera, options):
            views.append(depth_view(frame, options))
    if not views:
        lacking = (
            'depth, which overlap is computed from' if num_posed else 'frame with a true pose'
        )
        raise RecordingError(f"'{recording.name}' has no {lacking}")
    return views


def depth_view(frame: Frame, options: ViewOptions | None = None) -> DepthView:
    """Reduce the depth of a frame to every n-th pixel of every n-th row.

    Pixels are picked, never averaged: an average would invent surfaces at edges. For the same
    reason distortion is removed by picking the nearest pixel, into an image of the same
    intrinsics; what that image sees and the distorted one does not is unknown.

    Raises:
        InputError: the frame has no depth or no true pose.
    """
    options = options or ViewOptions()
    if frame.depth_m is None or frame.T_world_camera is None:
        lacking = 'depth' if frame.depth_m is None else 'true pose'
        raise InputError(f'the frame at {frame.stamp_ns} ns has no {lacking}')
    step = max(1, round(frame.camera.width / options.width_px))
    # The middle of each block; a frame narrower than half a block is a block itself.
    start = min(step // 2, frame.camera.width - 1, frame.camera.height - 1)
    camera = _every(frame.camera, start, step)
    if frame.camera.is_distorted:
        depth = _pick_undistorted(frame.depth_m, frame.camera, camera)
    else:
        depth = frame.depth_m[start::step, start::step]
    # Written so that NaN is not in range.
    is_known = (depth >= options.min_depth_m) & (depth <= options.max_depth_m) & (depth > 0)
    known = np.where(is_known, depth, 0.0).astype(np.float32)
    return DepthView(known, camera, frame.T_world_camera, frame.stamp_ns)


def _has_moved(T_world_last: Pose, T_world_camera: Pose, options: ViewOptions) -> bool:
    motion = se3.inverse(T_world_last) @ T_world_camera
    return (
        se3.translation_m(motion) >= options.min_translation_m
        or se3.rotation_angle_deg(motion) >= options.min_rotation_deg
    )


def _every(camera: PinholeCamera, start: int, step: int) -> PinholeCamera:
    """Return the camera of the pixels start, start + step, ... of each axis, undistorted.

    Not ``camera.scaled``: that is the image whose pixels are averages of blocks, and their
    centres lie half a pixel aside when the step is even.
    """
    return PinholeCamera(
        width=len(range(start, camera.width, step)),
        height=len(range(start, camera.height, step)),
        fx=camera.fx / step,
        fy=camera.fy / step,
        cx=(camera.cx - start) / step,
        cy=(camera.cy - start) / step,
    )


def _pick_undistorted(
    depth_m: NDArray[np.float32], distorted: PinholeCamera, camera: PinholeCamera
) -> NDArray[np.float32]:
    """Return the depth (H, W) that ``camera`` sees; z is the same with and without distortion."""
    rows, columns = np.mgrid[: camera.height, : camera.width]
    plane = camera.normalise(np.column_stack([columns.ravel(), rows.ravel()]))
    pixels = np.rint(distorted.project(np.column_stack([plane, np.ones(len(plane))])))
    inside = ((pixels >= 0) & (pixels < (distorted.width, distorted.height))).all(axis=1)
    column, row = pixels[inside].astype(np.intp).T
    picked = np.zeros(len(plane), dtype=np.float32)
    picked[inside] = depth_m[row, column]
    return picked.reshape(camera.height, camera.width)
