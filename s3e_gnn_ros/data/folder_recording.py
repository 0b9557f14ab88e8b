"""A recording whose images are files in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.data import image_codec
from s3e_gnn_ros.data.messages import check_frame, depth_in_metres
from s3e_gnn_ros.data.options import CameraOverride
from s3e_gnn_ros.data.recording import count_drop
from s3e_gnn_ros.errors import DropError, RecordingError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.trajectory import Trajectory
from s3e_gnn_ros.plain_data import read_bytes
from s3e_gnn_ros.types import Frame


@dataclass(frozen=True)
class FrameFiles:
    """The files of one instant.

    Attributes:
        stamp_ns: its stamp.
        image: jpeg or png.
        depth: 16-bit png aligned to it, or None.
    """

    stamp_ns: int
    image: Path
    depth: Path | None = None


@dataclass(frozen=True, eq=False)
class FolderContent:
    """What a reader found in a folder.

    Attributes:
        name: title of the recording.
        files: the frames.
        camera: intrinsics, complete or without the size of the image.
        depth_scale: metres per unit of the depth images.
        invalid_depth: a raw value that means unknown, beside 0.
        odometry: T_odom_camera, or None.
        ground_truth: T_world_camera, or None.
        max_gap_s: poses are not interpolated over a larger gap [s].
        notes: choices the reader made, as sentences.
        drops: what was left out while reading the lists.
    """

    name: str
    files: Sequence[FrameFiles]
    camera: PinholeCamera | CameraOverride
    depth_scale: float
    invalid_depth: int | None
    odometry: Trajectory | None
    ground_truth: Trajectory | None
    max_gap_s: float
    notes: list[str]
    drops: Counter[str]


class FolderRecording:
    """Frames from files, read one by one; see :class:`s3e_gnn_ros.data.recording.Recording`.

    Raises:
        RecordingError: there is no frame.
    """

    def __init__(self, content: FolderContent) -> None:
        """Keep the lists; images are read later."""
        if not content.files:
            raise RecordingError(f"recording '{content.name}' holds no frame")
        self._content = content
        self.name = content.name
        self.num_frames = len(content.files)
        self.odometry = content.odometry
        self.ground_truth = content.ground_truth
        self.notes = content.notes
        self.drops: Counter[str] = Counter(content.drops)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames; unreadable images are left out and counted in ``drops``."""
        self.drops.clear()
        self.drops.update(self._content.drops)
        last_ns = -1
        camera: PinholeCamera | None = None
        for files in self._content.files:
            try:
                if files.stamp_ns <= last_ns:
                    raise DropError('time_backwards', f'{files.stamp_ns} ns follows {last_ns} ns')
                frame = self._read(files, camera)
            except DropError as err:
                count_drop(err, self.drops, self.notes)
                continue
            last_ns, camera = frame.stamp_ns, frame.camera
            yield frame

    def _read(self, files: FrameFiles, camera: PinholeCamera | None) -> Frame:
        image = image_codec.decode_image(_read_bytes(files.image, 'image'), str(files.image))
        camera = camera or self._camera_of(image)
        check_frame(image, camera)
        content = self._content
        return Frame(
            stamp_ns=files.stamp_ns,
            image=image,
            camera=camera,
            depth_m=self._read_depth(files.depth, image, camera) if files.depth else None,
            T_odom_camera=_at(content.odometry, files.stamp_ns, content.max_gap_s),
            T_world_camera=_at(content.ground_truth, files.stamp_ns, content.max_gap_s),
        )

    def _read_depth(
        self, path: Path, image: NDArray[np.uint8], camera: PinholeCamera
    ) -> NDArray[np.float32] | None:
        """Return depth, or None and a count: an image without depth is still worth something."""
        try:
            raw = image_codec.decode_depth(_read_bytes(path, 'depth'), str(path))
            if self._content.invalid_depth is not None:
                raw[raw == self._content.invalid_depth] = 0
            depth_m = depth_in_metres(raw, self._content.depth_scale)
            check_frame(image, camera, depth_m)
        except DropError as err:
            count_drop(err, self.drops, self.notes)
            return None
        return depth_m

    def _camera_of(self, image: NDArray[np.uint8]) -> PinholeCamera:
        height, width = image.shape[:2]
        known = self._content.camera
        return known if isinstance(known, PinholeCamera) else known.camera(width, height)


def listed_image(folder: Path, name: str) -> Path:
    """Return an image that a list names in its folder.

    Raises:
        DropError: ``image_list``, when the name leads out of it: the list may be a stranger's.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or '..' in parts or '\0' in name:
        raise DropError('image_list', f"list of images names '{name}', outside '{folder}'")
    return folder / name


def _at(trajectory: Trajectory | None, stamp_ns: int, gap_s: float) -> NDArray[np.float64] | None:
    return None if trajectory is None else trajectory.at(stamp_ns, gap_s)


def _read_bytes(path: Path, kind: str) -> bytes:
    try:
        return read_bytes(path, image_codec.MAX_BYTES)
    except OSError as err:
        raise DropError(f'{kind}_data', f"cannot read '{path}': {err.strerror}") from err
