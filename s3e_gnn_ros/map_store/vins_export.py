"""A map as the pose graph files that VINS-Mono and VINS-Fusion save.

``pose_graph.txt`` holds a line per keyframe: index, stamp [s], position of the body by odometry
and after optimisation [m], the two orientations (w x y z), the index of the keyframe it closes a
loop with or -1, that loop (position, orientation, yaw [deg], of this body in the other's frame),
and the number of its keypoints. ``<index>_keypoints.txt`` holds a line per keypoint: u v [px] and
the undistorted point on the plane z = 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.evaluation.files import make_directory, write_atomic
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.map_store.store import MapStore
from s3e_gnn_ros.types import KeyframeKey, LoopClosure

POSE_GRAPH = 'pose_graph.txt'
NO_LOOP = (-1, np.eye(4))


def write_vins(
    store: MapStore, T_map_camera: NDArray[np.float64], folder: Path, T_body_camera: Pose
) -> None:
    """Write pose graph and keypoints; the BRIEF descriptors that VINS searches by are not ours.

    VINS has one loop per keyframe: the most similar one is written. Keyframes are numbered in the
    order of their addition.

    Args:
        store: the map.
        T_map_camera: (N, 4, 4) corrected poses by row.
        folder: made where it does not exist.
        T_body_camera: (4, 4) camera in the body.

    Raises:
        InputError: a file cannot be written.
    """
    make_directory(folder)
    rows = store.rows()
    T_camera_body = se3.inverse(T_body_camera)
    loops = _best_loops(rows.keys, store.closures())
    lines = []
    for index, (key, view) in enumerate(zip(rows.keys, store.views(rows.keys), strict=True)):
        match, T_match_query = loops.get(key, NO_LOOP)
        poses = (
            rows.T_odom_camera[index] @ T_camera_body,
            T_map_camera[index] @ T_camera_body,
            T_body_camera @ T_match_query @ T_camera_body if match >= 0 else np.eye(4),
        )
        lines.append(_line(index, int(rows.stamps_ns[index]), poses, match, len(view.features)))
        write_atomic(folder / f'{index}_keypoints.txt', _keypoints_text(view))
    write_atomic(folder / POSE_GRAPH, ''.join(lines))


def _best_loops(
    keys: Iterable[KeyframeKey], closures: Iterable[LoopClosure]
) -> dict[KeyframeKey, tuple[int, Pose]]:
    """Return index of the match and T_match_query of each keyframe's most similar loop."""
    index = {key: i for i, key in enumerate(keys)}
    best: dict[KeyframeKey, LoopClosure] = {}
    for closure in closures:
        key = closure.query
        if key not in best or closure.similarity > best[key].similarity:
            best[key] = closure
    return {key: (index[c.match], c.T_match_query) for key, c in best.items()}


def _line(
    index: int, stamp_ns: int, poses: tuple[Pose, Pose, Pose], match: int, num_keypoints: int
) -> str:
    odometry, corrected, loop = poses
    positions = [*odometry[:3, 3], *corrected[:3, 3]]
    orientations = [*_wxyz(odometry), *_wxyz(corrected)]
    # VINS computes the angles of a loop as R = Rz(yaw) Ry(pitch) Rx(roll).
    yaw_deg = np.degrees(np.arctan2(loop[1, 0], loop[0, 0]))
    info = [*loop[:3, 3], *_wxyz(loop), yaw_deg] if match >= 0 else [0.0] * 8
    stamp = f'{stamp_ns // 10**9}.{stamp_ns % 10**9:09d}'
    numbers = ' '.join(f'{value:.9f}' for value in [*positions, *orientations])
    loop_text = ' '.join(f'{value:.9f}' for value in info)
    return f'{index} {stamp} {numbers} {match} {loop_text} {num_keypoints}\n'


def _wxyz(T: Pose) -> list[float]:
    x, y, z, w = se3.quat_xyzw(T).tolist()
    return [w, x, y, z]


def _keypoints_text(view: View) -> str:
    points = np.hstack([view.features.points_px, view.features.points_normalised])
    return ''.join(f'{u:.6f} {v:.6f} {x:.9f} {y:.9f}\n' for u, v, x, y in points.tolist())
