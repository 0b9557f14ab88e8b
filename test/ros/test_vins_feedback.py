"""Loops fed back to the estimator, and what its answers change."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from nav_msgs.msg import Odometry

from s3e_gnn_ros import msg
from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import names
from s3e_gnn_ros.ros.statistics import Statistics
from s3e_gnn_ros.ros.vins_feedback import VinsFeedback
from s3e_gnn_ros.types import LoopClosure, LoopQuery, Status

T_BODY_CAMERA = se3.expmap([0.5, -1.2, 0.3, 0.05, 0.02, -0.01])
T_ODOM_OLD = se3.expmap([0.0, 0.0, 0.3, 1.0, 2.0, 0.1])
T_OLD_CURRENT = se3.expmap([0.02, -0.03, 0.2, 0.4, 0.1, 0.05])
CONFIG = NodeConfig(feedback=True, feedback_min_points=4)
STAMP_NS = 1_700_000_123_456_789_012


def in_camera(T):
    return se3.inverse(T_BODY_CAMERA) @ T @ T_BODY_CAMERA


class Scene:
    """A feedback whose node only remembers."""

    def __init__(self, config=CONFIG, T_body_camera=T_BODY_CAMERA):
        self.sent, self.refined, self.take = [], [], {}
        self.statistics = Statistics()
        node = SimpleNamespace(
            create_publisher=lambda *_: SimpleNamespace(publish=self.sent.append),
            create_subscription=lambda _kind, name, take, _qos: self.take.update({name: take}),
        )
        self.feedback = VinsFeedback(
            node,
            config,
            SimpleNamespace(counted=lambda _name, take: take),
            self.statistics,
            lambda: T_body_camera,
            self.refined.append,
        )
        self.feedback.listen()

    def send(self, query, ids, keyframe_id=7, T_odom_body=None, session=1):
        T = T_ODOM_OLD @ T_OLD_CURRENT if T_odom_body is None else T_odom_body
        keyframe = SimpleNamespace(
            keyframe_id=keyframe_id,
            session=session,
            stamp_ns=STAMP_NS,
            T_odom_camera=T @ T_BODY_CAMERA,
        )
        self.feedback.send(keyframe, query, None if ids is None else np.array(ids))

    def see_old(self, session=1):
        """Let the keyframe pass that will be the match."""
        self.send(query_of(), None, keyframe_id=2, T_odom_body=T_ODOM_OLD, session=session)

    def answer(self, T, index=7, stamp_ns=STAMP_NS):
        message = Odometry(header=conv.make_header(stamp_ns, 'world'))
        message.pose.pose = conv.pose_to_message(T)
        message.twist.twist.linear.y = float(index)
        self.take[names.RELO_RELATIVE_POSE](message)

    def place(self, T_map_camera, keyframe_id=2, session=1):
        message = msg.KeyframePoses(sessions=[session], keyframe_ids=[keyframe_id])
        message.t_map_camera = [conv.pose_to_message(T_map_camera)]
        self.take[names.KEYFRAME_POSES](message)

    @property
    def counters(self):
        counters = self.statistics.counters()
        return {name.removeprefix('feedback.'): number for name, number in counters.items()}


def closure(T_old_current=T_OLD_CURRENT, match_id=2, session=1):
    return LoopClosure(
        7, match_id, session, session, STAMP_NS, 0, in_camera(T_old_current), 1e-4 * np.eye(6),
        0.9, 50, 0.8,
    )  # fmt: skip


PAIRS = np.array([[0, 9], [2, 8], [3, 7], [5, 6], [4, 5], [1, 4]])
POINTS = np.arange(12).reshape(6, 2) / 16.0
IDS = [30, -1, 10, 20, -1, 40]  # of the features 0 to 5


def query_of(*closures, pairs=PAIRS, points=POINTS):
    status = Status.LOOP_DETECTED if closures else Status.LOW_SCORES
    number = len(closures)
    return LoopQuery(
        7, 1, STAMP_NS, status, (), closures,
        inlier_pairs=(pairs,) * number, match_points=(points,) * number,
    )  # fmt: skip


def test_only_inliers_with_a_track_number_go_out_and_the_pose_is_that_of_the_body():
    scene = Scene()
    scene.see_old()
    scene.send(query_of(closure()), IDS)
    (message,) = scene.sent
    # Pairs (2, 8), (3, 7), (0, 9), (5, 6) by increasing number of the query's feature.
    assert [(p.x, p.y, p.z) for p in message.points] == [
        (2 / 16, 3 / 16, 10.0),
        (4 / 16, 5 / 16, 20.0),
        (0 / 16, 1 / 16, 30.0),
        (6 / 16, 7 / 16, 40.0),
    ]
    qx, qy, qz, qw = se3.quat_xyzw(T_ODOM_OLD)
    expected = [*T_ODOM_OLD[:3, 3], qw, qx, qy, qz, 7.0]
    np.testing.assert_allclose(message.channels[0].values, expected, atol=1e-6)
    assert conv.stamp_to_ns(message.header.stamp) == STAMP_NS
    assert scene.counters == {'sent': 1}


def test_the_corrected_pose_replaces_odometry_once_there_is_one():
    scene = Scene()
    scene.see_old()
    T_map_old = se3.expmap([0.0, 0.1, 0.0, 0.5, 0.0, 0.0]) @ T_ODOM_OLD
    scene.place(T_map_old @ T_BODY_CAMERA)
    scene.send(query_of(closure()), IDS)
    values = scene.sent[0].channels[0].values
    np.testing.assert_allclose(values[:3], T_map_old[:3, 3], atol=1e-6)
    x, y, z, w = se3.quat_xyzw(T_map_old)
    np.testing.assert_allclose(values[3:7], [w, x, y, z], atol=1e-6)


def test_odometry_of_another_session_has_another_origin():
    scene = Scene()
    scene.see_old(session=1)
    loop = dataclasses.replace(closure(), query_session=3)
    scene.send(query_of(loop), IDS, session=3)
    assert scene.sent == []
    assert scene.counters == {'unknown_pose': 1}
    scene.place(T_ODOM_OLD @ T_BODY_CAMERA)  # now both are in the map
    scene.send(query_of(loop), IDS, session=3)
    assert len(scene.sent) == 1


def test_of_several_loops_the_one_with_most_tracked_features_is_told():
    scene = Scene()
    scene.see_old()
    near, far = closure(), closure(match_id=9)
    few = dataclasses.replace(query_of(far, near), inlier_pairs=(PAIRS[:3], PAIRS))
    few = dataclasses.replace(few, match_points=(POINTS[:3], POINTS))
    scene.send(few, IDS)  # keyframe 9 would have three points, and its pose is not known
    assert len(scene.sent[0].points) == 4


@pytest.mark.parametrize(
    ('T_old_current', 'outcome'),
    [
        (se3.expmap([0, 0, np.radians(29.9), 0, 0, 0]), 'sent'),
        (se3.expmap([0, 0, np.radians(30.1), 0, 0, 0]), 'too_wide'),
        (se3.expmap([0, np.radians(50.0), 0, 0, 0, 0]), 'sent'),  # no yaw at all
        (se3.make_pose(translation=(0, 19.9, 0)), 'sent'),
        (se3.make_pose(translation=(0, 20.1, 0)), 'too_wide'),
    ],
)
def test_loops_too_wide_for_the_estimator_are_kept_from_it(T_old_current, outcome):
    scene = Scene()
    level = se3.make_pose(translation=(1.0, 2.0, 0.0))
    scene.send(query_of(), None, keyframe_id=2, T_odom_body=level)
    scene.send(query_of(closure(T_old_current)), IDS, T_odom_body=level @ T_old_current)
    assert scene.counters == {outcome: 1}
    assert len(scene.sent) == (outcome == 'sent')


def test_too_few_points_no_extrinsic_no_track_numbers():
    scene = Scene(dataclasses.replace(CONFIG, feedback_min_points=5))
    scene.see_old()
    scene.send(query_of(closure()), IDS)
    assert scene.counters == {'few_points': 1}
    unknown = Scene(T_body_camera=None)
    unknown.send(query_of(closure()), IDS)
    assert unknown.counters == {'unknown_body': 1}
    scene.send(query_of(closure()), None)
    assert scene.sent == unknown.sent == []


def test_switched_off_it_neither_publishes_nor_listens():
    scene = Scene(NodeConfig())
    scene.see_old()
    scene.send(query_of(closure()), IDS)
    assert scene.take == {}
    assert scene.sent == []
    assert scene.counters == {}


@pytest.fixture
def asked():
    scene = Scene()
    scene.see_old()
    scene.send(query_of(closure()), IDS)
    return scene


def test_an_answer_becomes_the_closure_between_the_cameras(asked):
    T_refined = T_OLD_CURRENT @ se3.expmap([0.0, 0.01, 0.02, 0.05, 0.0, 0.0])
    asked.answer(T_refined, stamp_ns=STAMP_NS + 200)  # seconds in floating point
    (refined,) = asked.refined
    np.testing.assert_allclose(refined.T_match_query, in_camera(T_refined), atol=1e-9)
    original = closure()
    for name in ('query_id', 'match_id', 'query_session', 'query_stamp_ns', 'similarity'):
        assert getattr(refined, name) == getattr(original, name)
    np.testing.assert_array_equal(refined.covariance, original.covariance)
    assert asked.counters == {'sent': 1, 'refined': 1}
    with pytest.raises(DropError, match='no loop was fed back'):
        asked.answer(T_refined)  # once only


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (se3.make_pose(translation=(0.6, 0, 0)), '0.60 m'),
        (se3.expmap([0, 0, np.radians(11.0), 0, 0, 0]), '11.0 deg'),
    ],
)
def test_an_answer_far_from_the_loop_is_dropped(asked, change, sentence):
    with pytest.raises(DropError, match=sentence) as caught:
        asked.answer(T_OLD_CURRENT @ change)
    assert caught.value.reason == 'relo_pose'
    assert asked.refined == []


def test_an_answer_wider_than_allowed_is_dropped():
    scene = Scene()
    level = se3.make_pose(translation=(1.0, 2.0, 0.0))
    scene.send(query_of(), None, keyframe_id=2, T_odom_body=level)
    T = se3.expmap([0, 0, np.radians(29.0), 0, 0, 0])
    scene.send(query_of(closure(T)), IDS, T_odom_body=level @ T)
    with pytest.raises(DropError, match=r'deg of yaw'):
        scene.answer(T @ se3.expmap([0, 0, np.radians(2.0), 0, 0, 0]))


@pytest.mark.parametrize(('index', 'late_ns'), [(8, 0), (7, 2_000_000)])
def test_an_answer_to_what_was_never_asked_is_dropped(asked, index, late_ns):
    with pytest.raises(DropError, match='no loop was fed back'):
        asked.answer(T_OLD_CURRENT, index, STAMP_NS + late_ns)
    asked.answer(T_OLD_CURRENT)  # the right one is still awaited
    assert len(asked.refined) == 1


def test_other_limits_hold_for_the_next_keyframe():
    scene = Scene()
    scene.see_old()
    scene.feedback.set_config(dataclasses.replace(CONFIG, feedback_min_points=5))
    scene.send(query_of(closure()), IDS)
    assert not scene.sent
    scene.feedback.set_config(CONFIG)
    scene.send(query_of(closure()), IDS)
    assert len(scene.sent) == 1
