"""Keyframes, queries and closures as this package's own messages, and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s3e_gnn_ros import msg
from s3e_gnn_ros.embedding import check_embeddings
from s3e_gnn_ros.encoder.completion import ORB_SIZE_PX
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.types import (
    Candidate,
    Encoding,
    Features,
    Frame,
    Keyframe,
    LoopClosure,
    LoopQuery,
    Status,
)


def keyframe_to_message(
    keyframe: Keyframe,
    odom_frame: str,
    camera_frame: str,
    *,
    with_images: bool,
    feature_ids: NDArray[np.int64] | None = None,
) -> msg.KeyFrame:
    """Build a KeyFrame with its features.

    Args:
        keyframe: what to send.
        odom_frame: frame of its pose.
        camera_frame: optical frame of its camera.
        with_images: whether image and depth go along.
        feature_ids: (N,) the front end's track numbers, or None.
    """
    frame, features = keyframe.frame, keyframe.features
    message = keyframe_summary(keyframe, odom_frame, camera_frame)
    if with_images:
        header = conv.make_header(frame.stamp_ns, camera_frame)
        message.image = conv.image_to_message(frame.image, header)
        if frame.depth_m is not None:
            message.depth = conv.depth_to_message(frame.depth_m, header)
    message.keypoints_px = conv.packed(features.points_px, 'f')
    message.keypoints_normalised = conv.packed(features.points_normalised, 'f')
    message.landmarks = conv.packed(features.landmarks_m, 'f')
    message.descriptors = conv.packed(features.descriptors, 'B')
    if feature_ids is not None:
        message.feature_ids = conv.packed(feature_ids, 'q')
    if keyframe.encoding is not None:
        message.embedding = conv.packed(keyframe.encoding.embedding, 'f')
    return message


def keyframe_summary(keyframe: Keyframe, odom_frame: str, camera_frame: str) -> msg.KeyFrame:
    """Build a KeyFrame without images and features: what GetKeyFrames answers with."""
    stamp_ns = keyframe.stamp_ns
    message = msg.KeyFrame(header=conv.make_header(stamp_ns, odom_frame))
    message.session = keyframe.session
    message.robot_id = keyframe.robot_id
    message.keyframe_id = keyframe.keyframe_id
    message.camera_frame = camera_frame
    message.t_odom_camera = conv.pose_to_message(keyframe.T_odom_camera)
    header = conv.make_header(stamp_ns, camera_frame)
    message.camera_info = conv.camera_to_message(keyframe.frame.camera, header)
    return message


def keyframe_from_message(message: msg.KeyFrame) -> Keyframe:
    """Return the keyframe; a message without an image gives an image of no pixels.

    Sizes, angles, responses and the encoder's local descriptors do not travel: sizes come back
    as those of ORB's finest scale, the others as zero or empty.

    Raises:
        InputError: a pose, camera, image or array that makes no sense.
    """
    stamp_ns = conv.stamp_to_ns(message.header.stamp)
    image = conv.image_from_message(message.image)
    frame = Frame(
        stamp_ns=stamp_ns,
        image=np.zeros((0, 0), np.uint8) if image is None else image,
        camera=conv.camera_from_message(message.camera_info),
        depth_m=conv.depth_from_message(message.depth),
        T_odom_camera=conv.pose_from_message(message.t_odom_camera),
    )
    return Keyframe(
        message.keyframe_id,
        message.session,
        frame,
        _features(message),
        _encoding(message),
        message.robot_id,
    )


def _encoding(message: msg.KeyFrame) -> Encoding | None:
    embedding = np.asarray(message.embedding, dtype=np.float32)
    if len(embedding) == 0:
        return None
    check_embeddings(embedding[None], (1, len(embedding)))
    return Encoding(
        embedding,
        np.zeros((0, 0), np.float32),
        np.zeros((0, 2), np.float32),
        np.zeros(0, np.intp),
    )


def closure_to_message(closure: LoopClosure, camera_frame: str) -> msg.LoopClosure:
    """Build a LoopClosure; ``camera_frame`` is the optical frame of the match."""
    message = msg.LoopClosure(header=conv.make_header(closure.query_stamp_ns, camera_frame))
    message.query_session, message.query_id = closure.query_session, closure.query_id
    message.match_session, message.match_id = closure.match_session, closure.match_id
    message.query_robot_id = closure.query_robot_id
    message.match_robot_id = closure.match_robot_id
    message.query_stamp = conv.stamp_from_ns(closure.query_stamp_ns)
    message.match_stamp = conv.stamp_from_ns(closure.match_stamp_ns)
    message.t_match_query.pose = conv.pose_to_message(closure.T_match_query)
    message.t_match_query.covariance = conv.covariance_to_message(closure.covariance)
    message.similarity = float(closure.similarity)
    message.num_inliers = int(closure.num_inliers)
    message.inlier_ratio = float(closure.inlier_ratio)
    return message


def closure_from_message(message: msg.LoopClosure) -> LoopClosure:
    """Return the closure.

    Raises:
        InputError: the pose or the covariance cannot be used.
    """
    covariance = conv.covariance_from_message(message.t_match_query.covariance)
    if not np.isfinite(covariance).all() or (np.diag(covariance) <= 0).any():
        raise InputError(
            f'closure {message.query_id} -> {message.match_id} has a covariance with diagonal '
            f'{np.diag(covariance).tolist()}'
        )
    return LoopClosure(
        query_id=message.query_id,
        match_id=message.match_id,
        query_session=message.query_session,
        match_session=message.match_session,
        query_stamp_ns=conv.stamp_to_ns(message.query_stamp),
        match_stamp_ns=conv.stamp_to_ns(message.match_stamp),
        T_match_query=conv.pose_from_message(message.t_match_query.pose),
        covariance=covariance,
        similarity=message.similarity,
        num_inliers=message.num_inliers,
        inlier_ratio=message.inlier_ratio,
        query_robot_id=message.query_robot_id,
        match_robot_id=message.match_robot_id,
    )


def query_to_message(query: LoopQuery, camera_frame: str) -> msg.LoopQuery:
    """Build a LoopQuery; ``camera_frame`` is the optical frame of the query."""
    message = msg.LoopQuery(header=conv.make_header(query.stamp_ns, camera_frame))
    message.session = query.session
    message.robot_id = query.robot_id
    message.keyframe_id = query.query_id
    message.status = int(query.status)
    message.candidate_sessions = [item.session for item in query.candidates]
    message.candidate_ids = [item.keyframe_id for item in query.candidates]
    message.candidate_similarities = [float(item.similarity) for item in query.candidates]
    message.stage_names = list(query.stage_ms)
    message.stage_ms = [float(value) for value in query.stage_ms.values()]
    return message


def query_from_message(message: msg.LoopQuery) -> LoopQuery:
    """Return the query; its closure travels as a message of its own and is None here.

    Raises:
        InputError: an unknown status, or arrays of different lengths.
    """
    columns = (
        message.candidate_sessions,
        message.candidate_ids,
        message.candidate_similarities,
    )
    if len({len(column) for column in columns}) != 1:
        lengths = [len(column) for column in columns]
        raise InputError(f'query {message.keyframe_id} has candidate arrays of lengths {lengths}')
    try:
        status = Status(message.status)
    except ValueError as err:
        raise InputError(f'query {message.keyframe_id} has status {message.status}') from err
    return LoopQuery(
        query_id=message.keyframe_id,
        session=message.session,
        stamp_ns=conv.stamp_to_ns(message.header.stamp),
        status=status,
        candidates=tuple(
            Candidate(keyframe_id, session, similarity)
            for session, keyframe_id, similarity in zip(*columns, strict=True)
        ),
        stage_ms=dict(zip(message.stage_names, message.stage_ms, strict=False)),
        robot_id=message.robot_id,
    )


def _features(message: msg.KeyFrame) -> Features:
    points_px = _rows(message, 'keypoints_px', 2, np.float32)
    N = len(points_px)
    return Features(
        points_px=points_px,
        points_normalised=_rows(message, 'keypoints_normalised', 2, np.float64, N),
        sizes_px=np.full(N, ORB_SIZE_PX, np.float32),  # the message does not say
        angles_deg=np.zeros(N, np.float32),
        responses=np.zeros(N, np.float32),
        descriptors=_rows(message, 'descriptors', 32, np.uint8, N),
        landmarks_m=_rows(message, 'landmarks', 3, np.float64, N),
    )


def _rows(
    message: msg.KeyFrame, name: str, width: int, dtype: type, length: int | None = None
) -> NDArray:  # type: ignore[type-arg]
    values = np.asarray(getattr(message, name), dtype=dtype)
    if values.size % width or (length is not None and values.size not in (0, length * width)):
        raise InputError(
            f'keyframe {message.keyframe_id} has {values.size} values in {name} '
            f'for {length} keypoints'
        )
    if values.size == 0 and length:  # an array that was not sent
        return np.full((length, width), np.nan if dtype is np.float64 else 0).astype(dtype)
    return values.reshape(-1, width)
