"""What a search came to, in the form that leaves the detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros.loop_closure.verification import Verification
from s3e_gnn_ros.loop_closure.view import View
from s3e_gnn_ros.types import Candidate, LoopClosure, LoopQuery, Status

PROGRESS = (
    Status.TOO_FEW_MATCHES,
    Status.NO_LANDMARKS,
    Status.NO_GEOMETRICAL_CONSISTENCY,
    Status.TOO_FEW_INLIERS,
    Status.LOW_INLIER_RATIO,
    Status.INLIERS_TOO_CONCENTRATED,
    Status.FORWARD_BACKWARD_DISAGREE,
    Status.DEPTH_DISAGREES,
    Status.UNCERTAIN_POSE,
    Status.LOOP_DETECTED,
)
"""How far a candidate came: the status of a query is that of the furthest."""


@dataclass(frozen=True, eq=False)
class Loop:
    """A candidate that was verified.

    Attributes:
        entry: of the match in the database.
        candidate: what retrieval says of it.
        match: its view.
        robot_id: its robot.
        verification: accepted.
    """

    entry: int
    candidate: Candidate
    match: View
    robot_id: str
    verification: Verification


def furthest(first: Status, second: Status) -> Status:
    """Return the outcome that came further."""
    return max(first, second, key=PROGRESS.index)


def make_query(
    query: View,
    robot_id: str,
    status: Status,
    candidates: tuple[Candidate, ...],
    loops: tuple[Loop, ...],
    stage_ms: dict[str, float],
) -> LoopQuery:
    """Put together what became of a keyframe's search."""
    pairs = [loop.verification.matches[loop.verification.is_inlier] for loop in loops]
    found = list(zip((loop.match for loop in loops), pairs, strict=True))
    return LoopQuery(
        query_id=query.keyframe_id,
        session=query.session,
        stamp_ns=query.stamp_ns,
        status=status,
        candidates=candidates,
        closures=tuple(_closure(query, robot_id, loop) for loop in loops),
        stage_ms=stage_ms,
        inliers_px=tuple(_inliers_px(query, match, each) for match, each in found),
        inlier_pairs=tuple(pairs),
        match_points=tuple(match.features.points_normalised[each[:, 1]] for match, each in found),
        robot_id=robot_id,
    )


def _closure(query: View, robot_id: str, loop: Loop) -> LoopClosure:
    match, found = loop.match, loop.verification
    assert found.T_match_query is not None  # a closure is only made of a verified pose
    assert found.covariance is not None
    return LoopClosure(
        query_id=query.keyframe_id,
        match_id=match.keyframe_id,
        query_session=query.session,
        match_session=match.session,
        query_stamp_ns=query.stamp_ns,
        match_stamp_ns=match.stamp_ns,
        T_match_query=found.T_match_query,
        covariance=found.covariance,
        similarity=loop.candidate.similarity,
        num_inliers=found.num_inliers,
        inlier_ratio=found.inlier_ratio,
        query_robot_id=robot_id,
        match_robot_id=loop.robot_id,
    )


def _inliers_px(query: View, match: View, pairs: NDArray[np.intp]) -> NDArray[np.float32]:
    return np.hstack(
        [query.features.points_px[pairs[:, 0]], match.features.points_px[pairs[:, 1]]]
    )
