"""Why a topic stays silent, asked of a real ROS graph."""

from __future__ import annotations

import time

import pytest

rclpy = pytest.importorskip('rclpy')

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image

from s3e_gnn_ros.ros.diagnosis import explain_silence, qos_mismatch
from s3e_gnn_ros.ros.qos import input_qos, latched_qos, reliable_qos

BEST_EFFORT, RELIABLE = input_qos(5, is_reliable=False), reliable_qos(5)
IMAGE, ODOMETRY = 'sensor_msgs/msg/Image', 'nav_msgs/msg/Odometry'


@pytest.fixture
def graph(domain):
    """Return a node that publishes, and a function that asks another one why nothing comes."""
    context = rclpy.Context()
    rclpy.init(context=context)
    camera = Node('camera', namespace='/front', context=context)
    asker = Node('asker', context=context)

    def explain(topic, type_name, asked, expected):
        # Discovery takes a moment.
        end_s = time.monotonic() + 20.0
        while time.monotonic() < end_s:
            found = explain_silence(asker, topic, type_name, asked)
            if expected in found:
                break
            time.sleep(0.05)
        return found

    yield camera, explain
    camera.destroy_node()
    asker.destroy_node()
    rclpy.try_shutdown(context=context)


def test_nobody_at_all(graph):
    _, explain = graph
    expected = f'nobody publishes it; nor is any topic of the type {IMAGE} published'
    assert explain('/image', IMAGE, RELIABLE, expected) == expected


def test_elsewhere_and_first_what_ends_alike(graph):
    camera, explain = graph
    for topic in ('/a/odom', '/zinuok/odometry'):
        camera.create_publisher(Odometry, topic, RELIABLE)
    camera.create_publisher(Image, '/vins_estimator/image_track', RELIABLE)
    expected = 'publishers of its type exist on /zinuok/odometry, /a/odom'
    found = explain('/vins_estimator/odometry', ODOMETRY, RELIABLE, expected)
    assert found == f'nobody publishes it; {expected}'


def test_what_this_package_publishes_itself_is_no_candidate(graph):
    camera, explain = graph
    own = Node('pose_graph_node', context=camera.context)
    own.create_publisher(Odometry, '/pose_graph/corrected_odometry', RELIABLE)
    camera.create_publisher(Odometry, '/odom', RELIABLE)
    expected = 'publishers of its type exist on /odom'
    found = explain('/odometry', ODOMETRY, RELIABLE, expected)
    own.destroy_node()
    assert found == f'nobody publishes it; {expected}'


def test_another_type(graph):
    camera, explain = graph
    camera.create_publisher(CompressedImage, '/image', RELIABLE)
    expected = f'it is published as sensor_msgs/msg/CompressedImage instead of {IMAGE}'
    assert explain('/image', IMAGE, RELIABLE, expected) == expected


@pytest.mark.parametrize(
    ('published', 'wanted', 'transport'),
    [
        ('/eye/compressed', '/eye', 'compressed'),
        ('/eye/compressedDepth', '/eye', 'compressed'),
        ('/eye', '/eye/compressed', 'raw'),
        ('/eye', '/eye/compressedDepth', 'raw'),
    ],
)
def test_another_transport(graph, published, wanted, transport):
    camera, explain = graph
    camera.create_publisher(Image, published, RELIABLE)
    expected = f'{published} exists: set node.image_transport to {transport}'
    assert explain(wanted, IMAGE, RELIABLE, expected) == f'nobody publishes it; {expected}'


def test_quality_of_service_with_policy_and_both_values(graph):
    camera, explain = graph
    camera.create_publisher(Image, '/image', BEST_EFFORT)
    expected = (
        'its quality of service does not match: /front/camera offers reliability BEST_EFFORT, '
        'RELIABLE is asked for'
    )
    assert explain('/image', IMAGE, RELIABLE, expected) == expected


def test_one_that_matches_among_others_is_waited_for(graph):
    camera, explain = graph
    camera.create_publisher(Image, '/image', BEST_EFFORT)
    camera.create_publisher(Image, '/image', RELIABLE)
    expected = '/front/camera could publish it, and has not done so'
    assert explain('/image', IMAGE, RELIABLE, expected) == expected


def test_mismatches_name_each_policy():
    offered = QoSProfile(
        depth=1,
        reliability=QoSReliabilityPolicy.BEST_EFFORT,
        durability=QoSDurabilityPolicy.VOLATILE,
    )
    assert qos_mismatch(offered, latched_qos(1)) == (
        'reliability BEST_EFFORT, RELIABLE is asked for and '
        'durability VOLATILE, TRANSIENT_LOCAL is asked for'
    )
    assert qos_mismatch(latched_qos(1), offered) == ''
    assert qos_mismatch(RELIABLE, RELIABLE) == ''
