"""Any message to any callback: used, or dropped and counted, never an error nobody foresaw."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('s3e_gnn_ros.msg')
# Numbers that overflow are judged by what comes of them.
pytestmark = pytest.mark.filterwarnings('ignore::RuntimeWarning')

import cv2
from builtin_interfaces.msg import Time
from fuzzing import fuzzed
from geometry_msgs.msg import Point32, PoseStamped, PoseWithCovarianceStamped
from hypothesis import given
from hypothesis import strategies as st
from message_strategies import messages, mutated
from nav_msgs.msg import Odometry
from node_rig import is_bug, node_of
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, ChannelFloat32, CompressedImage, Image, PointCloud

from s3e_gnn_ros import msg
from s3e_gnn_ros.config import FeatureConfig
from s3e_gnn_ros.encoder.features import OrbExtractor
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.database_node import DatabaseNode
from s3e_gnn_ros.ros.loop_closure_node import LoopClosureNode
from s3e_gnn_ros.ros.loop_messages import (
    closure_to_message,
    keyframe_to_message,
    query_to_message,
)
from s3e_gnn_ros.ros.pose_graph_node import PoseGraphNode
from s3e_gnn_ros.types import (
    Candidate,
    Encoding,
    Frame,
    Keyframe,
    LoopClosure,
    LoopQuery,
    Status,
)

CAMERA = PinholeCamera(160, 120, 120.0, 120.0, 79.5, 59.5)
START_NS = 1_700_000_000_000_000_000
STEP_NS = 100_000_000
_RNG = np.random.default_rng(5)
_PICTURE = np.kron(_RNG.integers(0, 256, (30, 40)), np.ones((4, 4))).astype(np.uint8)
_DEPTH_M = np.full(_PICTURE.shape, 2.0, np.float32)
_STEPS = st.integers(0, 8)


def pose(number: int) -> np.ndarray:
    return se3.make_pose(translation=(0.3 * number, 0.0, 0.0))


def header(number: int, frame: str = 'camera'):
    return conv.make_header(START_NS + number * STEP_NS, frame)


def odometry(number: int) -> Odometry:
    message = Odometry(header=header(number, 'odom'), child_frame_id='camera')
    message.pose.pose = conv.pose_to_message(pose(number))
    return message


def compressed(number: int, image: np.ndarray, head: bytes = b'', form: str = 'png'):
    data = head + cv2.imencode('.png', image)[1].tobytes()
    return CompressedImage(header=header(number), format=form, data=data)


def cloud(number: int) -> PointCloud:
    channels = [
        ChannelFloat32(values=[0.01 * k, 0.0, 60.0 + k, 60.0 + k, 1000.0 + k]) for k in range(20)
    ]
    points = [Point32(x=0.02 * k, y=0.0, z=2.0) for k in range(20)]
    return PointCloud(header=header(number, 'world'), points=points, channels=channels)


def keyframe(number: int, session: int = 7) -> msg.KeyFrame:
    T = pose(number)
    frame = Frame(START_NS + number * STEP_NS, _PICTURE, CAMERA, _DEPTH_M, T_odom_camera=T)
    features = OrbExtractor(FeatureConfig(num_features=60)).extract(frame)
    embedding = np.eye(256, dtype=np.float32)[number]
    nothing = np.zeros((0, 0), np.float32), np.zeros((0, 2), np.float32), np.zeros(0, np.intp)
    made = Keyframe(number, session, frame, features, Encoding(embedding, *nothing), 'other')
    return keyframe_to_message(made, 'odom', 'camera', with_images=True)


def closure(number: int) -> msg.LoopClosure:
    T = se3.inverse(pose(0)) @ pose(number)
    made = LoopClosure(number, 0, 7, 7, 0, 0, T, 1e-3 * np.eye(6), 0.9, 50, 0.8)
    return closure_to_message(made, 'camera')


def query(number: int) -> msg.LoopQuery:
    status = Status.TOO_FEW_INLIERS
    made = LoopQuery(number, 7, START_NS, status, (Candidate(0, 7, 0.5),), {'features': 1.0})
    return query_to_message(made, 'camera')


def placed(number: int) -> msg.KeyframePoses:
    message = msg.KeyframePoses(header=header(number, 'map'))
    message.sessions, message.keyframe_ids = [7] * number, list(range(number))
    message.t_map_camera = [conv.pose_to_message(pose(k)) for k in range(number)]
    message.closure_query_sessions, message.closure_query_ids = [7], [number]
    message.closure_match_sessions, message.closure_match_ids = [7], [0]
    message.closure_weights = [0.5]
    return message


def pose_stamped(number: int) -> PoseStamped:
    return PoseStamped(header=header(number, 'odom'), pose=conv.pose_to_message(pose(number)))


def pose_with_covariance(number: int) -> PoseWithCovarianceStamped:
    message = PoseWithCovarianceStamped(header=header(number, 'odom'))
    message.pose.pose = conv.pose_to_message(pose(number))
    return message


def image(number: int) -> Image:
    return conv.image_to_message(_PICTURE, header(number))


VALID = {
    Odometry: odometry,
    CameraInfo: lambda number: conv.camera_to_message(CAMERA, header(number)),
    CompressedImage: lambda number: compressed(number, _PICTURE),
    PointCloud: cloud,
    msg.KeyFrame: keyframe,
    msg.LoopClosure: closure,
    msg.LoopQuery: query,
    msg.KeyframePoses: placed,
    msg.KeyframeIds: lambda number: msg.KeyframeIds(sessions=[7], keyframe_ids=[number]),
    PoseStamped: pose_stamped,
    PoseWithCovarianceStamped: pose_with_covariance,
}


def valid(subscription, number: int):
    """Return what a topic should carry."""
    topic = subscription.topic_name
    if subscription.msg_type is Image:
        if 'depth' in topic:
            return conv.depth_to_message(_DEPTH_M, header(number))
        return image(number)
    if topic.endswith('compressedDepth'):
        return compressed(
            number, np.full((120, 160), 2000, np.uint16), bytes(12), '16UC1; compressedDepth'
        )
    return VALID[subscription.msg_type](number)


class Stream(list):
    """Messages with their topics, without the megabytes of what they hold in a failure's text."""

    def __repr__(self) -> str:
        return f'{len(self)} messages'


