"""7-Scenes folders: frame-NNNNNN.color, .depth and .pose files of one sequence.

Shotton et al., "Scene coordinate regression forests for camera relocalization", CVPR 2013.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from pathlib import Path

from s3e_gnn_ros.data.camera_file import find_camera_file
from s3e_gnn_ros.data.folder_recording import FolderContent, FolderRecording, FrameFiles
from s3e_gnn_ros.data.options import CameraOverride, RecordingOptions
from s3e_gnn_ros.data.trajectory_file import PoseCollector, read_matrix_pose, read_odometry_file
from s3e_gnn_ros.errors import RecordingError
from s3e_gnn_ros.geometry.trajectory import Trajectory

DEFAULT_CAMERA = CameraOverride(585.0, 585.0, 320.0, 240.0)
DEPTH_SCALE = 0.001
INVALID_DEPTH = 65535
FRAME_RATE_HZ = 30
_COLOUR = re.compile(r'frame-(\d+)\.color\.(?:jpg|jpeg|png)')


def is_seven_scenes(folder: Path) -> bool:
    """Tell whether a folder is a sequence of 7-Scenes."""
    return any(_COLOUR.fullmatch(path.name) for path in folder.glob('frame-*.color.*'))


def sequences(folder: Path) -> list[str]:
    """Return the names of the sequences below a scene's folder."""
    return sorted(path.name for path in folder.glob('seq-*') if is_seven_scenes(path))


def open_seven_scenes(folder: Path, options: RecordingOptions) -> FolderRecording:
    """Open one sequence; stamps are frame numbers at 30 Hz, poses are T_world_camera.

    Raises:
        RecordingError: there is no frame, or the camera file holds no camera.
    """
    drops: Counter[str] = Counter()
    notes: list[str] = []
    colour = _numbered(folder)
    has_depth = any(_sibling(path, 'depth.png').is_file() for _, path in colour)
    files = [
        FrameFiles(_stamp_ns(number), path, _sibling(path, 'depth.png') if has_depth else None)
        for number, path in colour
    ]
    camera = options.camera or find_camera_file(folder) or find_camera_file(folder.parent)
    if camera is None:
        notes.append(f"'{folder.name}' has no camera-intrinsics.txt: 585 px are assumed")
    resolved = folder.resolve()
    is_sequence = resolved.name.startswith('seq-')
    content = FolderContent(
        name=f'{resolved.parent.name}/{resolved.name}' if is_sequence else resolved.name,
        files=files,
        camera=camera or DEFAULT_CAMERA,
        depth_scale=options.depth_scale or DEPTH_SCALE,
        invalid_depth=INVALID_DEPTH,
        odometry=read_odometry_file(options, drops),
        ground_truth=_ground_truth(colour, drops),
        max_gap_s=options.max_odometry_gap_s,
        notes=notes,
        drops=drops,
    )
    return FolderRecording(content)


def _numbered(folder: Path) -> list[tuple[int, Path]]:
    matches = [(_COLOUR.fullmatch(path.name), path) for path in folder.iterdir()]
    numbered = sorted((int(match[1]), path) for match, path in matches if match)
    for (number, path), (following, other) in itertools.pairwise(numbered):
        if number == following:
            raise RecordingError(f"'{path.name}' and '{other.name}' are the same frame")
    return numbered


def _stamp_ns(number: int) -> int:
    return number * 1_000_000_000 // FRAME_RATE_HZ


def _sibling(colour: Path, suffix: str) -> Path:
    return colour.with_name(f'{colour.name.split(".")[0]}.{suffix}')


def _ground_truth(colour: list[tuple[int, Path]], drops: Counter[str]) -> Trajectory | None:
    poses = PoseCollector('ground_truth_pose', drops)
    for number, path in colour:
        file = _sibling(path, 'pose.txt')
        if file.is_file():
            with poses.counting():
                poses.add(_stamp_ns(number), read_matrix_pose(file))
    return poses.trajectory()
