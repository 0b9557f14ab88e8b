"""The transform from map to odometry, and whoever else publishes it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros import map_to_odom as module
from s3e_gnn_ros.ros.conversions import transform_to_message
from s3e_gnn_ros.ros.map_to_odom import MapToOdom


class FakeTF:
    """Stands for tf2_msgs/TFMessage, which need not be installed here."""

    def __init__(self, transforms):
        self.transforms = transforms


class Scene:
    """A node that only remembers, and a graph with as many publishers as the test says."""

    def __init__(self):
        self.published, self.warnings, self.take = [], [], {}
        self.num_publishers = 1
        self.check = None

    def get_logger(self):
        return SimpleNamespace(warning=self.warnings.append)

    def create_publisher(self, _kind, topic, _qos):
        return SimpleNamespace(publish=self.published.append, topic_name=topic)

    def create_subscription(self, _kind, topic, take, _qos):
        self.take[topic] = take
        return topic

    def destroy_subscription(self, topic):
        del self.take[topic]

    def create_timer(self, _period_s, check, **_):
        self.check = check
        return SimpleNamespace(cancel=lambda: setattr(self, 'check', lambda: None))

    def count_publishers(self, _topic):
        return self.num_publishers


@pytest.fixture
def scene():
    return Scene()


@pytest.fixture
def tf(scene, monkeypatch):
    """Return a transform on /tf."""
    monkeypatch.setattr(module, 'TFMessage', FakeTF)
    return MapToOdom(scene, 'map')


def foreign(child='odom', parent='map', x=7.0):
    T = se3.make_pose(translation=(x, 0, 0))
    return FakeTF([transform_to_message(T, 5, parent, child)])


def test_odometry_named_like_the_map_gets_no_transform_and_one_warning(scene):
    transform = MapToOdom(scene, 'map')
    scene.warnings.clear()
    for frame in ('map', '/map'):
        transform.publish(np.eye(4), 1, frame)
    assert scene.published == []
    (warning,) = scene.warnings
    assert 'node.map_frame' in warning
    transform.publish(np.eye(4), 2, 'odom')
    assert len(scene.published) == 1


def test_it_is_the_pose_of_odom_in_the_map(scene, tf):
    T = se3.expmap([0.1, 0.2, 0.3, 1.0, 2.0, 3.0])
    tf.publish(T, 1_500_000_000, 'odom')
    (message,) = scene.published[0].transforms
    assert (message.header.frame_id, message.child_frame_id) == ('map', 'odom')
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (1, 500_000_000)
    t, q = message.transform.translation, message.transform.rotation
    np.testing.assert_allclose((t.x, t.y, t.z), T[:3, 3], atol=1e-12)
    np.testing.assert_allclose((q.x, q.y, q.z, q.w), se3.quat_xyzw(T), atol=1e-12)


def test_tf_is_heard_only_after_somebody_has_joined_and_only_for_a_while(scene, tf):
    tf.publish(np.eye(4), 1, 'odom')
    scene.check()
    assert '/tf' not in scene.take
    scene.num_publishers = 2
    scene.check()
    scene.take['/tf'](foreign('base_link', 'odom'))  # the rest of the tree is their business
    scene.check()
    assert '/tf' not in scene.take
    assert scene.warnings == []


@pytest.mark.parametrize('topic', ['/tf', '/tf_static'])
def test_another_publisher_is_warned_of_once(scene, tf, topic):
    tf.publish(np.eye(4), 1, 'odom')
    scene.num_publishers = 2
    scene.check()
    scene.take[topic](scene.published[0])  # our own comes back
    assert scene.warnings == []
    for _ in range(3):
        scene.take[topic](foreign('/odom', '/map'))
    scene.check()
    (warning,) = scene.warnings
    assert 'map -> odom' in warning
    assert 'node.publish_tf' in warning


def test_a_static_transform_from_before_the_first_odometry_counts(scene, tf):
    scene.take['/tf_static'](foreign())
    assert scene.warnings == []
    tf.publish(np.eye(4), 1, 'odom')
    assert len(scene.warnings) == 1


def test_nobody_else_belongs_on_a_topic_of_our_own(scene):
    MapToOdom(scene, 'map')
    scene.warnings.clear()
    scene.check()
    assert scene.warnings == []
    scene.num_publishers = 2
    scene.check()
    scene.check()
    (warning,) = scene.warnings
    assert 'pose_graph/map_to_odom' in warning
