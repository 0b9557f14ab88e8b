"""Intrinsics from a small text file beside the images."""

from __future__ import annotations

from pathlib import Path

from s3e_gnn_ros.data.options import CameraOverride
from s3e_gnn_ros.data.trajectory_file import table_rows
from s3e_gnn_ros.errors import ConfigError, RecordingError

CAMERA_FILES = ('camera-intrinsics.txt', 'camera.txt')


def find_camera_file(folder: Path) -> CameraOverride | None:
    """Return the intrinsics in a folder's ``camera-intrinsics.txt`` or ``camera.txt``, or None.

    The file holds the 3x3 matrix K, or the numbers fx fy cx cy [k1 k2 p1 p2 [k3]].

    Raises:
        RecordingError: there is such a file, but it holds no camera.
    """
    for name in CAMERA_FILES:
        if (folder / name).is_file():
            return _read(folder / name)
    return None


def _read(path: Path) -> CameraOverride:
    try:
        rows = [[float(value) for value in row] for row in table_rows(path)]
        if [len(row) for row in rows] == [3, 3, 3]:
            return CameraOverride(rows[0][0], rows[1][1], rows[0][2], rows[1][2])
        fx, fy, cx, cy, *distortion = (value for row in rows for value in row)
        return CameraOverride(fx, fy, cx, cy, tuple(distortion))
    except (ValueError, ConfigError) as err:
        raise RecordingError(f"'{path}' holds no camera: {err}") from err
