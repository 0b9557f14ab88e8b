"""The data that flows through loop closure, from a frame to a closure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.geometry.se3 import Pose


@dataclass(frozen=True, eq=False)
class Frame:
    """One image with everything that belongs to the same instant.

    Attributes:
        stamp_ns: time of exposure.
        image: (H, W) grey or (H, W, 3) BGR, uint8.
        camera: intrinsics of ``image``.
        depth_m: (H, W) float32 z-depth aligned to the image; 0 where unknown. None without depth.
        T_odom_camera: drifting pose (4, 4) of the optical frame. None when unknown.
        T_world_camera: true pose (4, 4), for evaluation only. None when unknown.
    """

    stamp_ns: int
    image: NDArray[np.uint8]
    camera: PinholeCamera
    depth_m: NDArray[np.float32] | None = None
    T_odom_camera: Pose | None = None
    T_world_camera: Pose | None = None


@dataclass(frozen=True, eq=False)
class Features:
    """N local features of one image.

    Attributes:
        points_px: (N, 2) float32, x and y in the image as it came (distorted).
        points_normalised: (N, 2) float64, undistorted, on the plane z = 1.
        sizes_px: (N,) float32, diameter of the described neighbourhood.
        angles_deg: (N,) float32, orientation.
        responses: (N,) float32, detector response, higher is stronger.
        descriptors: (N, 32) uint8, binary ORB.
        landmarks_m: (N, 3) float64 in the camera's optical frame; NaN where unknown.
    """

    points_px: NDArray[np.float32]
    points_normalised: NDArray[np.float64]
    sizes_px: NDArray[np.float32]
    angles_deg: NDArray[np.float32]
    responses: NDArray[np.float32]
    descriptors: NDArray[np.uint8]
    landmarks_m: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of features."""
        return len(self.points_px)

    @property
    def has_landmark(self) -> NDArray[np.bool_]:
        """Mask (N,) of the features whose landmark is known."""
        return np.isfinite(self.landmarks_m[:, 2])


@dataclass(frozen=True, eq=False)
class Encoding:
    """What the encoder makes of one image.

    Attributes:
        embedding: (D,) float32, unit length; 0 of an image without keypoints.
        descriptors: (n, E) float32, unit length, one per patch; (n, 0) when the encoder has none.
        points_px: (n, 2) float32, centres of the patches.
        keypoint_index: (n,) the feature each patch was cut around; -1 where a point completes
            an image of little texture.
    """

    embedding: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    points_px: NDArray[np.float32]
    keypoint_index: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Keyframe:
    """A frame worth remembering, with its features.

    Attributes:
        keyframe_id: counts from 0 within its session, in order of stamps.
        session: number of the session (one run of one front end).
        frame: what it was made from; its ``T_odom_camera`` is not None.
        features: local features.
        encoding: of the encoder, where the retrieval method has one; else None.
        robot_id: name of the robot the session belongs to; empty where there is one only.
    """

    keyframe_id: int
    session: int
    frame: Frame
    features: Features
    encoding: Encoding | None = None
    robot_id: str = ''

    @property
    def stamp_ns(self) -> int:
        """Stamp of its frame."""
        return self.frame.stamp_ns

    @property
    def T_odom_camera(self) -> Pose:
        """Pose (4, 4) of its frame in the odometry frame."""
        assert self.frame.T_odom_camera is not None  # a keyframe is only made of a posed frame
        return self.frame.T_odom_camera


MAX_SESSION = 2**63 - 1
"""Sessions are kept in columns of int64."""


class KeyframeKey(NamedTuple):
    """What tells a keyframe from all others.

    Attributes:
        session: number of the session.
        keyframe_id: id within the session.
    """

    session: int
    keyframe_id: int


