"""TUM RGB-D folders: rgb.txt, depth.txt, groundtruth.txt.

Sturm et al., "A benchmark for the evaluation of RGB-D SLAM systems", IROS 2012.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data.camera_file import find_camera_file
from s3e_gnn_ros.data.folder_recording import (
    FolderContent,
    FolderRecording,
    FrameFiles,
    listed_image,
)
from s3e_gnn_ros.data.options import CameraOverride, RecordingOptions
from s3e_gnn_ros.data.trajectory_file import (
    read_odometry_file,
    read_tum_trajectory,
    seconds_to_ns,
    table_rows,
)
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.trajectory import Trajectory

DEPTH_SCALE = 1 / 5000
# The benchmark's own calibration; freiburg3's images are rectified already.
CAMERAS = {
    'freiburg1': CameraOverride(
        517.3, 516.5, 318.6, 255.3, (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
    ),
    'freiburg2': CameraOverride(
        520.9, 521.0, 325.1, 249.7, (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)
    ),
    'freiburg3': CameraOverride(535.4, 539.2, 320.1, 247.6),
}
DEFAULT_CAMERA = CameraOverride(525.0, 525.0, 319.5, 239.5)


def is_tum(folder: Path) -> bool:
    """Tell whether a folder has TUM's layout."""
    return (folder / 'rgb.txt').is_file()


def open_tum(folder: Path, options: RecordingOptions) -> FolderRecording:
    """Open a TUM RGB-D folder; ``depth.txt`` and ``groundtruth.txt`` may be missing.

    Colour images without depth within the slop are left out (``unsynchronised``).

    Raises:
        RecordingError: a list cannot be read, or there is no frame.
    """
    drops: Counter[str] = Counter()
    notes: list[str] = []
    files = _frame_files(folder, options.sync_slop_s, drops)
    ground_truth: Trajectory | None = None
    if (folder / 'groundtruth.txt').is_file():
        ground_truth = read_tum_trajectory(folder / 'groundtruth.txt', 'ground_truth_pose', drops)
    content = FolderContent(
        name=folder.resolve().name,
        files=files,
        camera=options.camera or _camera(folder, notes),
        depth_scale=options.depth_scale or DEPTH_SCALE,
        invalid_depth=None,
        odometry=read_odometry_file(options, drops),
        ground_truth=ground_truth,
        max_gap_s=options.max_odometry_gap_s,
        notes=notes,
        drops=drops,
    )
    return FolderRecording(content)


def _camera(folder: Path, notes: list[str]) -> CameraOverride:
    from_file = find_camera_file(folder)
    if from_file is not None:
        return from_file
    name = folder.resolve().name.lower()
    for key, camera in CAMERAS.items():
        if key in name or key.replace('freiburg', 'fr') + '_' in name:
            return camera
    notes.append(
        f"'{folder.name}' names no freiburg camera and has no camera file: "
        'fx = fy = 525, cx = 319.5, cy = 239.5 are assumed'
    )
    return DEFAULT_CAMERA


def _frame_files(folder: Path, slop_s: float, drops: Counter[str]) -> list[FrameFiles]:
    colour = _image_list(folder, 'rgb.txt', drops)
    if not (folder / 'depth.txt').is_file():
        return [FrameFiles(stamp_ns, path) for stamp_ns, path in colour]
    depth = _image_list(folder, 'depth.txt', drops)
    partners = associate(
        np.array([stamp for stamp, _ in colour], dtype=np.int64),
        np.array([stamp for stamp, _ in depth], dtype=np.int64),
        int(slop_s * 1e9),
    )
    if (partners < 0).any():
        drops['unsynchronised'] += int((partners < 0).sum())
    pairs = zip(colour, partners.tolist(), strict=True)
    return [FrameFiles(stamp, path, depth[i][1]) for (stamp, path), i in pairs if i >= 0]


def associate(
    stamps_ns: NDArray[np.int64], others_ns: NDArray[np.int64], slop_ns: int
) -> NDArray[np.int64]:
    """Pair stamps (N,) with others (M,) as the benchmark's tool does: the nearest pair first.

    Returns:
        (N,) index into the others, each at most once; -1 where none lies within the slop.
    """
    order = np.argsort(others_ns, kind='stable')
    others = others_ns[order]
    first = np.searchsorted(others, stamps_ns - slop_ns, side='left')
    last = np.searchsorted(others, stamps_ns + slop_ns, side='right')
    count = last - first
    ours = np.repeat(np.arange(len(stamps_ns)), count)  # every pair within the slop
    offset = np.arange(len(ours)) - np.repeat(np.cumsum(count) - count, count)
    theirs = order[np.repeat(first, count) + offset]
    nearest_first = np.argsort(np.abs(stamps_ns[ours] - others_ns[theirs]), kind='stable')
    partners = np.full(len(stamps_ns), -1, dtype=np.int64)
    is_taken = np.zeros(len(others_ns), dtype=bool)
    for i, j in zip(ours[nearest_first].tolist(), theirs[nearest_first].tolist(), strict=True):
        if partners[i] < 0 and not is_taken[j]:
            partners[i] = j
            is_taken[j] = True
    return partners


def _image_list(folder: Path, name: str, drops: Counter[str]) -> list[tuple[int, Path]]:
    images = []
    for row in table_rows(folder / name):
        try:
            if len(row) < 2:
                raise DropError('image_list', f"line of '{name}' lacks stamp or file")
            images.append((seconds_to_ns(row[0]), listed_image(folder, row[1])))
        except DropError as err:
            drops[err.reason] += 1
    return images
