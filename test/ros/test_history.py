"""What late back ends are told: everything that is there, and nothing that was removed."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.ros.history import History
from s3e_gnn_ros.types import KeyframeKey


def keyframe(session, number):
    return msg.KeyFrame(session=session, keyframe_id=number, camera_frame=f'eye_{session}')


def closure(query, match):
    return msg.LoopClosure(
        query_session=query[0], query_id=query[1], match_session=match[0], match_id=match[1]
    )


@pytest.fixture
def history():
    history = History()
    for number in range(3):
        history.add(keyframe(1, number), [])
    history.extend([keyframe(2, number) for number in range(2)], [closure((2, 0), (1, 1))])
    history.add(keyframe(2, 2), [closure((2, 2), (1, 0)), closure((2, 2), (1, 2))])
    return history


def asked(history, session=0, first_id=0):
    request = srv.GetKeyFrames.Request(session=session, first_id=first_id)
    response = history.answer(request, srv.GetKeyFrames.Response())
    return (
        [(k.session, k.keyframe_id) for k in response.keyframes],
        [
            ((c.query_session, c.query_id), (c.match_session, c.match_id))
            for c in response.closures
        ],
    )


def test_it_answers_by_session_and_id(history):
    keyframes, closures = asked(history)
    assert keyframes == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    assert len(closures) == 3
    assert asked(history, 2, 1) == (
        [(2, 1), (2, 2)],
        [((2, 2), (1, 0)), ((2, 2), (1, 2))],
    )


def test_what_was_removed_is_gone_with_its_closures_and_not_new(history):
    history.remove([KeyframeKey(1, 2), KeyframeKey(2, 0), KeyframeKey(9, 9)])
    keyframes, closures = asked(history)
    assert keyframes == [(1, 0), (1, 1), (2, 1), (2, 2)]
    assert closures == [((2, 2), (1, 0))]
    assert KeyframeKey(1, 2) not in history
    assert history.is_passed(KeyframeKey(1, 2))
    assert not history.is_passed(KeyframeKey(1, 3))
    assert not history.is_passed(KeyframeKey(9, 9))


def test_a_refined_closure_takes_the_place_of_the_first(history):
    better = closure((2, 2), (1, 0))
    better.num_inliers = 77
    history.replace_closure(better)
    response = history.answer(srv.GetKeyFrames.Request(), srv.GetKeyFrames.Response())
    assert [c.num_inliers for c in response.closures] == [0, 77, 0]


def test_the_camera_frame_of_a_match(history):
    assert history.camera_frame(KeyframeKey(2, 1), 'other') == 'eye_2'
    assert history.camera_frame(KeyframeKey(3, 1), 'other') == 'other'
