"""Keyframes, queries and closures as messages, and back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from s3e_gnn_ros import msg
from s3e_gnn_ros.errors import InputError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import loop_messages as lm
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

ids = st.integers(0, 2**32 - 1)
sessions = st.integers(0, 2**63 - 1)
stamps = st.integers(0, 2**31 * 10**9 - 1)
robots = st.sampled_from(['', 'a', 'robot_2'])


@st.composite
def closures(draw):
    A = draw(arrays(np.float64, (6, 6), elements=st.floats(-1, 1)))
    return LoopClosure(
        query_id=draw(ids),
        match_id=draw(ids),
        query_session=draw(sessions),
        match_session=draw(sessions),
        query_stamp_ns=draw(stamps),
        match_stamp_ns=draw(stamps),
        T_match_query=se3.expmap(draw(arrays(np.float64, 6, elements=st.floats(-3, 3)))),
        covariance=A @ A.T + 0.01 * np.eye(6),
        similarity=draw(st.floats(0, 1, width=32)),
        num_inliers=draw(st.integers(0, 10000)),
        inlier_ratio=draw(st.floats(0, 1, width=32)),
        query_robot_id=draw(robots),
        match_robot_id=draw(robots),
    )


@given(closures())
def test_closures_survive(closure):
    back = lm.closure_from_message(lm.closure_to_message(closure, 'camera'))
    for name, value in vars(closure).items():
        if isinstance(value, str):
            assert getattr(back, name) == value, name
            continue
        np.testing.assert_allclose(getattr(back, name), value, atol=1e-12, err_msg=name)


@given(
    st.lists(st.tuples(ids, sessions, st.floats(0, 1, width=32)), max_size=5),
    st.sampled_from(list(Status)),
)
def test_queries_survive(candidates, status):
    query = LoopQuery(
        7,
        3,
        12345,
        status,
        tuple(Candidate(*c) for c in candidates),
        stage_ms={'features': 1.5},
        robot_id='a',
    )
    back = lm.query_from_message(lm.query_to_message(query, 'camera'))
    assert (back.query_id, back.session, back.stamp_ns) == (7, 3, 12345)
    assert back.robot_id == 'a'
    assert (back.status, back.candidates, back.stage_ms) == (
        status,
        query.candidates,
        {'features': 1.5},
    )


def test_status_constants_are_those_of_the_message():
    names = {name: getattr(msg.LoopQuery, name) for name in Status.__members__}
    assert names == {name: int(status) for name, status in Status.__members__.items()}


def make_keyframe(num_features: int, has_depth: bool) -> Keyframe:
    rng = np.random.default_rng(0)
    N = num_features
    landmarks = rng.random((N, 3)).astype(np.float32).astype(np.float64)
    landmarks[::2] = np.nan
    features = Features(
        points_px=rng.random((N, 2), np.float32),
        points_normalised=rng.random((N, 2)).astype(np.float32).astype(np.float64),
        sizes_px=np.full(N, 31.0, np.float32),
        angles_deg=np.zeros(N, np.float32),
        responses=np.zeros(N, np.float32),
        descriptors=rng.integers(0, 256, (N, 32)).astype(np.uint8),
        landmarks_m=landmarks,
    )
    frame = Frame(
        stamp_ns=1_700_000_000_123_456_789,
        image=rng.integers(0, 256, (4, 6, 3)).astype(np.uint8),
        camera=PinholeCamera(6, 4, 5.0, 5.0, 3.0, 2.0),
        depth_m=rng.random((4, 6), np.float32) if has_depth else None,
        T_odom_camera=se3.expmap([0.1, 0.2, 0.3, 1, 2, 3]),
    )
    return Keyframe(4, 2**60, frame, features)


@pytest.mark.parametrize('num_features', [0, 1, 9])
@pytest.mark.parametrize('has_depth', [True, False])
def test_keyframes_survive(num_features, has_depth):
    keyframe = make_keyframe(num_features, has_depth)
    feature_ids = np.arange(num_features)
    message = lm.keyframe_to_message(
        keyframe, 'odom', 'camera', with_images=True, feature_ids=feature_ids
    )
    back = lm.keyframe_from_message(message)
    assert (back.keyframe_id, back.session, back.stamp_ns) == (4, 2**60, keyframe.stamp_ns)
    assert back.frame.camera == keyframe.frame.camera
    assert list(message.feature_ids) == feature_ids.tolist()
    np.testing.assert_array_equal(back.frame.image, keyframe.frame.image)
    np.testing.assert_allclose(back.T_odom_camera, keyframe.T_odom_camera, atol=1e-12)
    for name, value in vars(keyframe.features).items():
        np.testing.assert_array_equal(getattr(back.features, name), value, err_msg=name)
    if has_depth:
        np.testing.assert_array_equal(back.frame.depth_m, keyframe.frame.depth_m)
    else:
        assert back.frame.depth_m is None


def test_a_summary_carries_neither_image_nor_features():
    back = lm.keyframe_from_message(lm.keyframe_summary(make_keyframe(9, True), 'odom', 'camera'))
    assert back.frame.image.size == 0
    assert back.frame.depth_m is None
    assert len(back.features) == 0


def test_arrays_that_do_not_fit_are_refused():
    message = lm.keyframe_to_message(make_keyframe(3, False), 'odom', 'camera', with_images=False)
    message.descriptors = message.descriptors[:-1]
    with pytest.raises(InputError, match='95 values in descriptors for 3 keypoints'):
        lm.keyframe_from_message(message)


def test_an_unknown_status_is_refused():
    with pytest.raises(InputError, match='status 200'):
        lm.query_from_message(msg.LoopQuery(status=200))


def test_a_covariance_of_zeros_is_refused():
    message = msg.LoopClosure()
    with pytest.raises(InputError, match='covariance'):
        lm.closure_from_message(message)


def test_the_embedding_of_a_bare_wall_survives():
    wall = Encoding(
        np.zeros(4, np.float32),
        np.zeros((0, 0), np.float32),
        np.zeros((0, 2), np.float32),
        np.zeros(0, np.intp),
    )
    keyframe = dataclasses.replace(make_keyframe(0, False), encoding=wall)
    message = lm.keyframe_to_message(keyframe, 'odom', 'camera', with_images=False)
    back = lm.keyframe_from_message(message)
    assert back.encoding is not None
    assert back.encoding.embedding.tolist() == [0.0] * 4


@pytest.mark.parametrize('factor', [1e-3, 0.5, 1e30, float('nan')])
def test_an_embedding_that_is_not_of_unit_length_is_refused(factor):
    """It would win, or lose, every comparison."""
    vector = np.full(4, 0.5, np.float32)
    message = lm.keyframe_summary(make_keyframe(0, False), 'odom', 'camera')
    message.embedding = vector.tolist()
    assert lm.keyframe_from_message(message).encoding is not None
    message.embedding = (vector * np.float32(factor)).tolist()
    with pytest.raises(InputError, match='length'):
        lm.keyframe_from_message(message)
