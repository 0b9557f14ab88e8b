"""The running node says why an input stays silent."""

from __future__ import annotations

import time

import pytest

rclpy = pytest.importorskip('rclpy')

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from s3e_gnn_ros.ros import inputs as module
from s3e_gnn_ros.ros.inputs import Inputs
from s3e_gnn_ros.ros.intake import Intake
from s3e_gnn_ros.ros.qos import input_qos
from s3e_gnn_ros.ros.statistics import Statistics


@pytest.fixture
def listener(domain, monkeypatch):
    """Return a camera node, reliable inputs, and a function that spins until a text is logged."""
    monkeypatch.setattr(module, '_CHECK_PERIOD_S', 0.2)
    context = rclpy.Context()
    rclpy.init(context=context)
    camera = Node('camera', context=context)
    # With simulated time and no /clock a timer of the node's own clock would never fire.
    sim_time = Parameter('use_sim_time', value=True)
    node = Node('listener', context=context, parameter_overrides=[sim_time])
    statistics = Statistics()
    intake = Intake(node, statistics, lambda: None)
    inputs = Inputs(node, intake, statistics, 5, is_reliable=True)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin_until(capfd, *texts):
        logged, end_s = '', time.monotonic() + 20
        while not all(text in logged for text in texts) and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.1)
            logged += ''.join(capfd.readouterr())
        return logged

    yield camera, inputs, spin_until
    executor.shutdown()
    node.destroy_node()
    camera.destroy_node()
    rclpy.try_shutdown(context=context)


def test_quality_of_service_is_told_at_once_and_while_nothing_comes(listener, capfd):
    camera, inputs, spin_until = listener
    camera.create_publisher(Image, '/image', input_qos(5, is_reliable=False))
    inputs.subscribe(Image, 'image', lambda _message: None)
    offer = '/camera offers reliability BEST_EFFORT, RELIABLE is asked for'
    at_once = (
        "input 'image' (/image) cannot take what is published with another quality of service"
    )
    again = f'received nothing: its quality of service does not match: {offer}'
    logged = spin_until(capfd, at_once, again)
    assert at_once in logged
    assert again in logged


def test_time_that_never_begins_is_told(listener, capfd):
    _, inputs, spin_until = listener
    inputs.subscribe(Image, 'image', lambda _message: None)
    expected = 'use_sim_time is true, and nobody publishes /clock'
    assert expected in spin_until(capfd, expected)


def test_what_may_be_silent_is_not_complained_about(listener):
    _, inputs, _ = listener
    inputs.subscribe(Image, 'image', lambda _message: None, is_optional=True)
    assert not [line for line in inputs.explain_silent() if 'image' in line]
