"""A map made of the files that VINS-Mono and VINS-Fusion save; see ``vins_export`` for these."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from s3e_gnn_ros.config import Config
from s3e_gnn_ros.data import image_codec
from s3e_gnn_ros.data.trajectory_file import seconds_to_ns, table_rows
from s3e_gnn_ros.encoder.image_planes import as_grey
from s3e_gnn_ros.errors import DropError, InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.pipeline import LoopClosurePipeline
from s3e_gnn_ros.map_store.files import remove_file
from s3e_gnn_ros.map_store.records import StoredKeyframe
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.map_store.stored_keyframe import stored_keyframe
from s3e_gnn_ros.map_store.vins_export import POSE_GRAPH
from s3e_gnn_ros.map_store.weights import weights_of
from s3e_gnn_ros.plain_data import read_bytes
from s3e_gnn_ros.types import Features, Frame, Keyframe, LoopClosure

_NUM_VALUES = 26
_ODOM_FRAME, _CAMERA_FRAME = 'world', 'camera'  # the first is VINS's own
# The file says nothing of how sure a loop is: a careful guess, [rad] and [m].
_LOOP_SIGMAS = np.array([np.radians(2.0)] * 3 + [0.1] * 3)
_MIN_POINTS, _MAX_POINTS = 8, 5000
_MAX_PX = 1e5


@dataclass(frozen=True, eq=False)
class _Line:
    """One keyframe of ``pose_graph.txt``; poses are of the body."""

    index: int
    stamp_ns: int
    T_odom_body: Pose
    T_map_body: Pose
    match: int
    T_match_body: Pose
    num_keypoints: int


def import_vins(
    folder: Path,
    path: Path,
    config: Config | None = None,
    T_body_camera: Pose | None = None,
    *,
    overwrite: bool = False,
) -> int:
    """Make a map of a folder with ``pose_graph.txt``.

    Where VINS has saved the images too (``<i>_image.png``), keyframes get features and embeddings
    of ours, and the map can be searched. Without, it holds poses and loops only. VINS's BRIEF
    descriptors are not read: nothing here compares them.

    Args:
        folder: with ``pose_graph.txt`` and, for the images, ``<i>_keypoints.txt``.
        path: of the map to write.
        config: features, retrieval and thumbnails; None: the defaults.
        T_body_camera: (4, 4) camera in the body; None: the identity.
        overwrite: whether a map of this name may be lost.

    Returns:
        How many keyframes it holds.

    Raises:
        InputError: a file is missing or damaged, or the map cannot be written.
    """
    config = Config() if config is None else config
    T = np.eye(4) if T_body_camera is None else se3.check_pose(T_body_camera, 'T_body_camera')
    lines = _read_lines(folder / POSE_GRAPH)
    has_images = any(_image_path(folder, line).is_file() for line in lines)
    digest, name = weights_of(config.retrieval) if has_images else ('', '')
    make = _with_images if has_images else _without_images
    store = MapStore.create(path, weights_digest=digest, weights_name=name, overwrite=overwrite)
    try:
        with store:
            for line, keyframe in zip(lines, make(folder, lines, T, config), strict=True):
                corrected = replace(keyframe, T_map_camera=line.T_map_body @ T)
                store.add(corrected, _closures(line, lines, T))
    except BaseException:
        remove_file(path)  # half a map is none
        raise
    return len(lines)


def _read_lines(path: Path) -> list[_Line]:
    rows = table_rows(path)
    if not rows:
        raise InputError(f"'{path}' holds no keyframe")
    lines = [_line(path, number, row) for number, row in enumerate(rows)]
    for before, after in pairwise(lines):
        if after.stamp_ns <= before.stamp_ns:
            raise InputError(f"'{path}' goes back in time at keyframe {after.index}")
    return lines


def _line(path: Path, number: int, row: list[str]) -> _Line:
    try:
        values = [float(word) for word in row]
        stamp_ns = seconds_to_ns(row[1]) if len(row) > 1 else 0
    except (ValueError, DropError) as err:
        raise InputError(f"'{path}' has a line {number + 1} that is no keyframe: {err}") from err
    if len(values) != _NUM_VALUES or not np.isfinite(values).all():
        raise InputError(
            f"'{path}' has a line {number + 1} of {len(values)} values instead of {_NUM_VALUES} "
            'numbers'
        )
    match = int(values[16])
    if int(values[0]) != number or not -1 <= match < number:
        raise InputError(
            f"'{path}' has keyframe {int(values[0])}, closing a loop with {match}, in line "
            f'{number + 1}: keyframes are numbered in order, loops lead back'
        )
    return _Line(
        index=number,
        stamp_ns=stamp_ns,
        T_odom_body=_pose(values[2:5], values[8:12]),
        T_map_body=_pose(values[5:8], values[12:16]),
        match=match,
        T_match_body=_pose(values[17:20], values[20:24]) if match >= 0 else np.eye(4),
        num_keypoints=int(values[25]),
    )


def _pose(position: list[float], wxyz: list[float]) -> Pose:
    w, x, y, z = wxyz
    length = float(np.linalg.norm(wxyz))
    if not 0.99 < length < 1.01:  # written with six digits
        raise InputError(f'an orientation of VINS has the length {length:.6g} instead of 1')
    return se3.pose_from_quat(position, np.array([x, y, z, w]) / length)


def _closures(line: _Line, lines: list[_Line], T_body_camera: Pose) -> list[LoopClosure]:
    if line.match < 0:
        return []
    session, match = _session(lines), lines[line.match]
    return [
        LoopClosure(
            query_id=line.index,
            match_id=match.index,
            query_session=session,
            match_session=session,
            query_stamp_ns=line.stamp_ns,
            match_stamp_ns=match.stamp_ns,
            T_match_query=se3.inverse(T_body_camera) @ line.T_match_body @ T_body_camera,
            covariance=np.diag(_LOOP_SIGMAS**2),
            similarity=1.0,
            num_inliers=0,
            inlier_ratio=0.0,
        )
    ]


def _session(lines: list[_Line]) -> int:
    """Number the session by its beginning and its end: the same each time it is imported."""
    return zlib.crc32(repr(lines[0]).encode()) << 31 | zlib.crc32(repr(lines[-1]).encode()) >> 1


def _without_images(
    folder: Path, lines: list[_Line], T_body_camera: Pose, config: Config
) -> Iterator[StoredKeyframe]:
    """Yield keyframes without features: nothing can be found by what VINS stores of them."""
    camera = PinholeCamera(640, 480, 500.0, 500.0, 319.5, 239.5)  # of no pixel: any will do
    for line in lines:
        frame = _frame(line, np.zeros((0, 0), np.uint8), camera, T_body_camera)
        keyframe = Keyframe(line.index, _session(lines), frame, _no_features())
        yield stored_keyframe(keyframe, _ODOM_FRAME, _CAMERA_FRAME, config.map.thumbnail_width_px)


def _with_images(
    folder: Path, lines: list[_Line], T_body_camera: Pose, config: Config
) -> Iterator[StoredKeyframe]:
    """Yield keyframes as if the robot drove again; landmarks are triangulated."""
    pipeline = LoopClosurePipeline(config, _session(lines))
    points = [_read_keypoints(folder, line) for line in lines]
    camera: PinholeCamera | None = None
    for line, keypoints in zip(lines, points, strict=True):
        image = _read_image(_image_path(folder, line))
        if camera is None:
            camera = _fit_camera(np.concatenate(points), image.shape[1], image.shape[0])
        frame = _frame(line, image, camera, T_body_camera)
        keyframe, _ = pipeline.process(frame, keypoints[:, :2].astype(np.float32))
        yield stored_keyframe(keyframe, _ODOM_FRAME, _CAMERA_FRAME, config.map.thumbnail_width_px)


def _frame(
    line: _Line, image: NDArray[np.uint8], camera: PinholeCamera, T_body_camera: Pose
) -> Frame:
    T_odom_camera = line.T_odom_body @ T_body_camera
    return Frame(line.stamp_ns, image, camera, T_odom_camera=T_odom_camera)


def _no_features() -> Features:
    return Features(
        points_px=np.zeros((0, 2), np.float32),
        points_normalised=np.zeros((0, 2)),
        sizes_px=np.zeros(0, np.float32),
        angles_deg=np.zeros(0, np.float32),
        responses=np.zeros(0, np.float32),
        descriptors=np.zeros((0, 32), np.uint8),
        landmarks_m=np.zeros((0, 3)),
    )


def _image_path(folder: Path, line: _Line) -> Path:
    return folder / f'{line.index}_image.png'


def _read_image(path: Path) -> NDArray[np.uint8]:
    try:
        data = read_bytes(path, image_codec.MAX_BYTES)
    except OSError as err:
        reason = f"image '{path}' is missing or cannot be read, though others are there"
        raise InputError(f'{reason}: {err.strerror}') from err
    return as_grey(image_codec.decode_image(data, str(path)))


def _read_keypoints(folder: Path, line: _Line) -> NDArray[np.float64]:
    """Return u v x y (N, 4) of a keyframe's keypoints."""
    path = folder / f'{line.index}_keypoints.txt'
    try:
        values = np.array([[float(word) for word in row] for row in table_rows(path)])
    except ValueError as err:
        raise InputError(f"'{path}' has a line that is no keypoint: {err}") from err
    values = values.reshape(-1, 4) if values.size == 0 else values
    if values.ndim != 2 or values.shape[1] != 4 or len(values) != line.num_keypoints:
        raise InputError(
            f"'{path}' holds keypoints of shape {values.shape} instead of "
            f'({line.num_keypoints}, 4)'
        )
    if not (np.abs(values) < _MAX_PX).all():
        raise InputError(f"'{path}' holds a keypoint that no image has")
    return values


def _fit_camera(points: NDArray[np.float64], width: int, height: int) -> PinholeCamera:
    """Find intrinsics and lens (plumb_bob) that take x y to u v of keypoints (N, 4).

    Raises:
        InputError: there are too few keypoints.
    """
    if len(points) < _MIN_POINTS:
        raise InputError(f'{len(points)} keypoints are too few to know the camera by')
    points = points[:: max(1, len(points) // _MAX_POINTS)]
    rays = np.column_stack([points[:, 2:], np.ones(len(points))])
    first = [width / 2, width / 2, (width - 1) / 2, (height - 1) / 2, 0.0, 0.0, 0.0, 0.0]

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        fx, fy, cx, cy = values[:4]
        K = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
        found = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), K, values[4:])[0][:, 0]
        return np.asarray(found - points[:, :2], np.float64).ravel()

    try:
        fx, fy, cx, cy, *lens = least_squares(residuals, first, x_scale='jac').x.tolist()
    except (ValueError, np.linalg.LinAlgError, cv2.error) as err:
        raise InputError(f'no camera takes the keypoints to their pixels: {err}') from err
    return PinholeCamera(width, height, fx, fy, cx, cy, tuple(lens))
