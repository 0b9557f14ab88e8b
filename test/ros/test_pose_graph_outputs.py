"""The pose graph node alone, told by hand what a loop closure node would say."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')

from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from nav_msgs.msg import Odometry
from ros_services import Caller

from s3e_gnn_ros import msg, srv
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import map_to_odom, names
from s3e_gnn_ros.ros.loop_messages import closure_to_message
from s3e_gnn_ros.ros.qos import latched_qos, reliable_qos
from s3e_gnn_ros.types import KeyframeKey, LoopClosure, Status

S = 1_000_000_000
START_NS = 1_700_000_000 * S
CAMERA = PinholeCamera(160, 120, 130.0, 130.0, 79.5, 59.5)
T_BODY_CAMERA = se3.expmap([0.1, -1.4, 0.3, 0.05, 0.02, -0.01])
DRIFT = se3.expmap([0.0, 0.0, 0.004, 0.01, 0.0, 0.0])
EDIT = srv.EditClosure.Request


def truth(number):
    """Return the pose of the body: eight keyframes to a round of a circle."""
    turn = se3.expmap([0.0, 0.0, np.pi / 4 * number, 0.0, 0.0, 0.0])
    return turn @ se3.make_pose(translation=(1.0, 0, 0))


def drifted(number):
    T = truth(0)
    for i in range(number):
        T = T @ se3.inverse(truth(i)) @ truth(i + 1) @ DRIFT
    return T


def loop(query, match, sessions=(1, 1), shift_m=0.0):
    T_old_current = se3.inverse(truth(match)) @ truth(query)
    T = se3.inverse(T_BODY_CAMERA) @ T_old_current @ T_BODY_CAMERA
    T = T @ se3.make_pose(translation=(shift_m, 0, 0))
    return LoopClosure(query, match, *sessions, 0, 0, T, 1e-4 * np.eye(6), 0.9, 50, 0.8)


def twist_of(transform):
    t, q = transform.translation, transform.rotation
    return se3.pose_from_quat((t.x, t.y, t.z), (q.x, q.y, q.z, q.w))


class Scene:
    """A pose graph node, what it is told, and what it says."""

    def __init__(self, robot, *parameters):
        self.robot = robot
        self.caller = Caller(robot._context)
        create = self.caller.node.create_publisher
        latched = latched_qos(1000)
        self.send = {
            'keyframe': create(msg.KeyFrame, names.KEYFRAME, reliable_qos(1000)),
            'query': create(msg.LoopQuery, names.QUERY, latched),
            'closure': create(msg.LoopClosure, names.CLOSURE, latched),
            'removed': create(msg.KeyframeIds, names.REMOVED, latched),
            'base_map': create(msg.KeyframePoses, names.BASE_MAP, latched),
        }
        keep, qos = self.caller.keep, reliable_qos(1000)
        self.rect = keep(Odometry, names.ODOMETRY_RECT, qos)
        self.corrected = keep(Odometry, names.CORRECTED_ODOMETRY, qos)
        self.poses = keep(PoseWithCovarianceStamped, names.CORRECTED_POSE, qos)
        self.placed = keep(msg.KeyframePoses, names.KEYFRAME_POSES, latched_qos(1))
        self.transforms = []
        if map_to_odom.TFMessage is None:
            self.transforms = keep(TransformStamped, names.MAP_TO_ODOM, qos)
        else:
            self.caller.node.create_subscription(
                map_to_odom.TFMessage, '/tf', lambda m: self.transforms.extend(m.transforms), qos
            )
        words = [word for parameter in parameters for word in ('-p', parameter)]
        self.node = robot.start('pose_graph', *words)
        self.wait(lambda: all(p.get_subscription_count() for p in self.send.values()))
        # Found from both sides: who is not counted by the node is not published to.
        self.wait(self.is_heard)

    def is_heard(self):
        return all(
            self.caller.node.count_publishers(name)
            for name in (names.ODOMETRY_RECT, names.CORRECTED_POSE, names.KEYFRAME_POSES)
        )

    def wait(self, condition, limit_s=30.0):
        def spun():
            self.caller.spin(0.05)
            return condition()

        self.robot.wait(spun, self.node, limit_s)

    def odometry(self, second, T_odom_body, frame='world'):
        """Publish odometry of the body, with a twist and a covariance."""
        header = conv.make_header(START_NS + round(second * S), frame)
        message = Odometry(header=header, child_frame_id='body')
        message.pose.pose = conv.pose_to_message(T_odom_body)
        message.twist.twist.linear.x = 0.5
        self.robot.publishers['odometry'].publish(message)

    def keyframe(self, number, second, T_odom_body=None, session=1, frame='world', robot_id=''):
        """Publish a keyframe of the camera, and that it was searched for."""
        T = drifted(number) if T_odom_body is None else T_odom_body
        stamp_ns = START_NS + round(second * S)
        message = msg.KeyFrame(header=conv.make_header(stamp_ns, frame))
        message.session, message.keyframe_id, message.robot_id = session, number, robot_id
        message.t_odom_camera = conv.pose_to_message(T @ T_BODY_CAMERA)
        message.camera_info = conv.camera_to_message(CAMERA, message.header)
        self.send['keyframe'].publish(message)
        query = msg.LoopQuery(header=conv.make_header(stamp_ns, 'camera'))
        query.session, query.keyframe_id, query.robot_id = session, number, robot_id
        query.status = int(Status.CLOSE_MATCHES_ONLY)
        self.send['query'].publish(query)

    def drive(self, number=12, session=1):
        """Odometry and keyframes of a round and a half, one a second."""
        for i in range(number):
            self.odometry(i, drifted(i))
            self.keyframe(i, i, session=session)
        self.settle(number)

    def close_loop(self, *loops):
        for item in loops:
            self.send['closure'].publish(closure_to_message(item, 'camera'))

    def settle(self, keyframes, **counters):
        """Wait until the node has counted as much, rests, and this test knows its last word."""

        def is_done():
            status = self.robot.graph_status()
            wanted = {'keyframes': keyframes, **counters}
            return status.is_idle and all(status.counters[k] == n for k, n in wanted.items())

        self.wait(is_done)
        self.caller.spin(1.2)  # two ticks of the node

    def graph(self):
        return self.robot.collector.pose_graph()[0]

    def T_map_odom(self, key):
        """Return what the correction has to be by a keyframe of the graph."""
        T_odom_camera = drifted(key.keyframe_id) @ T_BODY_CAMERA
        return self.graph()[key] @ se3.inverse(T_odom_camera)

    def heard(self, second, T_odom_body):
        """Publish odometry; return the first answer on each topic."""
        lists = self._ask(second, T_odom_body)
        self.wait(lambda: all(lists), limit_s=10.0)
        return [items[0] for items in lists]

    def hears_nothing(self, second, T_odom_body):
        """Publish odometry; return whether it has no answer."""
        lists = self._ask(second, T_odom_body)
        self.caller.spin(0.6)
        return not any(lists)

    def _ask(self, second, T_odom_body):
        lists = (self.rect, self.corrected, self.poses, self.transforms)
        for items in lists:
            items.clear()
        self.odometry(second, T_odom_body)
        return lists

    def edit(self, action, item, query_id=None):
        return self.caller.call(
            srv.EditClosure,
            names.EDIT_CLOSURE,
            action=action,
            query_session=item.query_session,
            query_id=item.query_id if query_id is None else query_id,
            match_session=item.match_session,
            match_id=item.match_id,
        )

    def weights(self):
        placed = self.placed[-1]
        pairs = zip(placed.closure_query_ids, placed.closure_match_ids, strict=True)
        return dict(zip(pairs, placed.closure_weights, strict=True))


@pytest.fixture
def scene(robot):
    scene = Scene(robot)
    yield scene
    scene.caller.close()


def assert_poses(found, expected, atol=1e-6):
    assert list(found) == list(expected)
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=0, atol=atol)


def test_every_output_is_the_correction_of_the_newest_keyframe_times_odometry(scene):
    assert scene.hears_nothing(-1.0, drifted(0))  # nothing is known yet
    scene.drive()
    scene.close_loop(loop(8, 0), loop(11, 3))
    scene.settle(12, closures=2)
    T_map_odom = scene.T_map_odom(KeyframeKey(1, 11))
    assert np.abs(T_map_odom - np.eye(4)).max() > 0.02
    np.testing.assert_allclose(  # known by now, though odometry has paused since
        twist_of(scene.transforms[-1].transform), T_map_odom, rtol=0, atol=1e-6
    )
    T_odom_body = drifted(11) @ se3.expmap([0, 0, 0.1, 0.2, 0, 0])
    rect, corrected, pose, transform = scene.heard(11.5, T_odom_body)
    stamp_ns = START_NS + 11_500_000_000
    for message, frame in ((rect, 'world'), (corrected, 'map'), (pose, 'map')):
        assert message.header.frame_id == frame
        assert conv.stamp_to_ns(message.header.stamp) == stamp_ns
        found = conv.pose_from_message(message.pose.pose)
        np.testing.assert_allclose(found, T_map_odom @ T_odom_body, rtol=0, atol=1e-6)
    assert rect.child_frame_id == corrected.child_frame_id == 'body'
    assert corrected.twist.twist.linear.x == 0.5
    assert (transform.header.frame_id, transform.child_frame_id) == ('map', 'world')
    np.testing.assert_allclose(twist_of(transform.transform), T_map_odom, rtol=0, atol=1e-6)
    # The pose's own covariance is that of the keyframe at least, and grows with the way since.
    near = pose.pose.covariance.reshape(6, 6)
    assert (np.linalg.eigvalsh(near) > 0).all()
    far = scene.heard(12.5, T_odom_body @ se3.make_pose(translation=(4.0, 0, 0)))[2]
    assert np.trace(far.pose.covariance.reshape(6, 6)[:3, :3]) > np.trace(near[:3, :3])


def test_nothing_is_said_from_before_odometry_began_anew(scene):
    scene.drive()
    scene.heard(11.5, drifted(11))
    away = se3.make_pose(translation=(-40.0, 0, 0))
    assert scene.hears_nothing(11.6, away @ drifted(0))  # the front end began again
    assert scene.hears_nothing(12.2, away @ drifted(0))  # this is no single wrong pose
    # Its first keyframe does not say where in the map it is; only a loop does.
    scene.keyframe(12, 12.3, T_odom_body=away @ truth(4))
    scene.settle(13, odometry_breaks=1)
    assert scene.hears_nothing(13.2, away @ truth(4))
    scene.close_loop(loop(12, 4))
    scene.settle(13, closures=1)
    rect, *_ = scene.heard(13.3, away @ truth(4))
    expected = scene.graph()[KeyframeKey(1, 12)] @ se3.inverse(T_BODY_CAMERA)
    np.testing.assert_allclose(conv.pose_from_message(rect.pose.pose), expected, rtol=0, atol=1e-6)
    # A keyframe of another robot moves nothing.
    scene.keyframe(0, 13.4, session=9, robot_id='other', frame='theirs')
    scene.settle(14)
    again, *_ = scene.heard(13.5, away @ truth(4))
    np.testing.assert_allclose(
        conv.pose_from_message(again.pose.pose), expected, rtol=0, atol=1e-6
    )


def test_smoothly_means_that_the_corrected_pose_does_not_jump(robot):
    scene = Scene(robot, 'node.correction:=smooth', 'node.correction_time_s:=2.0')
    scene.drive()
    before, *_ = scene.heard(11.5, drifted(11))
    scene.close_loop(loop(8, 0), loop(11, 3))
    scene.settle(12, closures=2)
    goal = scene.T_map_odom(KeyframeKey(1, 11)) @ drifted(11)
    start = conv.pose_from_message(before.pose.pose)
    whole_m = np.linalg.norm(goal[:3, 3] - start[:3, 3])
    assert whole_m > 0.03
    for second in (11.6, 13.5, 31.5):
        rect, corrected, _, transform = scene.heard(second, drifted(11))
        share = 1 - np.exp(-(second - 11.5) / 2.0)
        T = conv.pose_from_message(rect.pose.pose)
        expected = se3.interpolate(start, goal, share)
        np.testing.assert_allclose(T, expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(conv.pose_from_message(corrected.pose.pose), T, atol=1e-9)
        found = twist_of(transform.transform) @ drifted(11)
        np.testing.assert_allclose(found, T, rtol=0, atol=1e-9)
    scene.caller.close()


def test_closures_are_taken_out_put_back_and_pinned(scene):
    scene.drive()
    scene.close_loop(loop(8, 0))
    scene.settle(12, closures=1)
    with_one = scene.graph()
    scene.close_loop(loop(11, 3))
    scene.settle(12, closures=2)
    with_both = scene.graph()
    moved = max(np.abs(with_both[key] - with_one[key]).max() for key in with_one)
    assert moved > 1e-4
    answer = scene.edit(EDIT.REMOVE, loop(11, 3))
    assert answer.success
    scene.settle(12)
    assert_poses(scene.graph(), with_one)
    assert scene.weights()[11, 3] == 0
    assert scene.weights()[8, 0] == pytest.approx(1.0)
    for action in (EDIT.ADD, EDIT.PIN, EDIT.UNPIN):
        assert scene.edit(action, loop(11, 3)).success
        scene.settle(12)
        assert_poses(scene.graph(), with_both)
        assert scene.weights()[11, 3] == pytest.approx(1.0)
    answer = scene.edit(EDIT.REMOVE, loop(11, 3), query_id=7)
    assert not answer.success
    assert 'no closure' in answer.message
    assert not scene.edit(77, loop(11, 3)).success


def test_removed_keyframes_go_and_fixed_ones_stay(scene):
    fixed = {KeyframeKey(1, i): truth(i) @ T_BODY_CAMERA for i in range(8)}
    message = msg.KeyframePoses(sessions=[1] * 8, keyframe_ids=list(range(8)))
    message.t_map_camera = [conv.pose_to_message(T) for T in fixed.values()]
    scene.send['base_map'].publish(message)
    scene.drive(8)
    # A new session, long after, that hangs on the base map by its loop alone.
    for i in range(4):
        scene.odometry(1000 + i, drifted(i))
        scene.keyframe(i, 1000 + i, session=2)
    scene.close_loop(loop(2, 2, sessions=(2, 1)), loop(3, 3, sessions=(2, 1), shift_m=0.02))
    scene.settle(12, closures=2)
    graph = scene.graph()
    found = {key: graph[key] for key in fixed}
    assert_poses(found, fixed)
    gone = msg.KeyframeIds(sessions=[1, 2], keyframe_ids=[5, 1])
    scene.send['removed'].publish(gone)
    scene.settle(12, keyframes_removed=2)
    left = scene.graph()
    assert list(left) == [
        key for key in graph if key not in (KeyframeKey(1, 5), KeyframeKey(2, 1))
    ]
    assert list(scene.placed[-1].keyframe_ids) == [key.keyframe_id for key in left]
    for key in left:
        assert se3.translation_m(se3.inverse(graph[key]) @ left[key]) < 0.01
