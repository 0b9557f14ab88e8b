"""Parameters of a node: declared from the configuration tree, checked by it."""

from __future__ import annotations

import pytest

rclpy = pytest.importorskip('rclpy')

from rclpy.node import Node
from rclpy.parameter import Parameter

from s3e_gnn_ros.config import Config, leaves
from s3e_gnn_ros.errors import ConfigError
from s3e_gnn_ros.ros.parameters import load_parameters


@pytest.fixture
def load(domain):
    """Return a function that makes a node with overrides and gives node and configuration."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes = []

    def make(**overrides):
        node = Node(
            'tested',
            context=context,
            parameter_overrides=[
                Parameter(name.replace('__', '.'), value=value)
                for name, value in overrides.items()
            ],
            automatically_declare_parameters_from_overrides=True,
        )
        nodes.append(node)
        return node, load_parameters(node)

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_without_overrides_everything_is_the_default(load):
    node, config = load()
    assert config == Config()
    for leaf in leaves():
        value = node.get_parameter(leaf.name).value
        expected = list(leaf.default) if isinstance(leaf.default, tuple) else leaf.default
        assert (list(value) if isinstance(leaf.default, tuple) else value) == expected


def test_overrides_are_taken_and_a_whole_number_may_stand_for_a_float(load):
    _, config = load(
        keyframes__min_translation_m=2,
        node__image_transport='compressed',
        node__T_body_camera=[1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0],
        use_sim_time=True,
    )
    assert config.keyframes.min_translation_m == 2.0
    assert config.node.image_transport == 'compressed'
    assert config.node.T_body_camera == (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ('name', 'value', 'sentence'),
    [
        ('node__queue_size', 0, 'node.queue_size is 0 instead of at least 1'),
        ('node__queue_sise', 5, "unknown name 'node.queue_sise'"),
        ('nodes__queue_size', 5, "unknown section 'nodes'"),
        ('node__image_transport', 'theora', "'theora' instead of one of raw, compressed"),
        ('node__use_depth', 'yes', "'yes' instead of a value of type bool"),
        ('node__T_body_camera', [1.0], '1 values instead of 7'),
    ],
)
def test_a_wrong_override_is_refused_in_one_sentence(load, name, value, sentence):
    with pytest.raises(ConfigError, match='parameter of tested') as info:
        load(**{name: value})
    assert sentence in str(info.value)
    assert '\n' not in str(info.value)


def test_descriptors_say_range_and_choices_and_when_a_change_takes_effect(load):
    node, _ = load()
    size = node.describe_parameter('node.queue_size')
    assert 'takes effect when the node is configured' in size.additional_constraints
    assert (size.integer_range[0].from_value, size.integer_range[0].to_value) == (1, 100000)
    slop = node.describe_parameter('node.sync_slop_s')
    assert slop.floating_point_range[0].to_value == 1.0
    assert not slop.read_only
    assert not slop.additional_constraints
    assert slop.description == 'stamps of one frame may differ by this [s]'
    transport = node.describe_parameter('node.image_transport').additional_constraints
    assert transport == 'one of raw, compressed; takes effect when the node is configured'
    assert node.describe_parameter('node.autostart').read_only
