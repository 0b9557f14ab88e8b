"""What all hosts have in common: what waits is bounded, and time may jump back."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import Point32, PoseStamped
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CameraInfo, ChannelFloat32, Image, PointCloud
from std_msgs.msg import Header

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.errors import DropError
from s3e_gnn_ros.geometry.camera import PinholeCamera
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros import tf_listener
from s3e_gnn_ros.ros.adapters import HOSTS, make_host
from s3e_gnn_ros.ros.frame_joiner import Picture

QUEUE = 4
MS = 1_000_000
CAMERA = PinholeCamera(8, 6, 10.0, 10.0, 3.5, 2.5)


class Inputs:
    """Keeps the callbacks by topic, and counts what is dropped."""

    def __init__(self):
        self.intake = self
        self.use = {}
        self.drops = []
        self.silent = set()

    def subscribe(self, message_class, topic, use, *_args, **_options):
        self.use[topic] = message_class, use

    def drop(self, reason, _sentence):
        self.drops.append(reason)

    def attempt(self, use):
        try:
            use()
        except DropError as err:
            self.drop(err.reason, str(err))

    def has_publisher(self, topic):
        return topic not in self.silent

    def publish(self, topic, stamp_ns):
        """Let a message come in."""
        message_class, use = self.use[topic]
        header = conv.make_header(stamp_ns, 'odom')
        if message_class is Image:
            use(conv.depth_to_message(np.ones((6, 8), np.float32), header))
        elif message_class is CameraInfo:
            use(conv.camera_to_message(CAMERA, header))
        else:
            assert message_class in (Odometry, PoseStamped, PointCloud)
            use(message_class(header=header))


def make(name, **config):
    """Return a host that knows where its camera sits, and its inputs."""
    inputs = Inputs()
    node = SimpleNamespace(get_logger=lambda: SimpleNamespace(warning=lambda _text: None))
    config = {'T_body_camera': (0.1, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0), **config}
    settings = NodeConfig(host=name, sync_queue_size=QUEUE, **config)
    return make_host(node, settings, inputs, lambda: None), inputs


def picture(stamp_ns):
    return Picture(stamp_ns, np.zeros((6, 8), np.uint8), None, 'camera')


def num_held(thing):
    """Count what an object holds in containers, its own parts' included."""
    if isinstance(thing, dict):
        return len(thing) + sum(num_held(value) for value in thing.values())
    if isinstance(thing, (list, deque, tuple)):
        return len(thing) + sum(num_held(value) for value in thing)
    if type(thing).__module__.startswith('s3e_gnn_ros') and hasattr(thing, '__dict__'):
        return sum(num_held(value) for value in vars(thing).values())
    return 0


@pytest.mark.parametrize('name', HOSTS)
def test_streams_without_end_that_lack_their_partners_fill_no_memory(name):
    topics = [None, *make(name)[1].use]
    assert len(topics) > 1
    for topic in topics:  # None: pictures
        host, inputs = make(name, use_depth=False)
        sizes = []
        for i in range(2000):
            if topic is None:
                host.add_picture(picture(i * MS))
            else:
                inputs.publish(topic, i * MS)
            assert list(host.ready(CAMERA)) == []
            if i >= 1000 and i % 5 == 0:
                sizes.append(num_held(host))
        # A buffer of poses is cut every so often; between two cuts it grows a little.
        assert max(sizes[100:]) <= max(sizes[:100])


@pytest.mark.parametrize(
    ('name', 'topics'),
    [('odometry', ['odometry']), ('openvins', ['keyframe_pose', 'keyframe_points'])],
)
def test_after_a_jump_back_frames_come_as_before(name, topics):
    host, inputs = make(name)
    for _ in range(2):
        stamps = []
        for i in range(3):
            host.add_picture(picture(i * MS))
            for topic in topics:
                inputs.publish(topic, i * MS)
            stamps += [f.frame.stamp_ns for f in host.ready(CAMERA)]
        assert stamps == [0, MS, 2 * MS]
        host.add_picture(picture(3 * MS))
        host.clear()
        assert list(host.ready(CAMERA)) == []
    assert inputs.drops == []


def test_only_vins_chooses_keyframes_and_only_openvins_does_without_camera_info():
    hosts = HOSTS.values()
    assert [host.chooses_keyframes for host in hosts] == [False, True, False, False]
    assert [host.needs_camera_info for host in hosts] == [True, True, False, True]


def test_every_host_tells_where_the_camera_sits():
    for name in HOSTS:
        host, inputs = make(name, body_frame_pose=True, use_depth=True)
        inputs.publish('odometry' if 'odometry' in inputs.use else 'keyframe_pose', MS)
        host.add_picture(picture(MS))
        list(host.ready(CAMERA))
        np.testing.assert_allclose(host.T_body_camera[:3, 3], (0.1, 0, 0))


