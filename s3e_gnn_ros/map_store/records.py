"""What a map holds, as its users see it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.se3 import Pose
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.types import KeyframeKey


@dataclass(frozen=True, eq=False)
class StoredKeyframe:
    """One keyframe with everything a later run needs of it.

    Attributes:
        key: session and id.
        robot_id: name of the robot; empty where there is one only.
        stamp_ns: time of exposure.
        odom_frame: name of the odometry frame.
        camera_frame: name of the optical frame.
        T_odom_camera: drifting pose (4, 4).
        T_map_camera: corrected pose (4, 4), or None while it is not known.
        view: camera, features, depth and the encoder's patches.
        embedding: (D,) float32, or None without an encoder.
        thumbnail: (h, w) uint8 grey picture, or None.
    """

    key: KeyframeKey
    robot_id: str
    stamp_ns: int
    odom_frame: str
    camera_frame: str
    T_odom_camera: Pose
    T_map_camera: Pose | None
    view: View
    embedding: NDArray[np.float32] | None
    thumbnail: NDArray[np.uint8] | None


class EdgeKind(IntEnum):
    """What an edge between two keyframes says.

    ODOMETRY: the front end's motion. CLOSURE: a verified loop. REJECTED: a loop that was verified
    and taken out later; it is kept to be put back. COVISIBLE: both see the same landmarks.
    """

    ODOMETRY = 0
    CLOSURE = 1
    REJECTED = 2
    COVISIBLE = 3


@dataclass(frozen=True, eq=False)
class StoredEdge:
    """An edge between two keyframes.

    Attributes:
        kind: what it says.
        i: the keyframe the pose is relative to; of a closure the match.
        j: the other; of a closure the query.
        T_i_j: pose (4, 4) of j's optical frame in i's, or None.
        covariance: (6, 6), rotation first, perturbation on the right of ``T_i_j``; or None.
        similarity: of retrieval, in [0, 1].
        num_inliers: feature matches that agree with the pose.
        inlier_ratio: ``num_inliers`` over the matches tried.
        weight: 1: believed as measured; 0: it contradicts the others.
    """

    kind: EdgeKind
    i: KeyframeKey
    j: KeyframeKey
    T_i_j: Pose | None = None
    covariance: NDArray[np.float64] | None = None
    similarity: float = 0.0
    num_inliers: int = 0
    inlier_ratio: float = 0.0
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class MapRows:
    """All N keyframes of a map in order of addition, without views.

    Attributes:
        keys: session and id of each.
        robot_ids: name of the robot of each.
        stamps_ns: (N,) int64.
        T_odom_camera: (N, 4, 4) float64.
        T_map_camera: (N, 4, 4) float64; NaN where unknown.
        embeddings: (N, D) float32, a row of NaN where a keyframe has none; None when none has.
        odom_frames: name of the odometry frame of each.
        camera_frames: name of the optical frame of each.
    """

    keys: list[KeyframeKey]
    robot_ids: list[str]
    stamps_ns: NDArray[np.int64]
    T_odom_camera: NDArray[np.float64]
    T_map_camera: NDArray[np.float64]
    embeddings: NDArray[np.float32] | None
    odom_frames: list[str]
    camera_frames: list[str]

    def __len__(self) -> int:
        """Return the number of keyframes."""
        return len(self.keys)


class SessionRow(NamedTuple):
    """One session of a map.

    Attributes:
        session: its number.
        robot_id: name of its robot.
        odom_frame: name of its odometry frame.
        camera_frame: name of its optical frame.
        num_keyframes: how many keyframes of it the map holds.
        first_ns: stamp of the oldest.
        last_ns: stamp of the newest.
    """

    session: int
    robot_id: str
    odom_frame: str
    camera_frame: str
    num_keyframes: int
    first_ns: int
    last_ns: int
