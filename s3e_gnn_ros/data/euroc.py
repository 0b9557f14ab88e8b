"""EuRoC folders in ASL layout: mav0/cam0, mav0/state_groundtruth_estimate0.

Burri et al., "The EuRoC micro aerial vehicle datasets", IJRR 2016.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from s3e_gnn_ros.data.folder_recording import (
    FolderContent,
    FolderRecording,
    FrameFiles,
    listed_image,
)
from s3e_gnn_ros.data.options import CameraOverride, RecordingOptions
from s3e_gnn_ros.data.trajectory_file import (
    moved,
    nanoseconds,
    read_euroc_trajectory,
    read_odometry_file,
    read_text,
    table_rows,
)
from s3e_gnn_ros.errors import DropError, InputError, RecordingError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.plain_data import parse_yaml

_MODELS = {'radial-tangential': 'plumb_bob', 'radtan': 'plumb_bob', 'equidistant': 'equidistant'}


def is_euroc(folder: Path) -> bool:
    """Tell whether a folder, or its ``mav0``, has the ASL layout."""
    return any((root / 'cam0' / 'data.csv').is_file() for root in (folder, folder / 'mav0'))


def open_euroc(folder: Path, options: RecordingOptions) -> FolderRecording:
    """Open the left camera; there is no depth.

    Raises:
        RecordingError: a file is missing or holds something else, or there is no frame.
    """
    root = folder / 'mav0' if (folder / 'mav0').is_dir() else folder
    drops: Counter[str] = Counter()
    notes: list[str] = []
    sensor = root / 'cam0' / 'sensor.yaml'
    settings = _settings(sensor)
    T_body_camera = options.T_body_camera
    if T_body_camera is None:
        T_body_camera = _extrinsics(settings, sensor)
    poses = root / 'state_groundtruth_estimate0' / 'data.csv'
    ground_truth = None
    if poses.is_file():
        T_world_body = read_euroc_trajectory(poses, 'ground_truth_pose', drops)
        ground_truth = moved(T_world_body, T_body_camera)
    content = FolderContent(
        name=(root.resolve().parent if root.resolve().name == 'mav0' else root.resolve()).name,
        files=_frame_files(root / 'cam0', drops),
        camera=options.camera or _camera(settings, sensor),
        depth_scale=1.0,
        invalid_depth=None,
        odometry=read_odometry_file(options, drops),
        ground_truth=ground_truth,
        max_gap_s=options.max_odometry_gap_s,
        notes=notes,
        drops=drops,
    )
    return FolderRecording(content)


def _frame_files(camera: Path, drops: Counter[str]) -> list[FrameFiles]:
    files = []
    for row in table_rows(camera / 'data.csv', ','):
        try:
            if len(row) < 2:
                raise DropError('image_list', f"line of '{camera}/data.csv' lacks stamp or file")
            image = listed_image(camera / 'data', row[1])
            files.append(FrameFiles(nanoseconds(row[0]), image))
        except DropError as err:
            drops[err.reason] += 1
    return files


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = parse_yaml(read_text(path))
    except ValueError as err:
        raise RecordingError(f"'{path}' is no YAML file: {err}") from err
    if not isinstance(settings, dict):
        raise RecordingError(f"'{path}' holds no settings of a camera")
    return settings


def _extrinsics(settings: dict[str, Any], path: Path) -> se3.Pose:
    try:
        values = np.asarray(settings['T_BS']['data'], dtype=np.float64).reshape(4, 4)
        return se3.check_pose(values, 'T_BS')
    except (KeyError, TypeError, ValueError, InputError) as err:
        raise RecordingError(f"'{path}' holds no valid T_BS: {err}") from err


def _camera(settings: dict[str, Any], path: Path) -> PinholeCamera | CameraOverride:
    try:
        width, height = (int(value) for value in settings['resolution'])
        fx, fy, cx, cy = (float(value) for value in settings['intrinsics'])
        coefficients = tuple(float(value) for value in settings['distortion_coefficients'])
        name = settings['distortion_model']
        model = _MODELS.get(name, str(name))
        distortion = coefficients if any(coefficients) else ()
        return PinholeCamera(width, height, fx, fy, cx, cy, distortion, model)
    except (KeyError, TypeError, ValueError, InputError) as err:
        raise RecordingError(f"'{path}' holds no valid camera: {err}") from err