class Status(IntEnum):
    """Outcome of a loop query: accepted, or the reason why not.

    The first eight are DLoopDetector's. They and the rest are constants of LoopQuery.msg.
    """

    LOOP_DETECTED = 0
    CLOSE_MATCHES_ONLY = 1
    NO_DB_RESULTS = 2
    LOW_NSS_FACTOR = 3
    LOW_SCORES = 4
    NO_GROUPS = 5
    NO_TEMPORAL_CONSISTENCY = 6
    NO_GEOMETRICAL_CONSISTENCY = 7
    TOO_FEW_FEATURES = 8
    TOO_FEW_MATCHES = 9
    NO_LANDMARKS = 10
    TOO_FEW_INLIERS = 11
    LOW_INLIER_RATIO = 12
    INLIERS_TOO_CONCENTRATED = 13
    FORWARD_BACKWARD_DISAGREE = 14
    DEPTH_DISAGREES = 15
    UNCERTAIN_POSE = 16


@dataclass(frozen=True, slots=True)
class Candidate:
    """A retrieved keyframe, before verification.

    Attributes:
        keyframe_id: id of the match.
        session: its session.
        similarity: in [0, 1], higher is better.
    """

    keyframe_id: int
    session: int
    similarity: float


@dataclass(frozen=True, eq=False)
class LoopClosure:
    """A verified constraint between a query and an older match.

    Attributes:
        query_id: keyframe that asked.
        match_id: older keyframe that answered.
        query_session: session of the query.
        match_session: session of the match.
        query_stamp_ns: stamp of the query.
        match_stamp_ns: stamp of the match.
        T_match_query: (4, 4) pose of the query's optical frame in the match's.
        covariance: (6, 6) rotation [rad] first, then translation [m], of a perturbation on the
            right: ``T_match_query @ expmap(xi)``, GTSAM's convention.
        similarity: of retrieval, in [0, 1].
        num_inliers: feature matches that agree with the pose.
        inlier_ratio: ``num_inliers`` over the feature matches tried.
        query_robot_id: name of the query's robot.
        match_robot_id: name of the match's robot.
    """

    query_id: int
    match_id: int
    query_session: int
    match_session: int
    query_stamp_ns: int
    match_stamp_ns: int
    T_match_query: Pose
    covariance: NDArray[np.float64]
    similarity: float
    num_inliers: int
    inlier_ratio: float
    query_robot_id: str = ''
    match_robot_id: str = ''

    @property
    def query(self) -> KeyframeKey:
        """Session and id of the keyframe that asked."""
        return KeyframeKey(self.query_session, self.query_id)

    @property
    def match(self) -> KeyframeKey:
        """Session and id of the older keyframe that answered."""
        return KeyframeKey(self.match_session, self.match_id)


@dataclass(frozen=True, eq=False)
class LoopQuery:
    """What became of one keyframe's search for a loop.

    Attributes:
        query_id: keyframe that asked.
        session: its session.
        stamp_ns: its stamp.
        status: accepted, or why not; of the candidate that came furthest.
        candidates: the best retrieved keyframes, best first, after temporal exclusion.
        closures: the constraints when ``status`` is LOOP_DETECTED, one per candidate that was
            verified, most similar first; else empty.
        stage_ms: run time of each stage in milliseconds.
        inliers_px: for each closure (N, 4) float32, x y in the query's and x y in the match's
            image of the feature matches that support it.
        inlier_pairs: for each closure (N, 2), the same matches as indices into the features of
            the query and of the match.
        match_points: for each closure (N, 2) float64, the match's points of ``inlier_pairs``,
            undistorted, on the plane z = 1.
        robot_id: name of the query's robot.
    """

    query_id: int
    session: int
    stamp_ns: int
    status: Status
    candidates: tuple[Candidate, ...] = ()
    closures: tuple[LoopClosure, ...] = ()
    stage_ms: dict[str, float] = field(default_factory=dict)
    inliers_px: tuple[NDArray[np.float32], ...] = ()
    inlier_pairs: tuple[NDArray[np.intp], ...] = ()
    match_points: tuple[NDArray[np.float64], ...] = ()
    robot_id: str = ''