def cloud(stamp_ns, feature_id=7.0):
    """Return one keypoint in VINS's layout."""
    message = PointCloud(header=conv.make_header(stamp_ns, 'world'))
    message.points = [Point32(x=0.0, y=0.0, z=2.0)]
    message.channels = [ChannelFloat32(values=[0.0, 0.0, 3.0, 2.0, feature_id])]
    return message


def test_vins_waits_for_its_extrinsic_and_takes_each_newer_one():
    host, inputs = make('vins', T_body_camera=(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    found = []
    for i, x in enumerate((None, 0.5, 0.7)):
        host.add_picture(picture(i * MS))
        inputs.publish('keyframe_pose', i * MS)
        inputs.use['keyframe_points'][1](cloud(i * MS))
        if x is not None:
            message = Odometry()
            message.pose.pose.position.x = x
            inputs.use['extrinsic'][1](message)
        found.append([f.frame.T_odom_camera[0, 3] for f in host.ready(CAMERA)])
    assert found == [[], [0.5, 0.5], [0.7]]
    assert host.T_body_camera[0, 3] == 0.7
    assert inputs.drops == []


def test_a_track_number_that_got_lost_is_counted_and_its_keypoint_used():
    host, inputs = make('vins')
    host.add_picture(picture(0))
    inputs.publish('keyframe_pose', 0)
    inputs.use['keyframe_points'][1](cloud(0, 2.0**24))
    (posed,) = host.ready(CAMERA)
    assert posed.points.feature_ids.tolist() == [-1]
    assert posed.points.landmarks_m[0].tolist() == pytest.approx([-0.1, 0.0, 2.0])
    assert inputs.drops == ['feature_ids']


def test_an_image_of_another_size_than_its_camera_is_dropped():
    for name in HOSTS:
        host, inputs = make(name)
        host.add_picture(Picture(0, np.zeros((3, 4), np.uint8), None, 'camera'))
        inputs.publish('odometry' if 'odometry' in inputs.use else 'keyframe_pose', 0)
        if 'keyframe_points' in inputs.use:
            inputs.use['keyframe_points'][1](cloud(0))
        assert list(host.ready(CAMERA)) == []
        assert inputs.drops == ['image_size']


def test_keypoints_of_orb_slam3_are_waited_for_while_they_can_come():
    host, inputs = make('orb_slam3', pose_type='pose')
    found = []
    for i in range(4):
        host.add_picture(picture(i * MS))
        inputs.publish('pose', i * MS)
        if i in (1, 2):
            inputs.use['keypoints'][1](cloud(i * MS))
        found.append([(f.frame.stamp_ns // MS, f.points is not None) for f in host.ready(CAMERA)])
    assert found == [[], [(0, False), (1, True)], [(2, True)], []]


def test_openvins_takes_its_sparse_depth_where_its_keypoints_are_not_published():
    host, inputs = make('openvins', use_depth=False)
    inputs.silent = {'keyframe_points'}
    host.add_picture(picture(0))
    inputs.publish('keyframe_pose', 0)
    assert list(host.ready(CAMERA)) == []
    inputs.publish('sparse_depth', 0)
    (posed,) = host.ready(CAMERA)
    assert len(posed.points.points_px) == 6 * 8
    assert set(posed.points.landmarks_m[:, 2]) == {1.0}
    assert 'sparse_depth' not in make('openvins', use_depth=True)[1].use


def test_openvins_own_intrinsics_come_before_camera_info():
    host, inputs = make('openvins')
    info = conv.camera_to_message(PinholeCamera(8, 6, 12.0, 12.0, 3.5, 2.5), Header())
    info.width = info.height = 0
    for own in (False, True):
        if own:
            inputs.use['intrinsics'][1](info)
        host.add_picture(picture(own * MS))
        inputs.publish('keyframe_pose', own * MS)
        inputs.use['keyframe_points'][1](cloud(own * MS))
        (posed,) = host.ready(CAMERA)
        assert posed.frame.camera.fx == (12.0 if own else 10.0)
        assert (posed.frame.camera.width, posed.frame.camera.height) == (8, 6)


def test_a_broken_transform_does_not_take_the_others_with_it(monkeypatch):
    monkeypatch.setattr(tf_listener, 'TFMessage', object)
    inputs = Inputs()
    listener = tf_listener.TfListener(inputs, 0.5, is_optional=True)
    seen = []
    listener.on_change(lambda: seen.append(listener.tree.newest_ns('odom', 'base')))
    good = conv.transform_to_message(np.eye(4), 5, 'odom', 'base')
    broken = conv.transform_to_message(np.eye(4), 5, 'odom', 'arm')
    broken.transform.translation.x = float('nan')
    inputs.use['tf'][1](SimpleNamespace(transforms=[broken, good]))
    inputs.use['tf_static'][1](SimpleNamespace(transforms=[broken, good]))
    assert seen == [5]
    assert inputs.drops == ['odometry_pose'] * 2
    assert listener.tree.newest('odom', 'arm') is None
    assert listener.tree.newest_ns('odom', 'base') is None  # it is static by now
