"""Any stream of poses as odometry: frames, twist and TF."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import PoseStamped, PoseWithCovarianceStamped
from nav_msgs.msg import Odometry

from s3e_gnn_ros.config import NodeConfig
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.geometry import se3
from s3e_gnn_ros.ros import conversions as conv
from s3e_gnn_ros.ros.adapters import pose_input
from s3e_gnn_ros.ros.adapters.pose_input import odometry_from_vins, subscribe_odometry
from s3e_gnn_ros.ros.transform_tree import TransformTree

MS = 1_000_000
T = se3.expmap([0.3, -0.2, 0.9, 1.0, 2.0, 3.0])


class Inputs:
    """Keeps callbacks by topic."""

    def __init__(self):
        self.intake = self
        self.use = {}

    def subscribe(self, message_class, topic, use, *_args, **_options):
        self.use[topic] = message_class, use

    def guarded(self, _topic, use):
        return use


class Node:
    """Keeps what is logged."""

    def __init__(self):
        self.warnings = []

    def get_logger(self):
        return SimpleNamespace(warning=lambda text, **_options: self.warnings.append(text))


def streamed(**config):
    """Subscribe by a configuration; returns the inputs and the list that odometry ends up in."""
    inputs, found = Inputs(), []
    subscribe_odometry(Node(), NodeConfig(**config), inputs, found.append)
    return inputs, found


def test_odometry_is_handed_on_as_it_is():
    inputs, found = streamed()
    message_class, use = inputs.use['odometry']
    message = Odometry()
    use(message)
    assert message_class is Odometry
    assert found[0] is message


@pytest.mark.parametrize(('is_body', 'frame'), [(False, ''), (True, 'robot')])
@pytest.mark.parametrize('pose_type', ['pose', 'pose_with_covariance'])
def test_poses_become_odometry(pose_type, is_body, frame):
    inputs, found = streamed(pose_type=pose_type, body_frame_pose=is_body, base_frame='robot')
    message_class, use = inputs.use['pose']
    message = message_class(header=conv.make_header(7, 'odom'))
    pose = conv.pose_to_message(T)
    if message_class is PoseStamped:
        message.pose = pose
    else:
        assert message_class is PoseWithCovarianceStamped
        message.pose.pose = pose
        message.pose.covariance[7] = 0.25
    use(message)
    (odometry,) = found
    assert (odometry.header.frame_id, odometry.child_frame_id) == ('odom', frame)
    assert conv.stamp_to_ns(odometry.header.stamp) == 7
    np.testing.assert_allclose(conv.pose_from_message(odometry.pose.pose), T, atol=1e-12)
    assert odometry.pose.covariance[7] == (0.25 if pose_type != 'pose' else 0.0)


@pytest.mark.parametrize(('child', 'expected'), [('world', 'body'), ('', 'body'), ('imu', 'imu')])
def test_the_twist_of_vins_is_turned_into_the_axes_of_the_body(child, expected):
    message = Odometry(header=conv.make_header(7, 'world'), child_frame_id=child)
    message.pose.pose = conv.pose_to_message(T)
    v = message.twist.twist.linear
    v.x, v.y, v.z = 1.0, 2.0, 3.0
    out = odometry_from_vins(message)
    assert out.child_frame_id == expected
    assert out.header == message.header
    assert out.pose == message.pose
    linear = out.twist.twist.linear
    np.testing.assert_allclose(T[:3, :3] @ [linear.x, linear.y, linear.z], [1, 2, 3], atol=1e-9)


def test_only_the_odometry_of_vins_is_turned():
    inputs, found = streamed(host='vins')
    message = Odometry(header=conv.make_header(7, 'world'), child_frame_id='world')
    message.pose.pose = conv.pose_to_message(T)
    inputs.use['odometry'][1](message)
    assert found[0].child_frame_id == 'body'


def test_tf_without_its_messages_is_a_wrong_configuration():
    listener = SimpleNamespace(is_available=False, tree=None)
    config = NodeConfig(pose_type='tf')
    with pytest.raises(ConfigError, match='tf2_msgs is not installed'):
        subscribe_odometry(Node(), config, Inputs(), lambda _m: None, listener)


@pytest.fixture
def tf():
    """Return a tree, a function that makes it known, what comes out, and the node."""
    node, found, callbacks = Node(), [], []
    tree = TransformTree(0.5)
    listener = SimpleNamespace(is_available=True, tree=tree, on_change=callbacks.append)
    config = NodeConfig(pose_type='tf', base_frame='base')
    subscribe_odometry(node, config, Inputs(), found.append, listener)
    return tree, callbacks[0], found, node


def test_tf_gives_each_new_pose_once(tf):
    tree, advance, found, node = tf
    advance()
    assert "how 'base' moves in 'odom'" in node.warnings[0]
    tree.add('odom', 'footprint', 100 * MS, T)
    tree.add_fixed('footprint', 'base', se3.make_pose(None, (0, 0, 0.3)))
    advance()
    advance()  # some other transform has come
    tree.add('odom', 'footprint', 150 * MS, T @ T)
    advance()
    assert [conv.stamp_to_ns(m.header.stamp) for m in found] == [100 * MS, 150 * MS]
    assert {(m.header.frame_id, m.child_frame_id) for m in found} == {('odom', 'base')}
    expected = T @ T @ se3.make_pose(None, (0, 0, 0.3))
    np.testing.assert_allclose(conv.pose_from_message(found[1].pose.pose), expected, atol=1e-12)


def test_tf_that_starts_again_is_followed(tf):
    tree, advance, found, _node = tf
    for stamp_ns in (5000 * MS, 5050 * MS, 5020 * MS, 100 * MS, 150 * MS):
        tree.add('odom', 'base', stamp_ns, T)
        advance()
    stamps = [conv.stamp_to_ns(m.header.stamp) // MS for m in found]
    assert stamps == [5000, 5050, 100, 150]


def test_names_of_topics_are_those_of_the_set_ups():
    assert (pose_input.ODOMETRY, pose_input.POSE) == ('odometry', 'pose')