class Hidden:
    """A message without the megabytes of what it holds in a failure's text."""

    def __init__(self, message):
        self.message = message

    def __repr__(self):
        return type(self.message).__name__


@st.composite
def streams(draw, rig):
    """Draw messages to the topics of a node, in an order close to that of their stamps."""
    topics = sorted(rig.subscriptions)
    stream = Stream()
    for number in sorted(draw(st.lists(_STEPS, min_size=1, max_size=4))):
        for topic in topics:
            if draw(st.integers(0, 3)) == 0:
                continue
            subscription = rig.subscriptions[topic]
            if draw(st.integers(0, 5)) == 0:
                message = draw(messages(subscription.msg_type))
            else:
                message = draw(mutated(valid(subscription, number)))
            stream.append((topic, message))
    return stream


BOW = {'retrieval.method': 'bow', 'features.num_features': 100, 'keyframes.min_interval_s': 0.0}
LOOP_CLOSURE = {
    'odometry': {**BOW, 'map.name': 'written', 'map.thumbnail_width_px': 64},
    's3e': {'features.num_features': 100, 'keyframes.min_interval_s': 0.0},
    'compressed': {**BOW, 'node.image_transport': 'compressed', 'node.pose_type': 'pose'},
    'vins': {**BOW, 'node.host': 'vins', 'node.feedback': True},
    'openvins': {**BOW, 'node.host': 'openvins', 'node.use_depth': False},
    'orb_slam3': {
        **BOW,
        'node.host': 'orb_slam3',
        'node.pose_type': 'pose_with_covariance',
        'node.body_frame_pose': True,
    },
}


def warm_up(rig) -> None:
    """Give a node what is whole, so that there is something to search and to correct."""
    for number in range(4):
        for topic, subscription in rig.subscriptions.items():
            if 'removed' not in topic:
                rig.give(topic, valid(subscription, number))
    rig.settle()
    rig.assert_no_bugs()


def check_topics(rig, num_examples: int) -> None:
    """Give a node what nobody should send."""

    @fuzzed(num_examples)
    @given(st.data())
    def check(data):
        for topic, message in data.draw(streams(rig)):
            rig.give(topic, message)
        rig.settle()
        rig.assert_no_bugs()

    check()


@pytest.mark.parametrize('host', LOOP_CLOSURE)
def test_topics_of_the_loop_closure_node(host, domain, tmp_path):
    parameters = {**LOOP_CLOSURE[host], 'map.directory': str(tmp_path)}
    with node_of(LoopClosureNode, parameters) as rig:
        warm_up(rig)
        told = rig.ask('/loop_closure/get_statistics')
        counters = dict(zip(told.counter_names, told.counter_values, strict=True))
        assert counters['frames'] > 0
        assert counters['keyframes'] > 0
        check_topics(rig, 25)


def test_topics_of_the_pose_graph_node(domain):
    with node_of(PoseGraphNode, {}) as rig:
        warm_up(rig)
        while rig.ask('/pose_graph/get_statistics').busy:
            rig.settle()
        assert list(rig.ask('/pose_graph/get_pose_graph').keyframe_ids) == [0, 1, 2, 3]
        check_topics(rig, 40)


def _requests(service, number):
    """Return a request as somebody would send it who means well."""
    request = service.srv_type.Request()
    makers = {
        'image': lambda: image(number),
        'depth': lambda: conv.depth_to_message(_DEPTH_M, header(number)),
        'camera_info': lambda: conv.camera_to_message(CAMERA, header(number)),
        'name': lambda: 'written',
        'other': lambda: 'saved',
        'out': lambda: 'out',
        'folder': lambda: 'folder',
        'format': lambda: 'tum',
        'query_id': lambda: number,
        'query_session': lambda: 7,
        'match_session': lambda: 7,
        'max_results': lambda: 3,
        'max_id': lambda: -1,
        'add': lambda: True,
    }
    for field in request.get_fields_and_field_types():
        if field in makers:
            setattr(request, field, makers[field]())
    return request


@pytest.mark.parametrize(
    ('make', 'parameters'),
    [
        (LoopClosureNode, LOOP_CLOSURE['odometry']),
        (PoseGraphNode, {}),
        (DatabaseNode, BOW),
        (DatabaseNode, {}),
    ],
)
def test_services(make, parameters, domain, tmp_path):
    with node_of(make, {**parameters, 'map.directory': str(tmp_path)}) as rig:
        warm_up(rig)
        services = rig.services
        assert services

        @fuzzed(60)
        @given(st.data())
        def check(data):
            name = data.draw(st.sampled_from(sorted(services)))
            whole = _requests(services[name], data.draw(_STEPS))
            wild = messages(services[name].srv_type.Request)
            rig.ask(name, data.draw((wild | mutated(whole) | mutated(whole)).map(Hidden)).message)
            rig.settle()
            rig.assert_no_bugs()

        check()


_VALUES = (
    st.booleans()
    | st.sampled_from((0, -1, 1, 2**31, -(2**63), 2**63 - 1))
    | st.floats()
    | st.sampled_from(('', 'bow', '/dev/zero', 'a' * 1000, 'line\nforged'))
    | st.lists(st.floats(), max_size=8)
    | st.lists(st.text(max_size=3), max_size=2)
)


@pytest.mark.parametrize('make', [LoopClosureNode, PoseGraphNode, DatabaseNode])
def test_parameters(make, domain, tmp_path):
    """Any value of any type: taken, or refused with a reason."""
    with node_of(make, {**BOW, 'map.directory': str(tmp_path)}) as rig:
        names = sorted(
            parameter.name for parameter in rig.node.get_parameters_by_prefix('').values()
        )

        @fuzzed(100)
        @given(st.lists(st.tuples(st.sampled_from(names), _VALUES), min_size=1, max_size=3))
        def check(given_values):
            for name, value in given_values:
                (result,) = rig.node.set_parameters([Parameter(name, value=value)])
                assert result.successful or result.reason, name
                assert not is_bug(result.reason), result.reason
            rig.settle()
            rig.assert_no_bugs()

        check()


@pytest.mark.parametrize('stamp', [Time(sec=-(2**31)), Time(sec=2**31 - 1, nanosec=2**32 - 1)])
def test_stamps_at_the_ends_of_their_range(stamp, domain, tmp_path):
    parameters = {**LOOP_CLOSURE['odometry'], 'map.directory': str(tmp_path)}
    for make in (LoopClosureNode, PoseGraphNode):
        with node_of(make, parameters) as rig:
            for topic, subscription in rig.subscriptions.items():
                message = valid(subscription, 0)
                message.header.stamp = stamp
                for name in ('query_stamp', 'match_stamp'):
                    if hasattr(message, name):
                        setattr(message, name, stamp)
                rig.give(topic, message)
            rig.settle()
            rig.assert_no_bugs()
